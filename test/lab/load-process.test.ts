// The load as the demo starts it: in a world, with its lines delivered and its record at the end.
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LoadProcess } from '../../src/lab/load-process.ts';
import type { LoadFailure, LoadStats } from '../../src/lab/load-record.ts';
import type { World } from '../../src/lab/world.ts';
import { readGuestPage } from '../../src/lab/world-program.ts';
import { hangMs } from '../time.ts';
import { FakeGuest } from './fake-guest.ts';

let guest: FakeGuest;
let world: World;
beforeEach(async () => {
  guest = new FakeGuest();
  world = {
    kind: 'passt',
    ...(await guest.start()),
    canPing: false,
    pingHost: undefined,
    egressSpecs: [],
    spawn: (command, args) => spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }),
    close: () => Promise.resolve(),
  };
});
afterEach(() => guest.stop());

test('delivers statistics and failures, then the record', async () => {
  const failures: LoadFailure[] = [];
  guest.nextRead = 'reset';
  let onStats: (stats: LoadStats) => void = () => {};
  const first = new Promise<LoadStats>((resolve) => {
    onStats = resolve;
  });
  const load = new LoadProcess(world, {
    runName: 'run',
    readers: 1,
    counters: 1,
    onStats,
    onFailure: (failure) => failures.push(failure),
  });
  expect((await first).requestsFailed).toBe(1);
  const record = await load.stop();
  expect(record.requestsFailed).toBe(1);
  expect(failures).toMatchObject([{ client: 'reader', reason: 'connection reset' }]);
});

test('asks as seldom as it is told to', async () => {
  // Goal: the pause reaches readers and counters; with the usual 20 ms each would ask some 20
  // times.
  const began = performance.now();
  const [pauseMs, clients] = [900, 2];
  let answered = 0;
  const load = new LoadProcess(world, {
    ...{ runName: 'run', readers: 1, counters: 1, pauseMs },
    onStats: (stats) => {
      answered = stats.requestsOk;
    },
  });
  await vi.waitUntil(() => answered >= clients, { timeout: hangMs });
  const { requestsOk } = await load.stop();
  const pauses = (performance.now() - began) / pauseMs;
  expect(requestsOk).toBeLessThanOrEqual(clients * (1 + Math.floor(pauses)));
});

test('a load that cannot start says why', async () => {
  const load = new LoadProcess(world, { runName: 'run', readers: 5000 });
  await expect(load.stop()).rejects.toThrow(/--readers must be 0 to 999/);
});

test('reads a page of the guest, or says why not', async () => {
  expect(await readGuestPage(world, '/read')).toContain('ledger 1');
  guest.nextRead = 'reset';
  await expect(readGuestPage(world, '/read')).rejects.toThrow(/connection reset/);
});
