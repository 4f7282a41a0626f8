// A backup keeps cuts of its machine: what is in the store is the primary's state, byte for byte,
// and protection goes on meanwhile.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseDeviceState, timerSection } from '../../src/hypervisor/device-state/device-state.ts';
import { differingBlocks, digestRam } from '../../src/hypervisor/memory/ram.ts';
import { diskImage, ramImage, type SnapshotStore } from '../../src/ports/snapshot-store.ts';
import type { Instant } from '../../src/restore/instant.ts';
import { type Guide, rollForward } from '../../src/restore/roll-forward.ts';
import { openStore } from '../../src/store/store.ts';
import { Lab } from './harness/lab.ts';
import { KeptPair, withDelta } from './snapshot-rig.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

test('cuts of a busy machine are kept, each with what changed since the one before', async () => {
  const store = await openLabStore();
  const pair = await KeptPair.open(lab, store);
  const { machine } = pair;
  await machine.console.run('echo first > /data/first; sync');
  await pair.keeper.settled();
  const first = await pair.cut({ keep: true });
  await machine.console.run('echo second > /data/second; sync; work syncwrite 5');
  const second = await pair.cut({ keep: true });

  for (const kept of [first, second]) {
    const snapshot = await store.open(kept.id);
    const ramFile = lab.fresh('ram');
    await snapshot.materialize(ramImage, ramFile);
    expect(differingBlocks(kept.ram, await digestRam(ramFile))).toEqual([]);
    expect(snapshot.manifest.icount).toBe(kept.icount);
  }
  const taken = pair.events.filter((event) => event.type === 'snapshot');
  expect(taken).toHaveLength(2);
  const [whole, increment] = taken as [(typeof taken)[0], (typeof taken)[0]];
  expect(increment.addedBytes).toBeLessThan(whole.addedBytes / 2);
  expect([...machine.errors, ...pair.failures]).toEqual([]);
});

/** The keeper closes a store that it wrote to: it is opened anew to be read. */
async function openLabStore(): Promise<SnapshotStore> {
  const store = await openStore({ directory: `${lab.dir}/store` });
  lab.onClose(() => store.close());
  return store;
}

/** A machine rolled forward from a snapshot: its files, and where it stands. */
async function past(store: SnapshotStore, id: string, until: Instant, guide?: Guide) {
  const snapshot = await store.open(id);
  const [ramFile, image] = [lab.fresh('ram'), lab.fresh('image')];
  await snapshot.materialize(ramImage, ramFile);
  await snapshot.materialize(diskImage('data'), image);
  const { manifest } = snapshot;
  const rolled = await rollForward({
    ...{ vm: lab.vm, layout: lab.layout, ramFile, until, pidDir: lab.dir },
    diskImages: { data: image },
    deviceState: await snapshot.deviceState(),
    cut: manifest,
    pieces: store.log.follow(manifest),
    dir: lab.fresh('past'),
    ...(guide === undefined ? {} : { guide }),
  });
  return { ...rolled, ramFile, image };
}

/** A debugger that lets the machine go on at once, and what it sees of it. */
function watcher(isReplaceable: boolean) {
  const seen: { machines: number; problem?: string | undefined } = { machines: 0 };
  const guide: Guide = {
    held: () => false,
    isReplaceable: () => isReplaceable,
    loaded: async (replayer) => {
      seen.machines += 1;
      replayer.letGo();
    },
    atEnd: async (_, problem) => {
      seen.problem = problem?.message;
    },
  };
  return { guide, seen };
}

const lastDelta = (state: Buffer): bigint =>
  state.readBigInt64BE((timerSection(parseDeviceState(state))?.shiftAt ?? 0) + 2);

const areEqual = (a: string, b: string): boolean => {
  try {
    execFileSync('cmp', ['-s', a, b]);
    return true;
  } catch {
    return false;
  }
};

