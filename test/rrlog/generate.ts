/** Arbitrary events and logs for the property tests. */
import fc from 'fast-check';
import type { Epoch } from '../../src/base/units.ts';
import { encodeEvent, type InputValue, type LogEvent } from '../../src/rrlog/events.ts';
import {
  checkpointNames,
  clockNames,
  headerBytes,
  type Layout,
  shutdownCauses,
} from '../../src/rrlog/layouts.ts';
import { encodeMarkerFrame, noEpoch } from '../../src/rrlog/marker.ts';

/** The filter id of the marker backend in all generated logs; guests' frames have other ids. */
export const padNetId = 1;

const u32 = fc.nat({ max: 0xffff_ffff });
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const id = fc.nat({ max: 2 ** 40 });
const data = fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes));
const netId = fc.constantFrom(0, 2, 255);

function inputs(layout: Layout): fc.Arbitrary<InputValue> {
  const down = fc.boolean();
  const all: fc.Arbitrary<InputValue>[] = [
    ...(layout.hasKeyCodes
      ? [fc.record({ type: fc.constant('key-code' as const), code: u32, down })]
      : [
          fc.record({ type: fc.constant('key-number' as const), value: i64, down }),
          fc.record({ type: fc.constant('key-qcode' as const), qcode: u32, down }),
        ]),
    fc.record({ type: fc.constant('button' as const), button: u32, down }),
    fc.record({ type: fc.constantFrom('rel' as const, 'abs' as const), axis: u32, value: i64 }),
  ];
  if (layout.inputTypes === 5) {
    all.push(
      fc.record({
        type: fc.constant('multi-touch' as const),
        phase: u32,
        slot: i64,
        trackingId: i64,
        axis: u32,
        value: i64,
      }),
    );
  }
  return fc.oneof(...all);
}

/** One arbitrary for each family; none of them makes a marker. */
export function eventsByFamily(layout: Layout): Record<LogEvent['kind'], fc.Arbitrary<LogEvent>> {
  const plain = (kind: 'interrupt' | 'exception' | 'input-sync' | 'end') =>
    fc.constant<LogEvent>({ kind });
  const of = <K extends LogEvent['kind']>(kind: K) => fc.constant(kind);
  return {
    instruction: fc.record({
      kind: of('instruction'),
      count: fc.integer({ min: 1, max: 0x7fff_ffff }),
    }),
    interrupt: plain('interrupt'),
    exception: plain('exception'),
    bh: fc.record({ kind: of('bh'), scheduledAt: id }),
    'bh-oneshot': fc.record({ kind: of('bh-oneshot'), scheduledAt: id }),
    input: fc.record({ kind: of('input'), input: inputs(layout) }),
    'input-sync': plain('input-sync'),
    'char-read': fc.record({ kind: of('char-read'), id: fc.nat({ max: 255 }), data }),
    block: fc.record({ kind: of('block'), id }),
    net: fc.record({ kind: of('net'), id: netId, flags: u32, data }),
    shutdown: fc.record({
      kind: of('shutdown'),
      cause: fc.constantFrom(...shutdownCauses, 'unused' as const),
    }),
    'char-write': fc.record({ kind: of('char-write'), result: i32, offset: i32 }),
    'char-read-all': fc.record({ kind: of('char-read-all'), data }),
    'char-read-all-error': fc.record({ kind: of('char-read-all-error'), result: i32 }),
    'audio-out': fc.record({ kind: of('audio-out'), played: u64 }),
    'audio-in': fc.record({
      kind: of('audio-in'),
      ...(layout.audioInHead === 17 ? { writePosition: u64 } : {}),
      samples: fc.array(fc.tuple(u64, u64), { maxLength: 5 }),
    }),
    random: fc.record({ kind: of('random'), result: i32, data }),
    clock: fc.record({ kind: of('clock'), clock: fc.constantFrom(...clockNames), value: i64 }),
    checkpoint: fc.record({
      kind: of('checkpoint'),
      checkpoint: fc.constantFrom(...checkpointNames),
    }),
    end: plain('end'),
  };
}

/** What a test expects a reader to report. */
export interface Expected {
  readonly event: LogEvent;
  readonly position: number;
  readonly end: number;
  readonly icount: number;
  readonly epoch: number | undefined;
}

export interface GeneratedLog {
  /** As QEMU's file, without its header: the first event is at position 12. */
  readonly raw: Buffer;
  readonly events: readonly Expected[];
}

/** The NET event of a marker, as QEMU records it. */
export function markerEvent(layout: Layout, epoch: number, frameBytes = 4200): Buffer {
  const frame = encodeMarkerFrame(epoch as Epoch, frameBytes);
  return encodeEvent(layout, { kind: 'net', id: padNetId, flags: 0, data: frame });
}

function assemble(layout: Layout, parts: readonly (LogEvent | number)[]): GeneratedLog {
  const pieces: Buffer[] = [];
  const events: Expected[] = [];
  let position = headerBytes;
  let icount = 0;
  for (const part of parts) {
    const event: LogEvent =
      typeof part === 'number'
        ? {
            kind: 'net',
            id: padNetId,
            flags: 0,
            data: encodeMarkerFrame(part as Epoch, 4200 + (part % 700)),
          }
        : part;
    const bytes = encodeEvent(layout, event);
    const end = position + bytes.length;
    if (event.kind === 'instruction') icount += event.count;
    const epoch = typeof part === 'number' ? part : undefined;
    events.push({ event, position, end, icount, epoch });
    pieces.push(bytes);
    position = end;
  }
  return { raw: Buffer.concat(pieces), events };
}

/** Logs with markers sprinkled in, of epochs and of none. */
export function logs(layout: Layout, maxLength = 40): fc.Arbitrary<GeneratedLog> {
  const event = fc.oneof(...Object.values(eventsByFamily(layout)));
  const part: fc.Arbitrary<LogEvent | number> = fc.oneof(
    { weight: 8, arbitrary: event },
    { weight: 1, arbitrary: fc.oneof(fc.constant(noEpoch), fc.nat({ max: 2 ** 40 })) },
  );
  return fc.array(part, { maxLength }).map((parts) => assemble(layout, parts));
}

/** Cut bytes into chunks of the given sizes, cycling through them. */
export function* chunks(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

export const chunkSizes = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
  fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 }),
);
