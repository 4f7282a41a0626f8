/**
 * Captures the RAM and the disks of a copy at a cut, as what changed since the last kept cut.
 *
 * Intuition: the same as a seed's last round, again and again. A shadow holds the RAM of the last
 * capture; at the next one what differs is copied into it. A dirty bitmap of the storage daemon
 * names what was written to a disk, and a point-in-time copy holds it back while the machine goes
 * on. So the copy stands still for one comparison of RAM and one command, whatever has changed.
 *
 * Contract
 *  1. What `ship` puts, over what was shipped before, is the state at `capture`, byte for byte.
 *  2. A capture that was not shipped is not lost for the next one: what had changed counts as
 *     changed.
 *  3. One capture at a time: the next one is made when `ship` or `drop` has settled.
 *  4. Nothing is left after `close`: no shadow, no copy, no bitmap.
 *  5. A capture lets others in: a node that answers nobody for as long as it takes to compare all
 *     of a large machine's RAM is taken for dead.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { type Extent, nextData } from '../../host/libc.ts';
import { imageBytes, type Storage } from '../../hypervisor/disks/storage.ts';
import type { WriteTracker } from '../../hypervisor/disks/write-tracker.ts';
import { isZero } from '../../hypervisor/memory/ram.ts';
import { RamShadow } from '../../hypervisor/memory/ram-shadow.ts';
import { diskImage, ramImage, type SnapshotWriter } from '../../ports/snapshot-store.ts';
import { snapshotLimits } from '../../restore/limits.ts';
import type { Pace } from '../seeding/pace.ts';

/** What it has of the storage daemon. */
type CopyingStorage = Pick<
  Storage,
  'trackWrites' | 'prepareCopy' | 'startCopies' | 'hurryCopies' | 'discardCopy'
>;

export interface CaptureOptions {
  readonly storage: CopyingStorage;
  readonly ramFile: string;
  /** Image of each disk that can be written, by id. A copy lies beside its image. */
  readonly diskImages: Readonly<Record<string, string>>;
}

/** RAM and disks of one cut, here and not yet in the store. */
export interface Captured {
  /** RAM of the cut, until the next capture. */
  readonly ramFile: string;
  /** How long RAM was compared, and how long the copies of the disks then were waited for. */
  readonly ramMs: number;
  readonly disksMs: number;
  readonly disks: readonly CapturedDisk[];
  readonly copied: Promise<void>;
}

interface CapturedDisk {
  readonly disk: TrackedDisk;
  readonly node: string;
  /** Its round that ended here. */
  readonly round: string;
  /** The copy is of the whole disk. */
  readonly isWhole: boolean;
}

interface TrackedDisk {
  readonly id: string;
  readonly image: string;
  readonly bytes: number;
  readonly tracker: WriteTracker;
}

const copyPath = ({ image }: TrackedDisk): string => `${image}.kept`;

export class Capturer {
  readonly #storage: CopyingStorage;
  readonly #pace: Pace;
  readonly #disks: TrackedDisk[] = [];
  readonly #shadow: RamShadow;
  readonly #shadowFile: string;
  /** By chunk: 1 when the store's last snapshot has something else. */
  readonly #changed: Uint8Array;
  /** Nodes of the copies that the next capture will begin. */
  #prepared: string[] | undefined;
  /** The store has nothing of this machine yet. */
  #isFirst = true;
  /** The last one; never rejects. */
  #capturing: Promise<unknown> = Promise.resolve();

  private constructor({ storage, ramFile }: CaptureOptions, pace: Pace) {
    this.#storage = storage;
    this.#pace = pace;
    this.#shadowFile = `${ramFile}.kept`;
    this.#shadow = new RamShadow(ramFile, this.#shadowFile, snapshotLimits.blockBytes);
    this.#changed = new Uint8Array(Math.ceil(this.#shadow.bytes / snapshotLimits.chunkBytes));
  }

  /**
   * Begins to follow RAM and disks. `pace`: of this and of all captures, which end when it does.
   * Throws `resources` without room for the shadow, `disk` when the storage daemon refuses.
   */
  static async begin(options: CaptureOptions, pace: Pace): Promise<Capturer> {
    const capturer = new Capturer(options, pace);
    try {
      for (const [id, image] of Object.entries(options.diskImages)) {
        const bytes = imageBytes(image);
        const tracker = await options.storage.trackWrites(id, bytes);
        capturer.#disks.push({ id, image, bytes, tracker });
      }
      await capturer.#follow();
      return capturer;
    } catch (error) {
      await capturer.close();
      throw error;
    }
  }

