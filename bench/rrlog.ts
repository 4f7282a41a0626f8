/**
 * How fast an event log is parsed and packed, on one core.
 *
 *     npx tsx bench/run.ts rrlog [FILE] [--json] [--qemu 7.2|10.0]
 *
 * Without a file: a synthetic log in the proportions of a recorded one. The goal of 100 MB/s keeps
 * the parser far away from being what limits a backup: a busy guest records a few MB/s.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { layoutFor } from '../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../src/rrlog/log-tail.ts';
import { SegmentPacker, SegmentUnpacker } from '../src/rrlog/packer.ts';
import { EventLogReader } from '../src/rrlog/reader.ts';
import { idleLog } from '../test/rrlog/idle-log.ts';

const goalMbPerSecond = 100;
const workBytes = 48_000_000;
const readBytes = 65_536;
const packBytes = 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, qemu: { type: 'string', default: '7.2' } },
});
const layout = layoutFor(values.qemu);

function events(): Buffer {
  const [file] = positionals;
  if (file === undefined) return idleLog(layout, 40_000);
  const reader = new EventLogReader({ layout, expectHeader: true });
  const log = readFileSync(file);
  reader.push(log);
  while (reader.next());
  return log.subarray(12, reader.end);
}

/** Best of five, in MB/s: the others are the machine's noise. */
function best(bytes: number, run: () => void): number {
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const began = process.hrtime.bigint();
    run();
    seconds = Math.min(seconds, Number(process.hrtime.bigint() - began) / 1e9);
  }
  return bytes / 1e6 / seconds;
}

const unit = events();
const log = Buffer.concat(Array.from({ length: Math.ceil(workBytes / unit.length) }, () => unit));
let count = 0;
const cursor = best(log.length, () => {
  const reader = new EventLogReader({ layout, expectHeader: false });
  for (let at = 0; at < log.length; at += readBytes) {
    reader.push(log.subarray(at, at + readBytes));
    while (reader.next());
  }
  count = reader.events;
});
const tail = best(log.length, () => {
  const t = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 1 });
  for (let at = 0; at < log.length; at += readBytes) t.push(log.subarray(at, at + readBytes));
});

const source = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 1 });
const segments: Segment[] = [];
for (let at = 0; at < Math.min(unit.length, 2_000_000); at += packBytes) {
  const segment = source.push(unit.subarray(at, at + packBytes));
  if (segment !== undefined) segments.push(segment);
}
const segmentBytes = segments.reduce((sum, s) => sum + s.bytes.length, 0);
let packed: Buffer[] = [];
const packing = best(segmentBytes, () => {
  const packer = new SegmentPacker(layout);
  packed = segments.map((s) => packer.pack(s.bytes));
});
const unpacking = best(segmentBytes, () => {
  const unpacker = new SegmentUnpacker(layout);
  for (const p of packed) unpacker.unpack(p);
});
const ratio = segmentBytes / packed.reduce((sum, p) => sum + p.length, 0);

const round = (value: number) => Number(value.toFixed(2));
const result = {
  bench: 'rrlog',
  source: positionals[0] === undefined ? 'synthetic' : 'file',
  meanEventBytes: round(log.length / count),
  cursorMbPerSecond: round(cursor),
  tailMbPerSecond: round(tail),
  packRatio: round(ratio),
  packUsPerSegment: round(packBytes / packing),
  unpackUsPerSegment: round(packBytes / unpacking),
  goalMbPerSecond,
  pass: Math.min(cursor, tail) >= goalMbPerSecond,
};
if (values.json === true) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
} else {
  process.stdout.write(
    `rrlog (${result.source}, ${result.meanEventBytes} bytes an event): ` +
      `cursor ${cursor.toFixed(0)} MB/s, tail ${tail.toFixed(0)} MB/s, ` +
      `goal ${goalMbPerSecond} MB/s: ${result.pass ? 'pass' : 'MISS'}; ` +
      `pack ${packBytes} bytes: 1:${ratio.toFixed(1)}, ${result.packUsPerSegment.toFixed(0)} us, ` +
      `unpack ${result.unpackUsPerSegment.toFixed(0)} us\n`,
  );
}
