// What our monitor tells of a machine, QEMU tells others, too. A client that is not ours looks on
// through a QMP server of its own while a machine is recorded, cut, replayed and taken over: or our
// monitor, and all that believes it, would be judged by nobody else.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { QMPClient } from 'node-qemu';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { QemuInstance } from '../../src/hypervisor/qemu/instance.ts';
import { Lab } from './harness/lab.ts';
import { waitFor } from './harness/wait.ts';

interface Standing {
  readonly status: string;
  readonly mode: string;
  readonly icount: number;
}

/**
 * That client has no deadlines, and an error that nobody listens to is thrown: both are added here.
 */
class Witness {
  /** Names of QEMU's events, in their order. */
  readonly events: string[] = [];
  readonly #client: QMPClient;

  private constructor(client: QMPClient) {
    this.#client = client;
    client.on('error', () => undefined);
    client.on('rawEvent', ({ event }) => this.events.push(event));
    client.on('disconnected', () => this.events.push('gone'));
  }

  static async of(instance: QemuInstance): Promise<Witness> {
    const client = new QMPClient({ socketPath: `${dir}/qmp.${instance.process.pid}` });
    const witness = new Witness(client);
    lab.onClose(() => client.close());
    await inTime(client.connect());
    return witness;
  }

  async standing(): Promise<Standing> {
    const [{ status }, { mode, icount }] = await inTime(
      Promise.all([
        this.#client.queryStatus(),
        this.#client.execute<Standing>('query-replay'), // it has no word of its own for this one
      ]),
    );
    return { status, mode, icount };
  }

  version(): Promise<unknown> {
    return inTime(this.#client.queryVersion());
  }
}

function inTime<T>(promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    AbortSignal.timeout(10_000).addEventListener('abort', () => reject(new Error('no answer')));
  });
  return Promise.race([promise, late]);
}

async function ours({ monitor }: QemuInstance): Promise<Standing> {
  const [{ status }, { mode, icount }] = await Promise.all([
    monitor.execute<Standing>('query-status'),
    monitor.execute<Standing>('query-replay'),
  ]);
  return { status, mode, icount };
}

let dir: string;
let lab: Lab;
beforeEach(async () => {
  dir = fs.mkdtempSync('/dev/shm/understudy-second-monitor-');
  const qemu = execFileSync('which', ['qemu-system-x86_64'], { encoding: 'utf8' }).trim();
  const more = `-qmp unix:'${dir}'/qmp.$$,server=on,wait=off`;
  fs.mkdirSync(`${dir}/bin`);
  fs.writeFileSync(`${dir}/bin/qemu-system-x86_64`, `#!/bin/sh\nexec '${qemu}' "$@" ${more}\n`, {
    mode: 0o700,
  });
  vi.stubEnv('PATH', `${dir}/bin:${process.env.PATH}`);
  lab = await Lab.open();
});
afterEach(async () => {
  await lab.close();
  vi.unstubAllEnvs();
  fs.rmSync(dir, { recursive: true, force: true });
});

test('another client sees the machine as ours does, from its boot to its takeover', async () => {
  const machine = await lab.boot();
  const { recorder } = machine;
  const { instance } = recorder;
  const witness = await Witness.of(instance);
  expect(await witness.version()).toEqual(await instance.monitor.execute('query-version'));
  expect(await witness.standing()).toMatchObject({ status: 'running', mode: 'record' });

  const atCut = await recorder.cut(() => witness.standing());
  const { icount } = atCut.replay;
  expect(atCut.done).toEqual({ status: 'paused', mode: 'record', icount });
  expect((await witness.standing()).status).toBe('running');
  const stops = atCut.discarded + 1;
  expect(witness.events.filter((event) => /^(STOP|RESUME)$/.test(event))).toEqual(
    Array.from({ length: stops }, () => ['STOP', 'RESUME']).flat(),
  );

  await recorder.standStill();
  const standing = await witness.standing();
  expect(standing).toEqual({ ...(await ours(instance)), status: 'paused' });
  expect(standing.icount).toBeGreaterThanOrEqual(recorder.icount);
  await instance.cont();
  recorder.throttle.resume();

  const copy = await machine.seed();
  const beside = await Witness.of(copy.replayer.instance);
  await machine.console.run('work fork 2; echo seen > /data/seen; sync');
  await copy.catchUp();
  const before = await copy.replayer.queryIcount();
  const replayed = await beside.standing();
  expect(replayed).toMatchObject({ status: 'running', mode: 'play' });
  expect(replayed.icount).toBeGreaterThanOrEqual(before);
  expect(await copy.replayer.queryIcount()).toBeGreaterThanOrEqual(replayed.icount);

  await machine.kill();
  await waitFor('the end of the recorder', () => witness.events.at(-1) === 'gone' || undefined);
  const { machine: heir } = await copy.takeOver();
  expect(beside.events).toContain('STOP');
  const last = await Witness.of(heir.recorder.instance);
  expect(await heir.console.run('cat /data/seen')).toContain('seen');
  const taken = await last.standing();
  expect(taken).toMatchObject({ status: 'running', mode: 'record' });
  expect(taken.icount).toBeGreaterThan(copy.tail.icount);
  expect([...machine.errors, ...heir.errors, ...copy.errors]).toEqual([]);
});
