// What a node does about a guest that failed, as its pair file says: it tells, or it prepares a
// past and asks its core. QEMU is a script that only tells its version: nothing is booted here.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { icount, logPosition, term } from '../../../src/base/units.ts';
import type { Wish } from '../../../src/core/effects.ts';
import { parseVmConfig, vmFingerprint, withQemu } from '../../../src/hypervisor/config.ts';
import { qemuVersion } from '../../../src/hypervisor/qemu/version.ts';
import { Concerns } from '../../../src/node/concerns.ts';
import type { PairConfig } from '../../../src/node/pair-file/pair-config.ts';
import type { WatchdogPolicy } from '../../../src/node/pair-file/watchdog-policy.ts';
import { type NodeEvent, Reporter } from '../../../src/node/report.ts';
import { Watchdog } from '../../../src/node/watchdog/watchdog.ts';
import { diskImage, ramImage } from '../../../src/ports/snapshot-store.ts';
import { preparedPaths } from '../../../src/restore/prepared.ts';
import { openStore } from '../../../src/store/store.ts';
import { writeFakeQemu } from '../../doubles/fake-qemu.ts';
import { facts, noise } from '../../store/snapshots.ts';
import { hangMs } from '../../time.ts';
import { quiet } from '../machineless.ts';
import { scratchDir } from '../scratch.ts';

const megabyte = 1024 * 1024;
const scratch = scratchDir();
let made = 0;
let dir: string;
let store: string;
const panic = {
  kind: 'panic',
  what: 'Kernel panic - not syncing: Oops',
  icount: undefined,
} as const;

beforeEach(() => {
  made += 1;
  dir = path.join(scratch, `${made}`);
  store = path.join(dir, 'store');
  fs.mkdirSync(dir);
});
afterEach(() => vi.restoreAllMocks());

/** Keeps snapshots, each after so many instructions; returns what they are of. */
async function keep(...icounts: number[]) {
  fs.writeFileSync(path.join(dir, 'bios-256k.bin'), 'firmware');
  const qemu = writeFakeQemu(path.join(dir, 'qemu'));
  const vmFile = `name: web\nmemory: 32M\nqemu: ${qemu}\nboot: { disk: true }\ndisks: [{ id: d0 }]\n`;
  const vm = await withQemu(parseVmConfig(vmFile, { file: 'vm.yaml', baseDir: '/' }));
  const of = {
    vmFingerprint: await vmFingerprint(vm),
    qemuVersion: (await qemuVersion(qemu)).text,
  };
  const opened = await openStore({ directory: store });
  const ids: string[] = [];
  for (const executed of icounts) {
    const images = [
      { name: ramImage, bytes: 32 * megabyte },
      { name: diskImage('d0'), bytes: megabyte },
    ];
    const at = { icount: icount(executed), position: logPosition(executed), takenAtMs: Date.now() };
    const writer = await opened.begin(facts({ ...of, ...at, vmFile, images, term: term(1) }));
    await writer.put(ramImage, 0, noise(writer.chunkBytes, executed));
    await writer.deviceState(Buffer.from(`state ${executed}`));
    ids.push((await writer.commit()).id);
  }
  await opened.close();
  return { ...of, ids };
}

async function watchdog(
  policy: Partial<WatchdogPolicy>,
  icounts: number[] = [10, 20],
  ask: (wish: Wish) => Promise<unknown> = async () => ({ type: 'begun' }),
) {
  const { ids, ...of } = await keep(...icounts);
  const reporter = new Reporter();
  const events: NodeEvent[] = [];
  reporter.events.subscribe((event) => events.push(event));
  const concerns = new Concerns({ reporter, log: quiet });
  const asked = vi.fn(ask);
  const config = {
    ...{ pair: 'web', snapshots: { store } },
    self: { name: 'a', stateDir: path.join(dir, 'state') },
  } as unknown as PairConfig;
  fs.mkdirSync(config.self.stateDir);
  const dog = new Watchdog({
    policy: {
      ...{ action: 'restore', panic: ['Kernel panic'], silenceMs: 10_000 },
      ...{ restores: 3, withinMs: 3_600_000, losesMs: 3_600_000, ...policy },
    },
    ...{ config, ...of, runDir: path.join(dir, 'run'), ask: asked },
    ...{ concerns, reporter, log: quiet },
  });
  dog.begins(term(1));
  const back = path.join(config.self.stateDir, 'web-a.back');
  const last = () => dog.failures?.last;
  const until = (holds: () => void) => vi.waitFor(holds, { timeout: hangMs, interval: 10 });
  return { dog, ids, events, concerns, asked, back, last, until };
}

