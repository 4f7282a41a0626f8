// A witness that dies between any two steps of writing a term must have told nobody of a win that
// it does not have when it is back, and must still know every term that it told.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { HttpArbiter } from '../../src/arbiter/http.ts';
import { term } from '../../src/base/units.ts';
import { compiled } from '../compiled/program.ts';
import { Terms } from '../doubles/terms.ts';
import { ChildServer, firstLine } from './child-server.ts';
import { race, racingPair, state } from './contract.ts';
import { freePort } from './lossy-proxy.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-kill-'));
afterAll(() => fs.rmSync(scratch, { recursive: true }));
const main = compiled('src/cli/main.ts');
const faultScript = compiled('test/arbiter/fault-at-step-main.ts');

/** Its pairs are set up before the fault. */
async function witnessWith(fault: string, directory: string) {
  for (const pair of ['p', racingPair]) {
    const arbiter = new FileArbiter({ directory: path.join(directory, pair) });
    await arbiter.setUp();
    await arbiter.close();
  }
  const port = await freePort();
  const where = ['--listen', `127.0.0.1:${port}`, '--state', directory];
  const serverOf = (value: string): ChildServer =>
    new ChildServer({
      command: process.execPath,
      args: ['--import', faultScript, main, 'witness', ...where],
      env: { UNDERSTUDY_TEST_FAULT: value },
      ready: async (started) => void (await firstLine(started)),
    });
  const url = `http://127.0.0.1:${port}`;
  return { faulty: serverOf(fault), sound: serverOf(''), url };
}

const directoryOf = (name: string): string => path.join(scratch, name);

describe('a witness that is killed', () => {
  it.each([
    ['before-write', false],
    ['torn-write', false],
    ['after-write', false],
    ['before-link', false],
    ['after-link', true],
    ['after-unlink', true],
    ['after-flush', true],
  ])('%s: is right when it is back', async (step, happened) => {
    const directory = directoryOf(step);
    // Two terms that were told before.
    const { faulty, sound, url } = await witnessWith(`${step}:kill`, directory);
    for (const number of [1, 2]) {
      const line = `{"understudy":"term","version":1,"term":${number},"holder":"a:x"}\n`;
      fs.writeFileSync(path.join(directory, 'p', `term-${String(number).padStart(16, '0')}`), line);
    }
    const arbiter = new HttpArbiter({ url, pair: 'p' });
    const terms = new Terms(arbiter, 'b', 'y');
    try {
      await faulty.start();
      expect(await terms.claim(term(2))).toMatchObject({ type: 'arbiterUnreachable' });
      expect(await faulty.exitCode).toBeNull();
      await sound.start();
      expect(await arbiter.read()).toEqual(happened ? state(3, 'b:y') : state(2, 'a:x'));
      expect(await terms.claim(term(2))).toEqual({ type: 'termWon', term: 3 });
      const other = new Terms(arbiter, 'a', 'z');
      expect(await other.claim(term(2))).toEqual({ type: 'termLost', holder: 'b:y' });
    } finally {
      await arbiter.close();
      await faulty.kill();
      await sound.kill();
    }
  });

  it('again and again while nodes race: no term is told twice or forgotten', async () => {
    const { sound, url } = await witnessWith('', directoryOf('race'));
    await sound.start();
    const wins = 80;
    const racing = Promise.all(['a', 'b'].map((name) => race([url, '{}', name, `${wins}`])));
    let done = false;
    racing.finally(() => (done = true)).catch(() => undefined);
    const probe = new HttpArbiter({ url, pair: racingPair });
    let highest = 0;
    for (let kills = 0; !done && kills < 8; kills += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100 + 37 * kills));
      await sound.kill();
      await sound.start();
      const current = (await probe.read())?.term ?? 0;
      expect(current).toBeGreaterThanOrEqual(highest);
      highest = current;
    }
    const told = (await racing).flat();
    expect(told).toHaveLength(2 * wins);
    expect(new Set(told).size).toBe(told.length);
    expect((await probe.read())?.term).toBeGreaterThanOrEqual(Math.max(...told));
    await probe.close();
    await sound.kill();
  });
});

describe('a witness whose disk fails', () => {
  it('EIO when the new name is flushed: tells no win, and no state that may be lost', async () => {
    const { faulty, sound, url } = await witnessWith('flush:EIO', directoryOf('flush'));
    const arbiter = new HttpArbiter({ url, pair: 'p' });
    try {
      await faulty.start();
      await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toThrow('EIO');
      await expect(arbiter.read()).rejects.toThrow('EIO');
      await faulty.kill();
      await sound.start();
      expect(await arbiter.read()).toEqual(state(1, 'a'));
    } finally {
      await arbiter.close();
      await faulty.kill();
      await sound.kill();
    }
  });

  it.each(['ENOSPC', 'EDQUOT'])('%s: says so, and goes on when there is room', async (code) => {
    const { faulty, sound, url } = await witnessWith(`before-write:${code}`, directoryOf(code));
    const arbiter = new HttpArbiter({ url, pair: 'p' });
    try {
      await faulty.start();
      await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toThrow(
        `refused (500): Cannot change the arbiter in '${directoryOf(code)}/p': ${code}`,
      );
      expect(faulty.said).toContain('Free some disk space.');
      expect(await arbiter.read()).toBeUndefined();
      await faulty.kill();
      await sound.start();
      expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    } finally {
      await arbiter.close();
      await faulty.kill();
      await sound.kill();
    }
  });
});
