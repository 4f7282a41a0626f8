/**
 * Packs: chunks, one behind the other in a file that is written once.
 *
 *   pack    head | chunk | chunk | ... | index | tail
 *
 *   head    "USPK"  u32 version 1
 *   chunk   its stored bytes, nothing else
 *   index   for each chunk 48 bytes: SHA-256 of its bytes (32), u32 offset in the file, u32 stored
 *           bytes, u32 bytes, u8 codec, 3 zeros
 *   tail    "USPI"  u32 chunks  u32 offset of the index  u32 0  SHA-256 of the index (32)
 *
 * All numbers are big-endian. The name of the file is random: were it made of what is in the pack,
 * a pack could be written again while `collect` is about to remove it.
 */
import { hash, randomBytes } from 'node:crypto';
import { hashBytes, type StoredChunk } from './chunk.ts';
import { damaged } from './failure.ts';
import { discard, type Places, settle, temporaryName } from './file-names.ts';
import type { Files, StoreFile } from './files.ts';
import { storeLimits } from './limits.ts';

const headMagic = Buffer.from('USPK\0\0\0\x01', 'latin1');
const tailMagic = 0x55535049; // "USPI"
const entryBytes = 48;
const tailBytes = 48;

/** One chunk of a pack. */
export interface PackEntry {
  readonly name: Buffer;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly codec: number;
}

/** A pack that is whole and has its name. */
export interface SealedPack {
  readonly id: string;
  readonly bytes: number;
  readonly entries: readonly PackEntry[];
}

/** Writes one pack. What was added can be read, and is found by others, when it is sealed. */
export class PackWriter {
  readonly #files: Files;
  readonly #places: Places;
  readonly #entries: PackEntry[] = [];
  #file: { readonly handle: StoreFile; readonly path: string } | undefined;
  #waiting: Uint8Array[] = [headMagic];
  #waitingBytes = headMagic.length;
  #bytes = headMagic.length;

  constructor(files: Files, places: Places) {
    this.#files = files;
    this.#places = places;
  }

  /** As it will be with what was added. */
  get bytes(): number {
    return this.#bytes + this.#entries.length * entryBytes + tailBytes;
  }

  get isFull(): boolean {
    return this.bytes >= storeLimits.packBytes;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** True when so much waits that `flush` should be called. */
  get wantsFlush(): boolean {
    return this.#waitingBytes >= storeLimits.packBufferBytes;
  }

  /** The bytes are kept, not copied, until the next flush. */
  add(name: Buffer, { codec, rawBytes, bytes }: StoredChunk): void {
    const entry = { name, offset: this.#bytes, storedBytes: bytes.length, rawBytes, codec };
    this.#entries.push(entry);
    this.#push(bytes);
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting, this.#waitingBytes);
    this.#waiting = [];
    this.#waitingBytes = 0;
    await (await this.#open()).handle.append(bytes);
  }

  /** The rest is written, and the pack gets its name. */
  async seal(): Promise<SealedPack> {
    const index = encodeIndex(this.#entries);
    const sum = hash('sha256', index, 'buffer');
    const tail = Buffer.alloc(tailBytes);
    tail.writeUInt32BE(tailMagic, 0);
    tail.writeUInt32BE(this.#entries.length, 4);
    tail.writeUInt32BE(this.#bytes, 8);
    sum.copy(tail, 16);
    this.#push(index);
    this.#push(tail);
    await this.flush();
    const id = randomBytes(16).toString('hex');
    const { handle, path } = await this.#open();
    await settle(this.#files, handle, path, this.#places.pack(id));
    return { id, bytes: this.#bytes, entries: this.#entries };
  }

  /** Leaves nothing behind of a pack that is not sealed. */
  async discard(): Promise<void> {
    if (this.#file !== undefined) {
      await discard(this.#files, this.#file.handle, this.#file.path);
    }
  }

  #push(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#bytes += bytes.length;
  }

  async #open(): Promise<{ readonly handle: StoreFile; readonly path: string }> {
    if (this.#file === undefined) {
      const path = temporaryName(this.#places.packs);
      this.#file = { handle: await this.#files.create(path), path };
    }
    return this.#file;
  }
}

/** What is in a pack, by its index. Throws `store` when it is damaged. */
export async function readPackIndex(files: Files, places: Places, id: string): Promise<SealedPack> {
  const file = places.pack(id);
  const bytes = await files.size(file);
  const wrong = (what: string) => damaged(`Pack '${file}' is damaged: ${what}`);
  if (bytes < headMagic.length + tailBytes) throw wrong(`it has only ${bytes} bytes`);
  const handle = await files.open(file);
  try {
    const head = await handle.read(0, headMagic.length);
    if (!head.equals(headMagic)) throw wrong('it does not begin as a pack of version 1');
    const tail = await handle.read(bytes - tailBytes, tailBytes);
    const count = tail.readUInt32BE(4);
    const offset = tail.readUInt32BE(8);
    const indexBytes = count * entryBytes;
    if (
      tail.readUInt32BE(0) !== tailMagic ||
      tail.readUInt32BE(12) !== 0 ||
      indexBytes > storeLimits.packIndexBytesMax ||
      offset + indexBytes + tailBytes !== bytes
    ) {
      throw wrong('its end is none');
    }
    const index = await handle.read(offset, indexBytes);
    if (!hash('sha256', index, 'buffer').equals(tail.subarray(16))) {
      throw wrong('its index has another checksum');
    }
    return { id, bytes, entries: decodeIndex(index) };
  } finally {
    await handle.close();
  }
}

function encodeIndex(entries: readonly PackEntry[]): Buffer {
  const index = Buffer.alloc(entries.length * entryBytes);
  entries.forEach(({ name, offset, storedBytes, rawBytes, codec }, i) => {
    const at = i * entryBytes;
    name.copy(index, at);
    index.writeUInt32BE(offset, at + hashBytes);
    index.writeUInt32BE(storedBytes, at + hashBytes + 4);
    index.writeUInt32BE(rawBytes, at + hashBytes + 8);
    index.writeUInt8(codec, at + hashBytes + 12);
  });
  return index;
}

function decodeIndex(index: Buffer): PackEntry[] {
  const entries: PackEntry[] = [];
  for (let at = 0; at < index.length; at += entryBytes) {
    entries.push({
      name: index.subarray(at, at + hashBytes),
      offset: index.readUInt32BE(at + hashBytes),
      storedBytes: index.readUInt32BE(at + hashBytes + 4),
      rawBytes: index.readUInt32BE(at + hashBytes + 8),
      codec: index.readUInt8(at + hashBytes + 12),
    });
  }
  return entries;
}

/** Bytes that a chunk takes in a pack, with its entry. */
export function packedBytes(entry: Pick<PackEntry, 'storedBytes'>): number {
  return entry.storedBytes + entryBytes;
}
