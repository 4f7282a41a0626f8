/**
 * Events as values: the slow path, for dumps, tests, simulations and the few events that a
 * takeover makes itself. Encoder and decoder stand together; a property test holds them equal.
 *
 * 64-bit values that are clocks, samples or device values are bigints. Request ids and icounts are
 * numbers: they count from zero and stay far below 2^53.
 */
import { UnderstudyError } from '../base/errors.ts';
import {
  type CheckpointName,
  type ClockName,
  checkpointNames,
  clockNames,
  type Layout,
  type ShutdownCause,
  shutdownCauses,
} from './layouts.ts';
import { EventLogReader } from './reader.ts';

/** An INPUT event (replay-input.c). Codes are QEMU's enumerations of qapi/ui.json. */
export type InputValue =
  /** Of Linux (input-event-codes.h); from QEMU 11.1 on, which has neither of the next two. */
  | { readonly type: 'key-code'; readonly code: number; readonly down: boolean }
  | { readonly type: 'key-number'; readonly value: bigint; readonly down: boolean }
  | { readonly type: 'key-qcode'; readonly qcode: number; readonly down: boolean }
  | { readonly type: 'button'; readonly button: number; readonly down: boolean }
  | { readonly type: 'rel' | 'abs'; readonly axis: number; readonly value: bigint }
  | {
      /** From QEMU 8.1 on. */
      readonly type: 'multi-touch';
      readonly phase: number;
      readonly slot: bigint;
      readonly trackingId: bigint;
      readonly axis: number;
      readonly value: bigint;
    };

/** One event of the log. `kind` is the family; what the family spans is a field. */
export type LogEvent =
  | { readonly kind: 'instruction'; readonly count: number }
  | { readonly kind: 'interrupt' | 'exception' | 'input-sync' | 'end' }
  /** `scheduledAt`: the icount at which the bottom half was scheduled. Not unique. */
  | { readonly kind: 'bh' | 'bh-oneshot'; readonly scheduledAt: number }
  | { readonly kind: 'input'; readonly input: InputValue }
  | { readonly kind: 'char-read'; readonly id: number; readonly data: Buffer }
  /** Completion of a disk request. */
  | { readonly kind: 'block'; readonly id: number }
  | {
      readonly kind: 'net';
      readonly id: number;
      readonly flags: number;
      readonly data: Buffer;
    }
  /** `unused` is the kind that QEMU reserves beyond the last cause. */
  | { readonly kind: 'shutdown'; readonly cause: ShutdownCause | 'unused' }
  | { readonly kind: 'char-write'; readonly result: number; readonly offset: number }
  | { readonly kind: 'char-read-all'; readonly data: Buffer }
  | { readonly kind: 'char-read-all-error'; readonly result: number }
  | { readonly kind: 'audio-out'; readonly played: bigint }
  | {
      readonly kind: 'audio-in';
      /** In the ring; QEMU 11.0 and later do not log it. */
      readonly writePosition?: bigint;
      /** Left and right of each recorded sample. */
      readonly samples: readonly (readonly [bigint, bigint])[];
    }
  | { readonly kind: 'random'; readonly result: number; readonly data: Buffer }
  | { readonly kind: 'clock'; readonly clock: ClockName; readonly value: bigint }
  | { readonly kind: 'checkpoint'; readonly checkpoint: CheckpointName };

const causes: readonly string[] = [...shutdownCauses, 'unused'];
const inputTypes = ['key', 'button', 'rel', 'abs', 'multi-touch'] as const;

/** Writes big-endian fields one after the other, as `replay_put_*` do. */
class Fields {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.bytes(Buffer.from([value]));
  }
  u32(value: number): this {
    const b = Buffer.alloc(4);
    b.writeUInt32BE(value >>> 0);
    return this.bytes(b);
  }
  u64(value: bigint): this {
    const b = Buffer.alloc(8);
    b.writeBigUInt64BE(BigInt.asUintN(64, value));
    return this.bytes(b);
  }
  bytes(value: Buffer): this {
    this.#parts.push(value);
    return this;
  }
  array(value: Buffer): this {
    return this.u32(value.length).bytes(value);
  }
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/**
 * The bytes of an event, as QEMU writes them.
 *
 * @throws UnderstudyError `log-format` when the layout cannot express the event or a reader would
 * refuse it (an absurd length, a count of zero).
 */
export function encodeEvent(layout: Layout, event: LogEvent): Buffer {
  const bytes = fieldsOf(layout, event).done();
  const check = new EventLogReader({ layout, expectHeader: false });
  check.push(bytes);
  if (!check.next() || check.eventBytes !== bytes.length) {
    throw new UnderstudyError('log-format', `cannot encode ${event.kind}: not one whole event`);
  }
  return bytes;
}

function fieldsOf(layout: Layout, event: LogEvent): Fields {
  const fields = new Fields();
  const head = (member = 0): Fields => fields.u8(layout.first[event.kind] + member);
  switch (event.kind) {
    case 'instruction':
      return head().u32(event.count);
    case 'interrupt':
    case 'exception':
    case 'input-sync':
    case 'end':
      return head();
    case 'bh':
    case 'bh-oneshot':
      return head().u64(BigInt(event.scheduledAt));
    case 'block':
      return head().u64(BigInt(event.id));
    case 'input':
      return inputFields(layout, head(), event.input);
    case 'char-read':
      return head().u8(event.id).array(event.data);
    case 'net':
      return head().u8(event.id).u32(event.flags).array(event.data);
    case 'shutdown':
      return head(member(causes, event.cause));
    case 'char-write':
      return head().u32(event.result).u32(event.offset);
    case 'char-read-all':
      return head().array(event.data);
    case 'char-read-all-error':
      return head().u32(event.result);
    case 'audio-out':
      return head().u64(event.played);
    case 'audio-in': {
      const all = head().u64(BigInt(event.samples.length));
      if (layout.audioInHead === 17) all.u64(event.writePosition ?? 0n);
      for (const [left, right] of event.samples) all.u64(left).u64(right);
      return all;
    }
    case 'random':
      return head().u32(event.result).array(event.data);
    case 'clock':
      return head(member(clockNames, event.clock)).u64(event.value);
    case 'checkpoint':
      return head(member(checkpointNames, event.checkpoint));
  }
}

