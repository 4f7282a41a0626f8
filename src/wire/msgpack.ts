/**
 * The dialect of msgpack that control messages use, made safe for bytes from outside.
 *
 * Intuition: a general msgpack decoder believes the lengths it reads: five bytes can ask it for an
 * array of millions. So the bytes are walked first, without building anything, and only what is
 * wholly there, flat enough, not too many and of plain types is decoded.
 *
 * The dialect: nil, booleans, numbers, strings, arrays and maps with string keys. No binary, no
 * extension types (so no records, dates or references). Whole numbers up to 2^53-1 are numbers on
 * both sides: what does not fit 32 bits travels as a float64, which holds it exactly.
 */
import { Packr, Unpackr } from 'msgpackr';
import { asError, UnderstudyError } from '../base/errors.ts';
import { wireLimits } from './limits.ts';

const options = {
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  moreTypes: false,
  variableMapSize: true,
} as const;
const packr = new Packr(options);
const unpackr = new Unpackr(options);

/** Packs plain data of the dialect. */
export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** Throws `UnderstudyError` ('link') for anything outside the dialect. */
export function unpack(bytes: Uint8Array): unknown {
  const walker = new Walker(bytes);
  walker.value(0);
  walker.end();
  try {
    return unpackr.unpack(bytes);
  } catch (thrown) {
    throw new UnderstudyError('link', 'Cannot read a control message: msgpack is damaged', {
      cause: asError(thrown),
    });
  }
}

class Walker {
  readonly #bytes: Uint8Array;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(depth: number): void {
    if (depth > wireLimits.controlDepth) {
      throw refusal(`it is nested deeper than ${wireLimits.controlDepth} levels`);
    }
    this.#values += 1;
    if (this.#values > wireLimits.controlValues) {
      throw refusal(`it has more than ${wireLimits.controlValues} values`);
    }
    const start = this.#at;
    const head = this.#number(1);
    if (head <= 0x7f || head >= 0xe0) return; // small whole numbers
    if (head <= 0x8f) this.#map(head & 0x0f, depth);
    else if (head <= 0x9f) this.#array(head & 0x0f, depth);
    else if (head <= 0xbf) this.#skip(head & 0x1f);
    else this.#longForm(head, start, depth);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw refusal(`${left} bytes follow its end`);
  }

  #longForm(head: number, start: number, depth: number): void {
    switch (head) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        break;
      case 0xcc: // u8
      case 0xd0: // i8
        this.#skip(1);
        break;
      case 0xcd: // u16
      case 0xd1: // i16
        this.#skip(2);
        break;
      case 0xca: // f32
      case 0xce: // u32
      case 0xd2: // i32
        this.#skip(4);
        break;
      case 0xcb: // f64
      case 0xcf: // u64
      case 0xd3: // i64
        this.#skip(8);
        break;
      case 0xd9: // string
      case 0xda:
      case 0xdb:
        this.#skip(this.#number(2 ** (head - 0xd9)));
        break;
      case 0xdc: // array
      case 0xdd:
        this.#array(this.#number(2 ** (head - 0xdb)), depth);
        break;
      case 0xde: // map
      case 0xdf:
        this.#map(this.#number(2 ** (head - 0xdd)), depth);
        break;
      default:
        throw refusal(`type 0x${head.toString(16)} at byte ${start} is not used here`);
    }
  }

  #array(items: number, depth: number): void {
    this.#expect(items);
    for (let i = 0; i < items; i += 1) this.value(depth + 1);
  }

  #map(entries: number, depth: number): void {
    this.#expect(2 * entries);
    for (let i = 0; i < entries; i += 1) {
      const start = this.#at;
      const head = this.#bytes[start] ?? 0;
      if ((head & 0xe0) !== 0xa0 && (head < 0xd9 || head > 0xdb)) {
        throw refusal(`the map key at byte ${start} is not a string`);
      }
      this.value(depth + 1);
      this.value(depth + 1);
    }
  }

  #number(bytes: number): number {
    const start = this.#at;
    this.#skip(bytes);
    let value = 0;
    for (let i = start; i < this.#at; i += 1) value = value * 0x100 + (this.#bytes[i] ?? 0);
    return value;
  }

  #skip(bytes: number): void {
    this.#expect(bytes);
    this.#at += bytes;
  }

  /** Every item takes at least a byte, so this also bounds what a count may claim. */
  #expect(bytes: number): void {
    const left = this.#bytes.length - this.#at;
    if (bytes > left) {
      throw refusal(`byte ${this.#at} asks for ${bytes} more bytes, only ${left} are left`);
    }
  }
}

function refusal(what: string): UnderstudyError {
  return new UnderstudyError('link', `Cannot read a control message: ${what}`);
}
