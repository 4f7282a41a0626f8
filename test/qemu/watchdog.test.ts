// A guest that fails by itself: its pair goes back to a snapshot that is older than the failure, in
// a new term, is protected again, and gives up when that has not helped often enough.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WatchEvent } from '../../src/observe/control-client.ts';
import { openStore } from '../../src/store/store.ts';
import { PairUnderTest } from './harness/pair.ts';
import type { Terminal } from './harness/terminal.ts';
import { waitFor } from './harness/wait.ts';

let pair: PairUnderTest;
let store: string;
beforeEach(async () => {
  pair = await PairUnderTest.open();
  store = path.join(pair.stage.dir, 'store');
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
});

type Of<T extends WatchEvent['type']> = Extract<WatchEvent, { type: T }>;

const all = <T extends WatchEvent['type']>(name: string, type: T): Of<T>[] =>
  pair.events(name).filter((event): event is Of<T> => event.type === type);

const seen = <T extends WatchEvent['type']>(type: T, count = 1, by = 'a'): Promise<Of<T>> =>
  waitFor(`${type} ${count}`, () => all(by, type)[count - 1]);

/** So many more snapshots than there are. */
async function moreSnapshots(count: number): Promise<void> {
  const before = all('b', 'snapshot').length;
  await waitFor('snapshots', () => all('b', 'snapshot').length >= before + count || undefined);
}

async function kept(id: string) {
  const opened = await openStore({ directory: store, mode: 'read' });
  const found = (await opened.list()).find((snapshot) => snapshot.id === id);
  await opened.close();
  if (found === undefined) throw new Error(`there is no snapshot ${id}`);
  return found;
}

const crash = (terminal: Terminal): void => terminal.paste('echo c > /proc/sysrq-trigger\n');

test('a guest that panics is back as it was, protected, and after two times stays and is told of', async () => {
  pair.configure((file) => {
    file.snapshots = { store, every: '1s' };
    file.watchdog = { action: 'restore', restores: 2 };
  });
  const { a, b } = await pair.protect();
  const image = path.join(pair.stage.dir, 'data-a.raw');
  const terminal = await pair.console(a);
  await terminal.run('kept=in-memory-only; echo on-disk > /data/written; sync');
  await moreSnapshots(2);
  const { term: before } = await a.status();
  await terminal.run('echo lost > /data/lost; sync');
  crash(terminal);

  // Once: it is the newest snapshot from before the panic, without a boot.
  const failed = await seen('guestFailed');
  expect(failed).toMatchObject({ kind: 'panic', action: 'restore' });
  expect(failed.what).toMatch(/^Kernel panic - not syncing: sysrq triggered crash/);
  const first = await seen('wentBack');
  expect(first.restores).toBe(1);
  const snapshot = await kept(first.snapshot);
  expect(snapshot.icount).toBeLessThanOrEqual(failed.icount);
  expect(snapshot.term).toBe(before);
  await pair.protectedBy(a, b);
  const status = await a.status();
  expect(status.term).toBeGreaterThan(before);
  expect(status).toMatchObject({
    role: 'primary',
    guestFailures: { count: 1, last: { done: 'wentBack', snapshot: first.snapshot } },
  });
  expect(fs.existsSync(`${image}.before-restart`)).toBe(true);
  const said = await terminal.run(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
    'echo ${kept}; cat /data/written; dmesg | grep -c "Linux version"',
  );
  expect(said).toMatch(/in-memory-only\s+on-disk\s+1/);
  expect(all('b', 'takeover')).toEqual([]);
  expect(await pair.compare(a, b)).toEqual([]);

  // Again: further back, although there are newer ones.
  await moreSnapshots(1);
  crash(terminal);
  const second = await seen('wentBack', 2);
  const older = await kept(second.snapshot);
  expect(older.icount).toBeLessThan(snapshot.icount);
  await pair.protectedBy(a, b);

  // And no more: the bound is told, and the guest does what its kernel does.
  crash(terminal);
  const { reason } = await seen('guestStays');
  expect(reason).toContain('it went back 2 times within 60 min already (watchdog.restores)');
  expect(all('a', 'wentBack')).toHaveLength(2);
  expect((await a.status()).guestFailures).toMatchObject({ count: 3, last: { done: 'stays' } });
});

test('its primary dies just behind the panic: who took over knows of it, and goes back', async () => {
  pair.configure((file) => {
    file.snapshots = { store, every: '1s' };
    file.watchdog = { action: 'restore' };
  });
  const { a } = await pair.protect();
  const terminal = await pair.console(a);
  await terminal.run('kept=in-memory-only');
  await moreSnapshots(2);
  crash(terminal);
  await terminal.until('Kernel panic - not syncing');
  await a.killWithMachine();
  // The line was on the console of its copy, which nobody hears.
  const failed = await seen('guestFailed', 1, 'b');
  expect(failed).toMatchObject({ kind: 'panic', action: 'restore' });
  const back = await kept((await seen('wentBack', 1, 'b')).snapshot);
  expect(back.icount).toBeLessThanOrEqual(failed.icount);
  expect(all('a', 'wentBack')).toEqual([]);
  const b = pair.node('b');
  const after = await pair.console(b);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
  expect(await after.run('echo ${kept}')).toContain('in-memory-only');
  await pair.protectedBy(b, pair.start('a'));
});

test('a guest that falls silent goes back to when it still spoke', async () => {
  pair.configure((file) => {
    file.snapshots = { store, every: '1s' };
    file.watchdog = { action: 'restore', silence: '5s' };
  });
  const { a, b } = await pair.protect();
  const terminal = await pair.console(a);
  await terminal.run('(while :; do echo alive; sleep 1; done) & beats=$!');
  await moreSnapshots(2);
  await terminal.run('kill $beats');
  const failed = await seen('guestFailed');
  expect(failed).toMatchObject({ kind: 'silence', what: 'nothing on its console for 5 s' });
  // Snapshots were kept while it was silent, too.
  const back = await kept((await seen('wentBack')).snapshot);
  expect(back.icount).toBeLessThanOrEqual(failed.icount);
  expect(back.id).not.toBe(all('b', 'snapshot').at(-1)?.id);
  const from = terminal.text.length;
  await terminal.until('alive', undefined, from);
  await pair.protectedBy(a, b);
});
