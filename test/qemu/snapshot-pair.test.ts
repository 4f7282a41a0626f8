// A protected machine is kept by policy and on request, and comes back: as it was at a snapshot, alone and
// then protected again, and at the last instant that was kept. What it did can be seen again.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpuRegisters } from '../../src/hypervisor/device-state/cpu-registers.ts';
import { parseDeviceState } from '../../src/hypervisor/device-state.ts';
import { readFrames } from '../../src/node/snapshots/frame-capture.ts';
import { askNode } from '../../src/observe/control-client.ts';
import { openStore } from '../../src/store/store.ts';
import { PairUnderTest, waitFor } from './harness.ts';
import { consoleOf, controlOf, RunningVerbs, understudy, untilState } from './verbs.ts';

const verbs = new RunningVerbs(() => pair.stage.dir);
let pair: PairUnderTest;
let store: string;
/** Taken by hand, between the first and the second file. */
let taken: string;

beforeAll(async () => {
  pair = await PairUnderTest.open();
  store = path.join(pair.stage.dir, 'store');
  pair.configure((file) => {
    file.snapshots = { store, every: '1s' };
  });
  const { a, b } = await pair.protect();
  const terminal = await pair.console(a);
  await waitFor('a first snapshot', () =>
    pair.events('b').some(({ type }) => type === 'snapshot') ? true : undefined,
  );
  await terminal.run('echo one > /data/one; sync');
  const answer = await understudy(
    ...['snapshot', 'take', '--pair', pair.stage.pairFile, '--label', 'one', '--json'],
  );
  expect(answer).toMatchObject({ code: 0, stderr: '' });
  taken = (JSON.parse(answer.stdout) as { snapshot: string }).snapshot;
  await terminal.run('echo two > /data/two; sync; echo seen-by-replay');
  await pair.read('/read');
  await waitFor('the next snapshot', () => {
    const ids = pair.events('b').flatMap((event) => (event.type === 'snapshot' ? [event.id] : []));
    return ids.at(-1) !== taken && ids.includes(taken) ? true : undefined;
  });
  await b.stop();
  await a.stop();
}, 90_000);

afterAll(async () => {
  await verbs.end();
  await pair.close();
});

test('what was kept is listed, whole, and shown', async () => {
  const listed = await understudy('snapshot', 'ls', '--store', store, '--json');
  const ids = listed.stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: string }).id);
  expect(ids).toContain(taken);
  // None but those that were due before the copy was followed.
  const dropped = pair
    .events('b')
    .flatMap((event) => (event.type === 'snapshotDropped' ? [event.reason] : []))
    .filter((reason) => !reason.includes('not followed yet'));
  expect(dropped).toEqual([]);
  const checked = await understudy('snapshot', 'verify', '--store', store);
  expect(checked).toMatchObject({ code: 0 });
  expect(checked.stdout).toContain('all is well');
});

test('a snapshot runs again, alone, and is protected again', async () => {
  const out = path.join(pair.stage.dir, 'again');
  verbs.run('restore', taken, '--store', store, '--as', 'again', '--out', out);
  const pairFile = path.join(out, 'pair.yaml');
  await waitFor('the pair file', () => fs.existsSync(pairFile) || undefined);
  await untilState(pairFile, 'a', 'alone');
  const terminal = await consoleOf(pairFile, 'a');
  const said = await terminal.run('cat /data/one; ls /data');
  expect(said).toContain('one');
  expect(said).not.toContain('two');
  verbs.run('node', '--pair', pairFile, '--name', 'b');
  await untilState(pairFile, 'a', 'protected');
  const found = await askNode(controlOf(pairFile, 'a'), 'verify');
  expect(found).toEqual({ ok: true, equal: true, differences: [] });
});

test('the last instant has what the snapshot had not, and shows what was done', async () => {
  const [printed, pcap] = [path.join(pair.stage.dir, 'text'), path.join(pair.stage.dir, 'pcap')];
  const replayed = await understudy(
    ...['replay', taken, '--store', store, '--end', '--console', printed, '--pcap', pcap, '--json'],
  );
  expect(replayed).toMatchObject({ code: 0, stderr: '' });
  expect(fs.readFileSync(printed, 'latin1')).toContain('\nseen-by-replay');
  const frames = readFrames(pcap);
  expect(frames.length).toBeGreaterThan(4);
  // Stamped with the clock on the wall.
  const age = Date.now() - (frames[0]?.us ?? 0) / 1000;
  expect(age).toBeGreaterThan(0);
  expect(age).toBeLessThan(120_000);
});

/** One packet to a GDB stub, and the answer's content. */
function gdb(socket: net.Socket, command: string): Promise<string> {
  const sum = Buffer.from(command).reduce((all, byte) => (all + byte) & 0xff, 0);
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', function take(chunk: Buffer) {
      text += chunk.toString('latin1');
      const found = /\$([^#]*)#[0-9a-f]{2}/.exec(text);
      if (found === null) return;
      socket.off('data', take);
      socket.write('+');
      resolve(found[1] ?? '');
    });
    socket.write(`$${command}#${sum.toString(16).padStart(2, '0')}`);
  });
}

test('a debugger sees the registers of the snapshot', async () => {
  const open = await openStore({ directory: store, mode: 'read' });
  const snapshot = await open.open(taken);
  const { general } = cpuRegisters(parseDeviceState(await snapshot.deviceState()));
  const { icount } = snapshot.manifest;
  await open.close();
  const path = `${pair.stage.dir}/gdb`;
  const child = verbs.run(
    'replay',
    taken,
    '--store',
    store,
    '--icount',
    String(icount),
    '--gdb',
    path,
  );
  await waitFor('the socket', () => fs.existsSync(path) || undefined);
  const socket = net.connect(path);
  await new Promise((resolve) => socket.once('connect', resolve));
  const registers = await gdb(socket, 'g');
  // gdb's order: 16 general registers, then rip, each little-endian.
  const rip = Buffer.from(registers.slice(16 * 16, 17 * 16), 'hex').readBigUInt64LE();
  expect(rip).toBe(general.rip);
  const rax = Buffer.from(registers.slice(0, 16), 'hex').readBigUInt64LE();
  expect(rax).toBe(general.rax);
  socket.destroy();
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(fs.existsSync(path)).toBe(false);
});