function inputFields(layout: Layout, head: Fields, input: InputValue): Fields {
  if (input.type.startsWith('key-') && layout.hasKeyCodes !== (input.type === 'key-code')) {
    throw new UnderstudyError('log-format', `QEMU ${layout.qemu} has no ${input.type} input`);
  }
  switch (input.type) {
    case 'key-code':
      return head.u32(0).u32(input.code).u8(Number(input.down));
    case 'key-number':
      return head.u32(0).u32(0).u64(input.value).u8(Number(input.down));
    case 'key-qcode':
      return head.u32(0).u32(1).u32(input.qcode).u8(Number(input.down));
    case 'button':
      return head.u32(1).u32(input.button).u8(Number(input.down));
    case 'rel':
    case 'abs':
      return head.u32(inputTypes.indexOf(input.type)).u32(input.axis).u64(input.value);
    case 'multi-touch':
      if (layout.inputTypes < 5) {
        throw new UnderstudyError('log-format', `QEMU ${layout.qemu} has no multi-touch input`);
      }
      return head
        .u32(4)
        .u32(input.phase)
        .u64(input.slot)
        .u64(input.trackingId)
        .u32(input.axis)
        .u64(input.value);
  }
}

function member(names: readonly string[], name: string): number {
  const index = names.indexOf(name);
  if (index < 0) throw new UnderstudyError('log-format', `no event is called ${name}`);
  return index;
}

/**
 * The event under a reader's cursor as a value. Data bytes are copied. A marker that was
 * recognised early, or comes from stripped input, has only its head as data.
 *
 * @throws UnderstudyError `log-format` when a request id or icount is 2^53 or more.
 */
export function decodeEvent(reader: EventLogReader): LogEvent {
  const layout = reader.layout;
  const kind = layout.families[reader.kind]!;
  const b = reader.raw();
  const nth = reader.kind - layout.first[kind];
  switch (kind) {
    case 'instruction':
      return { kind, count: b.readUInt32BE(1) };
    case 'interrupt':
    case 'exception':
    case 'input-sync':
    case 'end':
      return { kind };
    case 'bh':
    case 'bh-oneshot':
      return { kind, scheduledAt: safeNumber(reader) };
    case 'block':
      return { kind, id: safeNumber(reader) };
    case 'input':
      return { kind, input: decodeInput(layout, b) };
    case 'char-read':
      return { kind, id: b[1]!, data: Buffer.from(reader.payload()) };
    case 'net':
      return { kind, id: b[1]!, flags: b.readUInt32BE(2), data: Buffer.from(reader.payload()) };
    case 'shutdown':
      return { kind, cause: causes[nth] as ShutdownCause | 'unused' };
    case 'char-write':
      return { kind, result: b.readInt32BE(1), offset: b.readInt32BE(5) };
    case 'char-read-all':
      return { kind, data: Buffer.from(reader.payload()) };
    case 'char-read-all-error':
      return { kind, result: b.readInt32BE(1) };
    case 'audio-out':
      return { kind, played: b.readBigUInt64BE(1) };
    case 'audio-in':
      return {
        kind,
        ...(layout.audioInHead === 17 ? { writePosition: b.readBigUInt64BE(9) } : {}),
        samples: decodeSamples(b, layout.audioInHead),
      };
    case 'random':
      return { kind, result: b.readInt32BE(1), data: Buffer.from(reader.payload()) };
    case 'clock':
      return { kind, clock: clockNames[nth]!, value: b.readBigInt64BE(1) };
    case 'checkpoint':
      return { kind, checkpoint: checkpointNames[nth]! };
  }
}

function decodeInput(layout: Layout, b: Buffer): InputValue {
  const type = inputTypes[b.readUInt32BE(1)]!;
  const down = b[b.length - 1] !== 0;
  switch (type) {
    case 'key':
      if (layout.hasKeyCodes) return { type: 'key-code', code: b.readUInt32BE(5), down };
      return b.readUInt32BE(5) === 0
        ? { type: 'key-number', value: b.readBigInt64BE(9), down }
        : { type: 'key-qcode', qcode: b.readUInt32BE(9), down };
    case 'button':
      return { type, button: b.readUInt32BE(5), down };
    case 'rel':
    case 'abs':
      return { type, axis: b.readUInt32BE(5), value: b.readBigInt64BE(9) };
    case 'multi-touch':
      return {
        type,
        phase: b.readUInt32BE(5),
        slot: b.readBigInt64BE(9),
        trackingId: b.readBigInt64BE(17),
        axis: b.readUInt32BE(25),
        value: b.readBigInt64BE(29),
      };
  }
}

function decodeSamples(b: Buffer, from: number): [bigint, bigint][] {
  const samples: [bigint, bigint][] = [];
  for (let at = from; at < b.length; at += 16) {
    samples.push([b.readBigUInt64BE(at), b.readBigUInt64BE(at + 8)]);
  }
  return samples;
}

function safeNumber(reader: EventLogReader): number {
  const id = reader.requestId;
  if (!Number.isSafeInteger(id)) {
    throw new UnderstudyError(
      'log-format',
      `event log: id ${id} of ${reader.layout.names[reader.kind]} is impossible ` +
        `at position ${reader.position}`,
    );
  }
  return id;
}
