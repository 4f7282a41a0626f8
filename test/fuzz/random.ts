/**
 * Random numbers from a seed, and random changes to bytes: equal on every machine and every run.
 */

/** sfc32 (Doty-Humphrey): small, fast, and passes the usual tests. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream = 0, index = 0) {
    [this.#a, this.#b, this.#c] = [seed | 0, stream | 0, index | 0];
    for (let i = 0; i < 12; i += 1) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to `max`. */
  upTo(max: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * (max + 1));
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 0x1_0000_0000;
  }

  pick<const Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.upTo(items.length - 1)] as Item;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i += 1) bytes[i] = this.u32();
    return bytes;
  }

  /** Mostly small, sometimes at the edge of something, from 0 to 2^53-1. */
  natural(): number {
    switch (this.upTo(5)) {
      case 0:
        return this.pick([0, 1, 0xff, 0xffff, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER]);
      case 1:
        return this.upTo(0x1f_ffff) * 0x1_0000_0000 + this.u32();
      case 2:
        return this.u32();
      default:
        return this.upTo(1000);
    }
  }

  text(maxChars = 20): string {
    const alphabet = ['a', 'Z', '0', '-', ' ', '\n', '\0', 'é', '漢', '🐘', '"', '\ud800'] as const;
    let text = '';
    for (let left = this.upTo(maxChars); left > 0; left -= 1) text += this.pick(alphabet);
    return text;
  }
}

/** Values that lengths, counts and types like to be wrong at. */
const edges = [0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0xa0, 0xc1, 0xdb, 0xdd, 0xdf, 0xff] as const;

/** A copy with one to five small damages. */
export function mutate(random: Random, original: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let left = 1 + random.upTo(4); left > 0; left -= 1) bytes = damage(random, bytes);
  return bytes;
}

function damage(random: Random, bytes: Buffer): Buffer {
  const at = random.upTo(Math.max(0, bytes.length - 1));
  const end = at + random.upTo(Math.min(16, bytes.length - at));
  switch (random.upTo(7)) {
    case 0: // a bit
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.upTo(7));
      return bytes;
    case 1: // a byte
      if (bytes.length > 0) bytes[at] = random.pick(edges);
      return bytes;
    case 2: // cut off
      return bytes.subarray(0, at);
    case 3: // more behind it
      return Buffer.concat([bytes, random.bytes(1 + random.upTo(40))]);
    case 4: // something left out
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 5: // something twice
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 6: // something put in
      return Buffer.concat([
        bytes.subarray(0, at),
        random.bytes(random.upTo(8)),
        bytes.subarray(at),
      ]);
    default: // a number at its limit
      if (bytes.length - at >= 4)
        bytes.writeUInt32BE(random.pick([0, 0xffff_ffff, 0x7fff_ffff]), at);
      return bytes;
  }
}
