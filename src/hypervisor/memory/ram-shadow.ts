/**
 * A copy of a machine's RAM that follows it, block by block, while the machine runs.
 *
 * Intuition: the shadow is what the other side has been told so far. To bring a block up to date is
 * to compare it with the live one, copy what differs, and say what that was. The kernel is asked
 * for no dirty bits: comparing 128 MiB takes 20 ms, and works on any memory file.
 *
 * Contract
 *  1. Whatever `update` says, read from the shadow, makes any copy that was equal to the shadow
 *     before equal to it again. So a receiver that gets all of it in order equals the shadow.
 *  2. A block may be torn, half old and half new, when the machine writes while it is copied. That
 *     is harmless: it differs from the live block then and the next comparison finds it. After a
 *     pass over all blocks of a machine that stands still, shadow and RAM are equal, byte for byte.
 *  3. Holes of the RAM file stay holes, and blocks of zeros are holes in the shadow. A hole is
 *     never touched through a mapping: that would take memory, and be a signal when there is none.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { nextData } from '../../host/libc.ts';
import { MappedFile } from '../../host/mapped-file.ts';
import { createRamFile, isZero } from './ram.ts';

/** A run of the shadow that was brought up to date. */
export interface Change {
  readonly offset: number;
  readonly bytes: number;
  /** All of it is zero now. */
  readonly isZero: boolean;
}

export class RamShadow {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #live: MappedFile;
  readonly #shadow: MappedFile;
  readonly #path: string;
  /** By block: 1 when the shadow has memory for it. The others are zero. */
  readonly #present: Uint8Array;
  /** By block: 1 when no part of it was a hole of the RAM file in the present pass. */
  readonly #whole: Uint8Array;
  /** A block that has holes is read to here. */
  readonly #scratch: Buffer;

  /** Makes an empty shadow at `path`; `blockBytes` is a power of two of at least a page. */
  constructor(ramFile: string, path: string, blockBytes: number) {
    this.#live = MappedFile.open(ramFile, 'read');
    this.#path = path;
    this.bytes = this.#live.bytes;
    this.blockBytes = blockBytes;
    try {
      fs.rmSync(path, { force: true });
      createRamFile(path, this.bytes);
      this.#shadow = MappedFile.open(path, 'write');
    } catch (error) {
      this.#live.close();
      throw error;
    }
    this.#present = new Uint8Array(this.blocks);
    this.#whole = new Uint8Array(this.blocks);
    this.#scratch = Buffer.alloc(blockBytes);
  }

  get blocks(): number {
    return Math.ceil(this.bytes / this.blockBytes);
  }

  /**
   * Numbers of the blocks that may differ, ascending: those that live RAM or the shadow has memory
   * for. Memory that the machine touches meanwhile may be missed; the next pass has it. `update` is
   * for numbers of the latest pass.
   */
  *candidates(): Generator<number> {
    this.#whole.fill(0);
    let block = 0;
    for (let data = nextData(this.#live.fd, 0); data !== undefined; ) {
      const first = Math.floor(data.from / this.blockBytes);
      const end = Math.ceil(data.to / this.blockBytes);
      for (; block < first; block += 1) if (this.#present[block] === 1) yield block;
      this.#whole.fill(1, Math.ceil(data.from / this.blockBytes), this.#wholeBlocksTo(data.to));
      for (; block < end; block += 1) yield block;
      data = nextData(this.#live.fd, Math.max(data.to, block * this.blockBytes));
    }
    for (; block < this.blocks; block += 1) if (this.#present[block] === 1) yield block;
  }

  /**
   * Brings one block up to date. Throws `resources` when there is no room for the shadow. Returns
   * what changed, in ascending order; empty when nothing did.
   */
  update(block: number): Change[] {
    const offset = block * this.blockBytes;
    const bytes = Math.min(this.blockBytes, this.bytes - offset);
    const live = this.#readLive(block, offset, bytes);
    if (this.#present[block] === 0) {
      if (isZero(live)) return [];
      // Written, not mapped: a full tmpfs is an error here and would be a signal there.
      this.#writeShadow(live, offset);
      this.#present[block] = 1;
      return [{ offset, bytes, isZero: false }];
    }
    const shadow = this.#shadow.at(offset, bytes);
    return live.equals(shadow) ? [] : this.#updatePages(live, shadow, offset);
  }

  /** A view of the shadow, valid until `close`. */
  read(offset: number, bytes: number): Buffer<ArrayBuffer> {
    return this.#shadow.at(offset, bytes);
  }

  /** True when the block has never held anything but zeros. */
  isEmpty(block: number): boolean {
    return this.#present[block] === 0;
  }

  /** Removes the shadow. */
  close(): void {
    this.#live.close();
    this.#shadow.close();
    fs.rmSync(this.#path, { force: true });
  }

  #writeShadow(bytes: Buffer, offset: number): void {
    try {
      if (fs.writeSync(this.#shadow.fd, bytes, 0, bytes.length, offset) === bytes.length) return;
    } catch (thrown) {
      throw noRoom(this.#path, asError(thrown));
    }
    throw noRoom(this.#path);
  }

  #readLive(block: number, offset: number, bytes: number): Buffer {
    if (this.#whole[block] === 1) return this.#live.at(offset, bytes);
    fs.readSync(this.#live.fd, this.#scratch, 0, bytes, offset);
    return this.#scratch.subarray(0, bytes);
  }

  #wholeBlocksTo(offset: number): number {
    return offset === this.bytes ? this.blocks : Math.floor(offset / this.blockBytes);
  }

  #updatePages(live: Buffer, shadow: Buffer, blockOffset: number): Change[] {
    const changes: { offset: number; bytes: number; isZero: boolean }[] = [];
    const step = limits.ramPageBytes;
    for (let at = 0; at < live.length; at += step) {
      const from = live.subarray(at, at + step);
      const to = shadow.subarray(at, at + step);
      if (from.equals(to)) continue;
      to.set(from);
      // Of the copy: the original may be another one by now.
      const isZeroNow = isZero(to);
      const last = changes.at(-1);
      if (last?.isZero === isZeroNow && last.offset + last.bytes === blockOffset + at) {
        last.bytes += to.length;
      } else {
        changes.push({ offset: blockOffset + at, bytes: to.length, isZero: isZeroNow });
      }
    }
    return changes;
  }
}

function noRoom(path: string, cause?: Error): UnderstudyError {
  return new UnderstudyError('resources', `Cannot write the shadow of the RAM, '${path}'`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'a primary that seeds needs room for the guest’s memory twice in its run directory',
  });
}
