/**
 * The cuts of a copy: it is compared with its primary there, and kept where that was asked for.
 */
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Term } from '../../base/units.ts';
import type { BlobFrame, Cut, SeedOffer } from '../../ports/link.ts';
import type { CopyReport } from '../../ports/machine.ts';
import type { Segment } from '../../rrlog/log-tail.ts';
import type { Keeping, KeepResult, SnapshotKeeper } from '../keeping/keeper.ts';
import type { Logger } from '../logger.ts';
import type { Reporter } from '../report.ts';
import { cutStreams } from '../seeding/bulk.ts';
import { BlobCollector } from './blob-collector.ts';
import { decodeDiskDigests, diskDigestsMax } from './disk-digests.ts';
import { DiskWatch, type ImagesAtCut } from './disk-watch.ts';
import type { Replica } from './replica.ts';

export interface CopiedCutsOptions {
  readonly ramFile: string;
  readonly diskImages: Readonly<Record<string, string>>;
  readonly term: Term;
  /** Who keeps this copy's cuts, if somebody does: `seedId` names the recording it is of. */
  readonly keepSnapshots?: ((seedId: string, term: Term) => SnapshotKeeper) | undefined;
  readonly report: (report: CopyReport) => void;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export class CopiedCuts {
  readonly #options: CopiedCutsOptions;
  #keeper: SnapshotKeeper | undefined;
  /** Of the copy's disks, once it is worth keeping. */
  #disks: DiskWatch | undefined;
  #diskBytesMax = 0;
  /** What comes behind a cut: the primary's device state, and what it knows of its disks. */
  #coming: ReadonlyMap<number, BlobCollector> | undefined;

  constructor(options: CopiedCutsOptions) {
    this.#options = options;
  }

  /** From its grant on the copy is worth keeping. */
  follow({ storage }: Replica, offer: SeedOffer): void {
    const { keepSnapshots, term, ramFile, diskImages, report, log } = this.#options;
    this.#disks = new DiskWatch({
      ...{ storage, log },
      images: offer.disks.map(({ id }) => ({ id, path: diskImages[id] ?? '' })),
      onChanged: (reason) => report({ type: 'copyFailed', reason }),
    });
    this.#diskBytesMax = diskDigestsMax(offer.disks);
    if (keepSnapshots === undefined) return;
    const diskBytes = Object.fromEntries(offer.disks.map(({ id, bytes }) => [id, bytes]));
    const images = Object.entries(diskImages).filter(([id]) => diskBytes[id] !== undefined);
    this.#keeper = keepSnapshots(offer.seedId, term);
    this.#keeper.follow({
      ...{ storage, ramFile, diskBytes, ramBytes: offer.ramBytes },
      diskImages: Object.fromEntries(images),
    });
  }

  received(segment: Segment): void {
    this.#keeper?.received(segment);
  }

  resumed(): void {
    this.#keeper?.resumed();
  }

  /** Takes a piece that belongs to a cut. False: it is of something else. */
  take(blob: BlobFrame): boolean {
    const coming = this.#coming;
    if (coming === undefined) return false;
    const collector = coming.get(blob.stream);
    if (collector === undefined) {
      throw new UnderstudyError('link', `A piece of stream ${blob.stream} belongs to no cut`);
    }
    collector.take(blob);
    return true;
  }

  /** Waits for what is being stored, and lets go of everything. */
  async close(): Promise<void> {
    await this.#disks?.close();
    await this.#keeper?.close();
  }

  /** `cut` has a judgement of the clock when it is to be taken. */
  async compare(replica: Replica, cut: Cut): Promise<void> {
    const { reporter, log, report } = this.#options;
    const { cutId, icount, digest, judgement } = cut;
    const state = new BlobCollector(cutStreams.deviceState, cut.deviceStateBytes);
    const disks = new BlobCollector(cutStreams.disks, this.#diskBytesMax);
    this.#coming = new Map([
      [cutStreams.deviceState, state],
      [cutStreams.disks, disks],
    ]);
    const keeping = this.#keeping(cut);
    let deviceState: Buffer | undefined;
    let images: ImagesAtCut = [];
    try {
      const { differences: found, clockTaken } = await replica.compare({
        ...{ icount, ram: digest.ram, primaryState: state.complete, judgement },
        whileStill: async () => {
          images = this.#disks?.atCut() ?? [];
          return keeping?.whileStill();
        },
      });
      if (clockTaken) log.info({}, 'the copy took its clock as the primary judged it');
      // Who asks for a compare waits for all of it.
      const isAsked = cut.isSample !== true;
      const told = decodeDiskDigests(await disks.complete);
      const reads = isAsked ? Number.POSITIVE_INFINITY : limits.cutBlockReads;
      const changed = isAsked ? ((await this.#disks?.lookAtAll()) ?? []) : [];
      const onDisk = await this.#disks?.compare(images, told, reads);
      const differences = [...found, ...changed, ...(onDisk?.differences ?? [])];
      const equal = differences.length === 0;
      if (equal) deviceState = await state.complete;
      else log.error({ differences }, 'the copy differs from the primary');
      // The next cut may come as soon as this one is answered.
      this.#coming = undefined;
      const diskBlocks = onDisk?.compared ?? 0;
      reporter.report({ type: 'cutCompared', equal, differences, clockTaken, diskBlocks });
      report({ type: 'compared', cutId, differences });
    } catch (thrown) {
      this.#coming = undefined;
      report({ type: 'copyFailed', reason: reasonOf(thrown) });
    } finally {
      keeping?.settle(deviceState);
    }
  }

  /** Answers a cut that was to be kept; asked for without a keeper, it cannot be. */
  #keeping(cut: Cut): Keeping | undefined {
    const { cutId } = cut;
    const tell = (result: KeepResult) => this.#options.report({ type: 'kept', cutId, ...result });
    if (this.#keeper !== undefined) return this.#keeper.cut(cut, tell);
    if (cut.keep !== undefined) {
      const problem = 'No snapshot: the pair file of the backup has no `snapshots`';
      tell({ problem, mayPass: false });
    }
    return undefined;
  }
}
