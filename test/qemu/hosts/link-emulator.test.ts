// The emulated network does what it is told: without this the other tests of hosts prove nothing.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostsWorld, managementAddress } from './hosts-world.ts';

let world: HostsWorld | undefined;
beforeEach(async ({ skip }) => {
  if (process.getuid?.() !== 0) skip('needs root: namespaces and taps stand for two hosts');
  world = await HostsWorld.open();
});
afterEach(() => world?.close());

interface Pings {
  readonly received: number;
  readonly roundTripMs: number;
}

/** From outside to host a; the last answers are waited for so long. */
async function ping(count: number, waitSeconds = 20): Promise<Pings> {
  const child = world?.spawn('ping', [
    ...[
      '-n',
      '-q',
      '-i',
      '0.01',
      '-W',
      String(waitSeconds),
      '-c',
      String(count),
      managementAddress('a'),
    ],
  ]);
  let text = '';
  child?.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await new Promise((resolve) => child?.once('close', resolve));
  return {
    received: Number(/(\d+) received/.exec(text)?.[1]),
    // The least: a busy machine makes the others longer.
    roundTripMs: Number(/= ([\d.]+)\//.exec(text)?.[1]),
  };
}

test('frames are delayed, lost and cut off as it is told', async () => {
  const network = world?.network;
  // A kernel that does not know its neighbour yet drops what it cannot keep for it.
  await ping(1);
  expect(await ping(20)).toMatchObject({ received: 20 });

  await network?.impair('w', 'a', { delayMs: 50 });
  const delayed = await ping(10);
  expect(delayed.roundTripMs).toBeGreaterThanOrEqual(50);
  expect(delayed.roundTripMs).toBeLessThan(90);
  await network?.impairBoth('w', 'a', { delayMs: 50 });
  expect((await ping(10)).roundTripMs).toBeGreaterThanOrEqual(100);

  await network?.impair('w', 'a', { lossPermille: 300 });
  await network?.impair('a', 'w', {});
  const { received } = await ping(300, 2);
  expect(received).toBeGreaterThan(150);
  expect(received).toBeLessThan(270);

  await network?.impair('w', 'a', {});
  await network?.impair('a', 'w', { isCut: true });
  expect((await ping(10, 1)).received).toBe(0);

  await network?.heal();
  expect((await ping(20)).received).toBe(20);
});
