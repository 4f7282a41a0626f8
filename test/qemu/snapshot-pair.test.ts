// A protected machine is kept by policy and on request, and comes back: as it was at a snapshot,
// alone and then protected again, also when only its copy is left, and at the last instant that was
// kept. What it did can be seen again.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import YAML from 'yaml';
import { cpuRegisters } from '../../src/hypervisor/device-state/cpu-registers.ts';
import { parseDeviceState } from '../../src/hypervisor/device-state/device-state.ts';
import { askNode } from '../../src/observe/control-client.ts';
import { readFrames } from '../../src/restore/frame-capture.ts';
import { openStore } from '../../src/store/store.ts';
import { GdbStub } from './gdb-stub.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';
import { droppedBy } from './snapshot-rig.ts';
import { consoleOf, controlOf, RunningVerbs, understudy, untilState } from './verbs.ts';

const verbs = new RunningVerbs(() => pair.stage.dir);
let pair: PairUnderTest;
let store: string;
/** Where it is copied to. */
let copies: string;
/** Taken by hand, between the first and the second file. */
let taken: string;
let begunAt: number;
/** Kernel and initial RAM disk of the machine. */
let bootFiles: readonly string[];

beforeAll(async () => {
  begunAt = Date.now();
  pair = await PairUnderTest.open();
  store = path.join(pair.stage.dir, 'store');
  copies = path.join(pair.stage.dir, 'copies');
  fs.mkdirSync(copies);
  pair.configure((file) => {
    file.snapshots = { store, every: '1s', copyTo: copies };
  });
  bootFromCopies();
  const { a, b } = await pair.protect();
  const terminal = await pair.console(a);
  await waitFor('a first snapshot', () =>
    pair.events('b').some(({ type }) => type === 'snapshot') ? true : undefined,
  );
  await terminal.run('echo one > /data/one; sync');
  const answer = await understudy(
    ...['snapshot', 'take', '--pair', pair.stage.pairFile, '--label', 'one', '--safe', '--json'],
  );
  expect(answer).toMatchObject({ code: 0 });
  const { snapshot, tier } = JSON.parse(answer.stdout) as { snapshot: string; tier: string };
  expect(tier).toBe('safe');
  taken = snapshot;
  await terminal.run('echo two > /data/two; sync; echo seen-by-replay');
  await pair.read('/read');
  await waitFor('the next snapshot', () => {
    const ids = pair.events('b').flatMap((event) => (event.type === 'snapshot' ? [event.id] : []));
    return ids.at(-1) !== taken && ids.includes(taken) ? true : undefined;
  });
  await b.stop();
  await a.stop();
  // What is restored below is restored on a host that has never had them.
  for (const file of bootFiles) fs.rmSync(file);
});

/** The machine boots with files that are only its own. */
function bootFromCopies(): void {
  const vmFile = path.join(pair.stage.dir, 'vm.yaml');
  const vm = YAML.parse(fs.readFileSync(vmFile, 'utf8')) as {
    boot: Record<'kernel' | 'initrd', string>;
  };
  bootFiles = (['kernel', 'initrd'] as const).map((name) => {
    const copy = path.join(pair.stage.dir, `own-${name}`);
    fs.copyFileSync(vm.boot[name], copy);
    vm.boot[name] = copy;
    return copy;
  });
  fs.writeFileSync(vmFile, YAML.stringify(vm));
}

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
  expect(droppedBy(pair, 'b')).toEqual([]);
  for (const each of [store, copies]) {
    const checked = await understudy('snapshot', 'verify', '--store', each);
    expect(checked).toMatchObject({ code: 0 });
    expect(checked.stdout).toContain('all is well');
  }
  const tiered = await understudy('snapshot', 'ls', '--pair', pair.stage.pairFile);
  expect(tiered.stdout).toMatch(new RegExp(`^${taken} .* safe {2}"one"$`, 'm'));
});

test('a snapshot whose store is lost runs again from its copy, and is protected again', async () => {
  fs.renameSync(store, `${store}-lost`);
  const out = path.join(pair.stage.dir, 'again');
  verbs.run('restore', taken, '--store', copies, '--as', 'again', '--out', out);
  const pairFile = path.join(out, 'pair.yaml');
  await waitFor('the pair file', () => fs.existsSync(pairFile) || undefined);
  fs.renameSync(`${store}-lost`, store);
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
  const sentAt = (frames[0]?.us ?? 0) / 1000;
  expect(sentAt).toBeGreaterThan(begunAt);
  expect(sentAt).toBeLessThan(Date.now());
});