it('tell: says so, and does nothing', async () => {
  const { dog, events, concerns, asked, last } = await watchdog({ action: 'tell' });
  dog.failed(panic);
  expect(events).toContainEqual({ type: 'guestFailed', ...panic, icount: 0, action: 'tell' });
  expect(concerns.present).toMatchObject([{ about: 'guest' }]);
  expect(last()).toMatchObject({ kind: 'panic', done: 'told' });
  await new Promise((resolve) => setImmediate(resolve));
  expect([asked.mock.calls, fs.existsSync(path.join(dir, 'run'))]).toEqual([[], false]);
});

it('restore: prepares the newest that was well, without touching anything, and asks the core', async () => {
  const { dog, ids, asked, back, until, last } = await watchdog({}, [10, 20, 30]);
  dog.failed({ ...panic, icount: 25 });
  await until(() => expect(asked).toHaveBeenCalled());
  const reason = `The guest has panicked ("${panic.what}"): it goes back to snapshot ${ids[1]}`;
  expect(asked.mock.calls).toEqual([[{ wish: 'goBack', reason }]]);
  expect(fs.readFileSync(preparedPaths(back).state, 'utf8')).toBe('state 20');
  expect(last()).toMatchObject({ done: 'goingBack' });
  // Until it went back, or another machine is here, this is the one failure.
  dog.failed(panic);
  expect(dog.failures?.count).toBe(1);
});

it('a snapshot that is damaged: the one before it', async () => {
  const { dog, ids, asked, until } = await watchdog({}, [10]);
  const packs = path.join(store, 'packs');
  const whole = new Set(fs.readdirSync(packs));
  ids.push(...(await keep(20)).ids);
  for (const name of fs.readdirSync(packs).filter((pack) => !whole.has(pack))) {
    const bytes = fs.readFileSync(path.join(packs, name));
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    fs.chmodSync(path.join(packs, name), 0o600);
    fs.writeFileSync(path.join(packs, name), bytes);
  }
  dog.failed(panic);
  await until(() => expect(asked).toHaveBeenCalled());
  expect(asked.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringContaining(`${ids[0]}`) });
});

it.each([
  ['no snapshot', [], panic, 'no snapshot of it is in the store of this node'],
  ['none of before', [10], { ...panic, icount: 5 }, 'all of its snapshots were taken when it had'],
] as const)('%s: the guest stays as it is, and it is said why', async (_, kept, failure, why) => {
  const { dog, events, concerns, asked, last, until } = await watchdog({}, [...kept]);
  dog.failed(failure);
  await until(() => expect(last()?.done).toBe('stays'));
  expect(last()?.why).toContain(why);
  expect(events).toContainEqual({ type: 'guestStays', reason: expect.stringContaining(why) });
  expect(concerns.present[0]?.problem).toContain(`and stays as it is: ${last()?.why}`);
  expect(asked).not.toHaveBeenCalled();
});

it('a silent guest that speaks before it is gone back with is left alone', async () => {
  const { dog, asked, back, until, concerns } = await watchdog({});
  const watch = dog.watch(() => 0);
  watch.told({ type: 'speak' });
  for (let now = 0; now < 11_000; now += 100) watch.tick(now);
  expect(dog.failures?.last.kind).toBe('silence');
  watch.output(Buffer.from('alive\n'));
  watch.tick(11_000);
  await until(() => expect(fs.existsSync(path.join(dir, 'run/past'))).toBe(false));
  await until(() => expect(fs.existsSync(back)).toBe(false));
  expect([asked.mock.calls, concerns.present]).toEqual([[], []]);
});

it('a core that cannot now is asked again, until the machine is gone', async () => {
  let refusals = 0;
  const busy = async () => {
    refusals += 1;
    throw new Error('The machine cannot go back now: handingOver');
  };
  const { dog, asked, until, back } = await watchdog({}, [10], busy);
  dog.failed(panic);
  await until(() => expect(refusals).toBeGreaterThan(1));
  dog.gone();
  const before = asked.mock.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(asked.mock.calls.length).toBe(before);
  // It has become a backup: what was prepared is of no use.
  dog.begins(term(2));
  expect(fs.existsSync(back)).toBe(false);
});
