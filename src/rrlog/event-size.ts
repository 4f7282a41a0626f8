/**
 * Where an event ends, as its first bytes tell: most kinds have one size, some say how long they
 * are.
 */
import { type Layout, shape } from './layouts.ts';

/** Bytes of a NET event before its payload: kind, u8 id, u32 flags, u32 length. */
export const netHeadBytes = 10;

export function wordAt(b: Buffer, at: number): number {
  return b[at]! * 0x100_0000 + ((b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!);
}

/** Exact up to 2^53. */
export function longAt(b: Buffer, at: number): number {
  return wordAt(b, at) * 0x1_0000_0000 + wordAt(b, at + 4);
}

/**
 * Bytes of the event at an offset whose kind does not fix them. When the length is not there yet:
 * the bytes needed to know it. Why it cannot be an event, when it cannot.
 */
export function eventSize(
  layout: Layout,
  buffer: Buffer,
  kind: number,
  at: number,
): number | string {
  const s = layout.shapes[kind]!;
  if (s === shape.unknown) return `unknown event kind ${kind}`;
  const here = buffer.length - at;
  if (s === shape.input) return inputSize(layout, buffer, at, here);
  if (s === shape.audioIn) {
    const head = layout.audioInHead;
    if (here < head) return head;
    const samples = longAt(buffer, at + 1);
    if (samples > layout.lengthMax[kind]!) return tooLong(layout, kind, samples);
    return head + 16 * samples;
  }
  const head = (s & 0x3f) + 4;
  if (here < head) return head;
  const length = wordAt(buffer, at + head - 4);
  return length <= layout.lengthMax[kind]! ? head + length : tooLong(layout, kind, length);
}

/** replay-input.c: u32 type, then what the type says. */
function inputSize(layout: Layout, buffer: Buffer, at: number, here: number): number | string {
  if (here < 5) return 5;
  const type = wordAt(buffer, at + 1);
  if (type >= layout.inputTypes) return `unknown INPUT type ${type}`;
  if (type === 1) return 10;
  if (type === 2 || type === 3) return 17;
  if (type === 4) return 37;
  if (layout.hasKeyCodes) return 10;
  if (here < 9) return 9;
  const key = wordAt(buffer, at + 5);
  if (key > 1) return `unknown INPUT key type ${key}`;
  return key === 0 ? 18 : 14;
}

function tooLong(layout: Layout, kind: number, length: number): string {
  return `length ${length} of event ${layout.names[kind]} is above ${layout.lengthMax[kind]}`;
}
