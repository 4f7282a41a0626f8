// Both pings that are about print replies a little differently; both must be understood.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { PingClient, PingWatch } from '../../src/lab/load-ping.ts';
import { until } from '../egress/outside.ts';

test('understands iputils and busybox, and counts doubles apart', () => {
  const watch = new PingWatch();
  expect(watch.record()).toBeUndefined();
  watch.takeLine('PING 10.77.0.2 (10.77.0.2) 56(84) bytes of data.');
  watch.takeLine('64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=1.44 ms');
  watch.takeLine('64 bytes from 10.77.0.2: seq=2 ttl=64 time=2.500 ms');
  watch.takeLine('64 bytes from 10.77.0.2: seq=2 ttl=64 time=2.600 ms (DUP!)');
  expect(watch.record()).toMatchObject({
    received: 2,
    doubled: 1,
    rttMs: { p50: 1.44, p99: 2.5 },
  });
});

const canPing = [
  ['ping', '-c1', '127.0.0.1'],
  ['busybox', 'ping', '-c1', '127.0.0.1'],
].some(([command = '', ...args]) => spawnSync(command, args).status === 0);

test.skipIf(!canPing)('runs whatever ping there is, and ends it', async () => {
  const client = new PingClient('127.0.0.1');
  await until('ten replies', () => (client.record()?.received ?? 0) >= 10);
  const record = await client.stop();
  expect(record?.longestGapMs).toBeGreaterThan(0);
});