/** A debugger at an instant behind the snapshot that was taken by hand; `walk` is what it does. */
async function debugged<T>(until: readonly string[], walk: (gdb: GdbStub) => Promise<T>) {
  const socket = `${pair.stage.dir}/gdb`;
  const child = verbs.run('replay', taken, '--store', store, ...until, '--gdb', socket);
  await waitFor('the socket', () => fs.existsSync(socket) || undefined);
  const gdb = await GdbStub.connect(socket);
  const found = await walk(gdb);
  gdb.close();
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(child.exitCode).toBe(0);
  expect(fs.existsSync(socket)).toBe(false);
  return found;
}

/** Linux's interrupt of the local timer: taken all the time, whatever the guest does. */
const timerVector = 0xec;

const stoppedAtBreakpoint = /^T05/;
const stoppedAtEnd = /^T02/;

/** On to the breakpoint, and a step off it as gdb does it. Returns the icount of the stop. */
async function nextHit(gdb: GdbStub, entry: bigint): Promise<number> {
  expect(await gdb.ask('c')).toMatch(stoppedAtBreakpoint);
  expect((await gdb.registers())[16]).toBe(entry);
  const hit = await gdb.icount();
  expect(await gdb.ask('s')).toMatch(stoppedAtBreakpoint);
  return hit;
}

test('a debugger sees the snapshot, stops on the way, and comes to the end of the log', async () => {
  const open = await openStore({ directory: store, mode: 'read' });
  const snapshot = await open.open(taken);
  const { general } = cpuRegisters(parseDeviceState(await snapshot.deviceState()));
  const { icount, epoch } = snapshot.manifest;
  await open.close();

  const walked = await debugged(['--icount', String(icount)], async (gdb) => {
    expect(await gdb.icount()).toBe(icount);
    const at = await gdb.registers();
    expect([at[0], at[16]]).toEqual([general.rax, general.rip]);
    const entry = await gdb.interruptEntry(timerVector);
    const breakpoint = `1,${entry.toString(16)},1`;
    expect(await gdb.ask(`Z${breakpoint}`)).toBe('OK');
    const hits: number[] = [];
    while (hits.length < 20) hits.push(await nextHit(gdb, entry));
    // A step backwards needs a snapshot inside QEMU: it is refused, and nothing has changed.
    expect(await gdb.ask('bs')).toBe('E14');
    expect(await gdb.ask(`z${breakpoint}`)).toBe('OK');
    expect(await gdb.ask('c')).toMatch(stoppedAtEnd);
    const end = { icount: await gdb.icount(), registers: await gdb.registers() };
    expect(await gdb.ask('c')).toMatch(stoppedAtEnd);
    expect(await gdb.icount()).toBe(end.icount);
    return { entry, hits, end };
  });
  const { entry, hits, end } = walked;
  expect(hits).toEqual([...new Set(hits)].sort((a, b) => a - b));
  expect(hits[0]).toBeGreaterThanOrEqual(icount);
  expect(end.icount).toBeGreaterThan(hits.at(-1) ?? 0);

  // The same stops from the middle of it, and the same end without any.
  const middle = (hits[9] ?? 0) + 1;
  await debugged(['--icount', String(middle)], async (gdb) => {
    expect(await gdb.icount()).toBe(middle);
    expect(await gdb.ask(`Z1,${entry.toString(16)},1`)).toBe('OK');
    for (const hit of hits.slice(10)) expect(await nextHit(gdb, entry)).toBe(hit);
  });
  await debugged(['--epoch', String(epoch + 10)], async (gdb) => {
    expect(await gdb.icount()).toBeGreaterThan(icount);
    expect(await gdb.ask('c')).toMatch(stoppedAtEnd);
    expect({ icount: await gdb.icount(), registers: await gdb.registers() }).toEqual(end);
  });
});

test('a debugger cannot be where the kept log does not lead, and may end the machine', async () => {
  const socket = `${pair.stage.dir}/gdb-refused`;
  const replayed = await understudy(
    ...['replay', taken, '--store', store, '--icount', '999999999999', '--gdb', socket],
  );
  expect(replayed).toMatchObject({ code: 1, stdout: '' });
  expect(replayed.stderr).toContain('The kept log ends before icount 999999999999');
  expect(fs.existsSync(socket)).toBe(false);

  const child = verbs.run('replay', taken, '--store', store, '--end', '--gdb', socket);
  await waitFor('the socket', () => fs.existsSync(socket) || undefined);
  const gdb = await GdbStub.connect(socket);
  void gdb.ask('k');
  await new Promise((resolve) => child.once('exit', resolve));
  gdb.close();
  expect(child.exitCode).toBe(0);
});