  /** What a capture needs, before the machine stands still. */
  async prepare(): Promise<void> {
    if (this.#prepared !== undefined) return;
    const nodes: string[] = [];
    for (const disk of this.#disks) {
      nodes.push(await this.#storage.prepareCopy(disk.id, copyPath(disk), disk.bytes));
    }
    this.#prepared = nodes;
  }

  /**
   * The machine stands still until it resolves. `prepare` must have been called since the last
   * capture.
   */
  capture(): Promise<Captured> {
    const capturing = this.#capture();
    this.#capturing = capturing.catch(() => undefined);
    return capturing;
  }

  async #capture(): Promise<Captured> {
    const nodes = this.#prepared;
    if (nodes === undefined) throw new Error('a capture was not prepared');
    const isWhole = this.#isFirst;
    const disks = this.#disks.map((disk, index) => {
      return { disk, node: nodes[index] as string, round: disk.tracker.bitmap, isWhole };
    });
    const copies = disks.map(({ disk: { id, tracker }, node }) => {
      return { id, node, tracker, goesOn: true, whole: isWhole };
    });
    const begun = performance.now();
    // The storage daemon begins while RAM is compared.
    const starting = this.#storage.startCopies(copies);
    starting.catch(() => undefined); // awaited below
    let failure: Error | undefined;
    try {
      await this.#follow();
    } catch (thrown) {
      failure = asError(thrown); // the copies are under way and must be ended
    }
    const ramMs = performance.now() - begun;
    const { done } = await starting;
    this.#prepared = undefined;
    const disksMs = performance.now() - begun - ramMs;
    const captured = { ramFile: this.#shadowFile, ramMs, disksMs, disks, copied: done };
    if (failure === undefined) return captured;
    await this.drop(captured);
    throw failure;
  }

  /** Puts all that changed. Call `shipped` when it was committed, `drop` otherwise. */
  async ship(captured: Captured, writer: Pick<SnapshotWriter, 'put'>): Promise<void> {
    await this.#storage.hurryCopies(captured.disks);
    await this.#putRam(writer);
    await captured.copied;
    for (const part of captured.disks) await putDisk(part, writer);
  }

  /** The snapshot is in the store: the next one is what changes from it on. */
  async shipped(captured: Captured): Promise<void> {
    this.#changed.fill(0);
    this.#isFirst = false;
    for (const { disk, node, round } of captured.disks) {
      await this.#discardCopy(disk, node);
      await disk.tracker.forgetRound(round);
    }
  }

  /** The store does not have it. */
  async drop(captured: Captured): Promise<void> {
    for (const { disk, node, round } of captured.disks) {
      await this.#discardCopy(disk, node);
      await disk.tracker.takeBackRound(round);
    }
  }

  /** The storage daemon may be gone already. */
  async close(): Promise<void> {
    await this.#capturing;
    this.#shadow.close();
    for (const [index, disk] of this.#disks.entries()) {
      const node = this.#prepared?.[index];
      if (node !== undefined) await this.#discardCopy(disk, node).catch(() => undefined);
      await disk.tracker.end().catch(() => undefined);
      fs.rmSync(copyPath(disk), { force: true });
    }
  }

  /** Brings the shadow up to date. What it did before it failed counts as changed. */
  async #follow(): Promise<void> {
    const { chunkBytes } = snapshotLimits;
    for (const block of this.#shadow.candidates()) {
      for (const { offset, bytes } of this.#shadow.update(block)) {
        const end = Math.ceil((offset + bytes) / chunkBytes);
        this.#changed.fill(1, Math.floor(offset / chunkBytes), end);
      }
      await this.#pace.breathe();
    }
  }

  async #discardCopy(disk: TrackedDisk, node: string): Promise<void> {
    await this.#storage.discardCopy(node);
    await fs.promises.rm(copyPath(disk), { force: true });
  }

  async #putRam(writer: Pick<SnapshotWriter, 'put'>): Promise<void> {
    const shadow = this.#shadow;
    const { chunkBytes, putBytes } = snapshotLimits;
    for (let chunk = 0; chunk < this.#changed.length; chunk += 1) {
      if (this.#changed[chunk] !== 1) continue;
      const offset = chunk * chunkBytes;
      while (this.#changed[chunk + 1] === 1 && (chunk + 1) * chunkBytes < offset + putBytes) {
        chunk += 1;
      }
      const bytes = Math.min((chunk + 1) * chunkBytes, shadow.bytes) - offset;
      // A copy: the store may still work on it when the shadow is gone.
      await writer.put(ramImage, offset, Buffer.from(shadow.read(offset, bytes)));
    }
  }
}

async function putDisk(
  { disk, round, isWhole }: CapturedDisk,
  writer: Pick<SnapshotWriter, 'put'>,
): Promise<void> {
  const name = diskImage(disk.id);
  let file: fs.promises.FileHandle | undefined;
  try {
    file = await fs.promises.open(copyPath(disk), 'r');
    const extents = isWhole ? dataOf(file.fd) : await disk.tracker.endedRound(round);
    for (const { from, to } of inChunks(extents, disk.bytes)) {
      const bytes = Buffer.alloc(to - from);
      await file.read(bytes, 0, bytes.length, from);
      // What a new snapshot does not get is zero there already.
      if (!(isWhole && isZero(bytes))) await writer.put(name, from, bytes);
    }
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) throw thrown;
    throw new UnderstudyError('disk', `Cannot read the copy of disk '${disk.id}'`, {
      cause: asError(thrown),
    });
  } finally {
    await file?.close();
  }
}

function* dataOf(fd: number): Generator<Extent> {
  for (let data = nextData(fd, 0); data !== undefined; data = nextData(fd, data.to)) yield data;
}

/** Ascending runs as runs of whole blocks, each once, none longer than one `put`. */
function* inChunks(extents: Iterable<Extent>, imageBytes: number): Generator<Extent> {
  const { blockBytes, putBytes } = snapshotLimits;
  let done = 0;
  for (const { from, to } of extents) {
    const end = Math.min(imageBytes, Math.ceil(to / blockBytes) * blockBytes);
    let at = Math.max(done, from - (from % blockBytes));
    for (; at < end; at += putBytes) yield { from: at, to: Math.min(end, at + putBytes) };
    done = Math.max(done, end);
  }
}
