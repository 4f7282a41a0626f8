// Frames of the past carry the time of the wall, also from a stretch in which no epoch is known
// exactly.
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { epoch } from '../../src/base/units.ts';
import type { QemuInstance } from '../../src/hypervisor/qemu/instance.ts';
import { FrameCapture, readFrames, wallOffsetUs } from '../../src/restore/frame-capture.ts';
import { encodeMarkerFrame } from '../../src/rrlog/marker.ts';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();
const marker = (number: number, us: number) => ({ us, bytes: encodeMarkerFrame(epoch(number)) });
const known = [
  { epoch: epoch(100), timeMs: 50_000 },
  { epoch: epoch(150), timeMs: 51_000 },
];

test('an epoch that is known, one between two, and one outside', () => {
  expect(wallOffsetUs([marker(100, 7_000_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(125, 7_500_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(90, 1), marker(150, 8_000_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(151, 1)], known)).toBeUndefined();
  expect(wallOffsetUs([], known)).toBeUndefined();
});

interface Captured {
  readonly us: number;
  readonly bytes: Uint8Array;
}

/** As QEMU writes them. */
function pcap(frames: readonly Captured[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  const records = frames.map(({ us, bytes }) => {
    const record = Buffer.alloc(16);
    const words = [Math.floor(us / 1e6), us % 1e6, bytes.length, bytes.length];
    for (const [index, word] of words.entries()) record.writeUInt32LE(word, 4 * index);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([head, ...records]);
}

/** A machine whose captures are there as soon as they are asked for: of the pad, and of a card. */
function machine(pad: readonly Captured[], card: readonly Captured[]): QemuInstance {
  const execute = (_: string, { file, netdev }: { file: string; netdev: string }) =>
    Promise.resolve(fs.writeFileSync(file, pcap(netdev === 'pad' ? pad : card)));
  return { monitor: { execute } } as unknown as QemuInstance;
}

test('frames of a machine that went on in the place of another are all there, in the order of the wall', async () => {
  const capture = new FrameCapture(dir, 1);
  const frame = (number: number) => Buffer.alloc(60, number);
  // Each counts from a second of its own.
  const first = [
    { us: 7_100_000, bytes: frame(1) },
    { us: 7_900_000, bytes: frame(2) },
  ];
  await capture.attach(machine([marker(100, 7_000_000)], first));
  await capture.attach(machine([marker(150, 3_000_000)], [{ us: 3_000_001, bytes: frame(3) }]));
  await capture.attach(machine([], [{ us: 3_100_000, bytes: frame(4) }]));
  const file = path.join(dir, 'all.pcap');
  expect(capture.write(file, known)).toBe(4);
  expect(readFrames(file).map(({ us, bytes }) => [us, bytes[0]])).toEqual([
    [50_100_000, 1],
    [50_900_000, 2],
    [51_000_001, 3],
    [51_100_000, 4],
  ]);
});