test('any instant between two cuts is the same machine each time, and a cut is itself', async () => {
  const pair = await KeptPair.open(lab, await openLabStore());
  const { machine } = pair;
  await pair.keeper.settled();
  const first = await pair.cut({ keep: true });
  await machine.console.run('work syncwrite 3; echo early > /data/early; sync');
  const between = machine.recorder.icount;
  await sleep(200);
  const betweenAt = Date.now();
  await sleep(200);
  const behind = machine.recorder.icount;
  await machine.console.run('work fork 2; echo more > /data/more; sync');
  // Its copy takes the primary's judgement of the clock, and the log says so. A busy guest executes
  // its next instruction at once; an idle one, or one that waits for its disk, may sleep until it
  // was judged anew.
  await machine.console.run('while :; do :; done & echo $! > /run/busy');
  let delta = 0n;
  const judged = await pair.cut({
    keep: false,
    judged: (state) => {
      const forged = withDelta(state, 1n);
      delta = lastDelta(forged);
      return forged;
    },
  });
  expect(pair.clocksTaken).toBeGreaterThanOrEqual(1);
  await machine.console.run('kill $(cat /run/busy); echo late > /data/late; sync');
  const last = await pair.cut({ keep: true });
  await pair.keeper.close();
  const store = await openLabStore();
  expect([...machine.errors, ...pair.failures]).toEqual([]);
  await machine.kill();

  const twins = [
    await past(store, first.id, { kind: 'icount', icount: between }),
    await past(store, first.id, { kind: 'icount', icount: between }),
  ] as const;
  expect(twins.map(({ icount }) => icount)).toEqual([between, between]);
  expect(areEqual(twins[0].ramFile, twins[1].ramFile)).toBe(true);
  expect(areEqual(twins[0].image, twins[1].image)).toBe(true);

  const timed = await past(store, first.id, { kind: 'time', ms: betweenAt });
  expect(timed.icount).toBeGreaterThan(between);
  expect(timed.icount).toBeLessThan(behind);

  const end = await past(store, first.id, { kind: 'icount', icount: last.icount });
  expect(differingBlocks(last.ram, await digestRam(end.ramFile))).toEqual([]);
  const kept = lab.fresh('image');
  await (await store.open(last.id)).materialize(diskImage('data'), kept);
  expect(areEqual(end.image, kept)).toBe(true);

  const at = await past(store, first.id, { kind: 'icount', icount: judged.icount });
  expect(lastDelta(at.deviceState)).toBe(delta - 1n);
  const justBehind = await past(store, first.id, { kind: 'icount', icount: judged.icount + 1 });
  // Taken; or it was judged anew, once a second, before a machine that waits got to its next
  // instruction.
  expect(lastDelta(justBehind.deviceState)).not.toBe(delta - 1n);
  const early = watcher(true);
  const seen = await past(store, first.id, { kind: 'end' }, early.guide);
  expect(early.seen.machines).toBeGreaterThanOrEqual(2);
  expect(early.seen.problem).toBeUndefined();
  expect(seen.icount).toBeGreaterThanOrEqual(last.icount);
  const late = watcher(false);
  const stuck = await past(store, first.id, { kind: 'end' }, late.guide);
  expect(late.seen.machines).toBe(1);
  expect(late.seen.problem).toMatch(/took its clock from the primary/);
  expect(stuck.icount).toBe(judged.icount);

  const beyond = past(store, last.id, { kind: 'icount', icount: last.icount * 2 });
  await expect(beyond).rejects.toThrow(/The kept log ends before icount/);
});

test('a snapshot that the store refuses costs nothing but itself', async () => {
  const directory = await openLabStore();
  let fails = false;
  const failing: SnapshotStore = {
    ...{ log: directory.log, open: (id) => directory.open(id), list: () => directory.list() },
    ...{ remove: (id) => directory.remove(id), collect: () => directory.collect() },
    ...{ usage: () => directory.usage(), verify: () => directory.verify() },
    close: () => directory.close(),
    begin: async (facts, parent) => {
      const writer = await directory.begin(facts, parent);
      const commit = () =>
        fails ? Promise.reject(new Error('the disk is full')) : writer.commit();
      return {
        ...{ id: writer.id, chunkBytes: writer.chunkBytes, commit },
        put: (image, offset, bytes) => writer.put(image, offset, bytes),
        deviceState: (bytes) => writer.deviceState(bytes),
        abort: () => writer.abort(),
      };
    },
  };
  const pair = await KeptPair.open(lab, failing);
  const { machine } = pair;
  await pair.keeper.settled();
  const first = await pair.cut({ keep: true });
  await machine.console.run('work syncwrite 2; echo refused > /data/refused; sync');
  fails = true;
  await expect(pair.cut({ keep: true })).rejects.toThrow('the disk is full');
  fails = false;
  await machine.console.run('echo kept > /data/kept; sync');
  const last = await pair.cut({ keep: true });
  expect(pair.events.filter(({ type }) => type === 'snapshotDropped')).toHaveLength(1);
  expect([...machine.errors, ...pair.failures]).toEqual([]);
  await pair.keeper.close();
  await machine.kill();

  // What had changed up to the refused one is in the next one.
  const store = await openLabStore();
  const kept = { ramFile: lab.fresh('ram'), image: lab.fresh('image') };
  const snapshot = await store.open(last.id);
  await snapshot.materialize(ramImage, kept.ramFile);
  await snapshot.materialize(diskImage('data'), kept.image);
  expect(differingBlocks(last.ram, await digestRam(kept.ramFile))).toEqual([]);
  const executed = await past(store, first.id, { kind: 'icount', icount: last.icount });
  expect(areEqual(executed.image, kept.image)).toBe(true);
});
