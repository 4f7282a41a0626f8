/**
 * Which parts of a disk are written, in rounds, by dirty bitmaps of the storage daemon.
 *
 * Intuition: a bitmap marks a block when a write to it has *ended*. So whoever reads a block after
 * the bitmap was there either reads what was written, or finds the block in the next round.
 *
 * Contract
 *  1. Every write, discard or write of zeros that ends after `begin` is in exactly one round.
 *  2. `nextRound` ends a round and begins the next one in one step of the daemon.
 *  3. A copy that was started with the tracker (`Storage.startCopies`) ends the last round, or,
 *     when the tracker goes on, the present one; its extents can be read once that copy is done.
 *  4. A round that was ended by a copy is either forgotten or taken back: then it is part of the
 *     present round, as if it had not ended.
 */
import type { Extent } from '../../host/libc.ts';
import { hypervisorLimits } from '../limits.ts';
import type { Monitor } from '../qemu/monitor.ts';
import { readDirtyExtents } from './nbd-dirty.ts';

export interface WriteTrackerOptions {
  readonly monitor: Monitor;
  readonly nbdSocket: string;
  readonly disk: string;
  /** Size of the disk. */
  readonly bytes: number;
  /** Of this tracker alone, in this daemon. */
  readonly name: string;
}

export class WriteTracker {
  readonly #options: WriteTrackerOptions;
  #round = 1;

  private constructor(options: WriteTrackerOptions) {
    this.#options = options;
  }

  static async begin(options: WriteTrackerOptions): Promise<WriteTracker> {
    const tracker = new WriteTracker(options);
    await options.monitor.execute('block-dirty-bitmap-add', tracker.#newBitmap());
    return tracker;
  }

  /** Name of the bitmap of the present round. */
  get bitmap(): string {
    return `${this.#options.name}-${this.#round}`;
  }

  /** What was written since `begin` or the last call, in ascending order. */
  async nextRound(): Promise<Extent[]> {
    const { monitor } = this.#options;
    const ended = this.bitmap;
    await monitor.execute('transaction', { actions: this.turnActions() });
    const extents = await this.#read(ended);
    await monitor.execute('block-dirty-bitmap-remove', this.#named(ended));
    return extents;
  }

  /** The part of a transaction that ends the present round without another one. */
  freezeAction(): object {
    return { type: 'block-dirty-bitmap-disable', data: this.#named(this.bitmap) };
  }

  /** The parts of a transaction that end the present round and begin the next one. */
  turnActions(): object[] {
    const freeze = this.freezeAction();
    this.#round += 1;
    return [{ type: 'block-dirty-bitmap-add', data: this.#newBitmap() }, freeze];
  }

  /** What was written in a round that a copy ended. The copy must be over. */
  endedRound(bitmap: string): Promise<Extent[]> {
    return this.#read(bitmap);
  }

  /** A round that a copy ended is not needed any more. The copy must be over. */
  async forgetRound(bitmap: string): Promise<void> {
    await this.#options.monitor.execute('block-dirty-bitmap-remove', this.#named(bitmap));
  }

  /** What a round that a copy ended had seen counts as written in the present one. */
  async takeBackRound(bitmap: string): Promise<void> {
    const { monitor, disk: node } = this.#options;
    const target = this.bitmap;
    await monitor.execute('block-dirty-bitmap-merge', { node, target, bitmaps: [bitmap] });
    await this.forgetRound(bitmap);
  }

  /** What was written in the last round: between the last `nextRound` and the copy's beginning. */
  lastRound(): Promise<Extent[]> {
    return this.#read(this.bitmap);
  }

  /** Records nothing any more. The copy that was started with this tracker must be over. */
  async end(): Promise<void> {
    await this.#options.monitor.execute('block-dirty-bitmap-remove', this.#named(this.bitmap));
  }

  async #read(bitmap: string): Promise<Extent[]> {
    const { monitor, nbdSocket, disk, bytes } = this.#options;
    const id = `read-${bitmap}`;
    await monitor.execute('block-export-add', {
      type: 'nbd',
      id,
      'node-name': disk,
      name: id,
      writable: false,
      bitmaps: [bitmap],
    });
    try {
      return await readDirtyExtents({ socket: nbdSocket, exportName: id, bitmap, bytes });
    } finally {
      await this.#removeExport(id);
    }
  }

  /** The bitmap is busy until its export is gone, which an event tells. */
  async #removeExport(id: string): Promise<void> {
    const { monitor } = this.#options;
    const gone = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, hypervisorLimits.commandMs);
      const stop = monitor.onEvent(({ event, data }) => {
        if (event !== 'BLOCK_EXPORT_DELETED' || data?.id !== id) return;
        clearTimeout(timer);
        stop();
        resolve();
      });
    });
    await monitor.execute('block-export-del', { id, mode: 'hard' });
    await gone;
  }

  #newBitmap(): object {
    const granularity = hypervisorLimits.dirtyBlockBytes;
    return { ...this.#named(this.bitmap), granularity, persistent: false };
  }

  #named(name: string): { node: string; name: string } {
    return { node: this.#options.disk, name };
  }
}
