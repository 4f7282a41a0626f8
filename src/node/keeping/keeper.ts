/**
 * Keeps cuts of the machine as snapshots, and the log behind them: what a backup does beside
 * protecting, for the life of one copy.
 *
 * Contract
 *  1. Nothing here can harm protection: no failure of the store, the disk or the storage daemon
 *     leaves this module but as a report, and nothing on the way of log or acknowledgements waits
 *     for it.
 *  2. While the copy stands still only memory is compared and copies of disks are begun; all else
 *     is done behind it.
 *  3. A cut is kept when the compare found the copy equal to the primary, and only then. What is
 *     kept is the primary's device state, with the RAM and the disks of the copy. It is the
 *     captured RAM that was compared.
 *  4. One cut at a time: one that comes while another is still shipped is not kept, and that is
 *     told.
 *  5. After `close` the storage daemon has nothing of it any more, and the store may be opened by
 *     others.
 */
import { asError, reasonOf, UnderstudyError } from '../../base/errors.ts';
import type { BootFile } from '../../hypervisor/config.ts';
import { parseDeviceState, replaySection } from '../../hypervisor/device-state/device-state.ts';
import type { Storage } from '../../hypervisor/disks/storage.ts';
import type { Cut } from '../../ports/link.ts';
import {
  diskImage,
  ramImage,
  type SnapshotFacts,
  type SnapshotManifest,
  type WritableStore,
} from '../../ports/snapshot-store.ts';
import { type KeptBootFile, putBootFiles, readBootFiles } from '../../restore/boot-files.ts';
import { recordingClock } from '../../restore/wall-clock.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { Segment } from '../../rrlog/log-tail.ts';
import type { Logger } from '../logger.ts';
import type { Reporter } from '../report.ts';
import { Pace } from '../seeding/pace.ts';
import { type Captured, Capturer } from './capture.ts';
import { LogKeeper } from './log-keeper.ts';

/** What is the same for all snapshots of one copy. */
type CopyFacts = Pick<
  SnapshotFacts,
  'vm' | 'run' | 'vmFingerprint' | 'qemuVersion' | 'term' | 'seedId' | 'vmFile'
>;

export interface SnapshotKeeperOptions {
  readonly facts: CopyFacts;
  /** What the machine boots with: each snapshot has it, while it is what it was. */
  readonly bootFiles: readonly BootFile[];
  readonly layout: Layout;
  /** Opens the store to write; throws `store` when another process has it. */
  readonly openStore: () => Promise<WritableStore>;
  /** Called once for each that was opened. */
  readonly closeStore: (store: WritableStore) => Promise<void>;
  /** Called after each snapshot that was kept: retention. It may throw. */
  readonly afterKept: (store: WritableStore) => Promise<void>;
  readonly reporter: Reporter;
  readonly log: Logger;
}

/** The copy whose cuts are kept. */
export interface KeptCopy {
  readonly storage: Storage;
  readonly ramFile: string;
  /** Image of each disk, by id; disks that cannot be written included. */
  readonly diskImages: Readonly<Record<string, string>>;
  /** Size of each, bytes. */
  readonly diskBytes: Readonly<Record<string, number>>;
  readonly ramBytes: number;
}

/** What became of a cut that was to be kept: the snapshot's id, or why there is none. */
export type KeepResult =
  | { readonly snapshot: string }
  /** `mayPass`: asked for again, it may be kept. */
  | { readonly problem: string; readonly mayPass: boolean };

/** A compare whose cut is to be kept. */
export interface Keeping {
  /** For `Replica.compare`; never rejects. */
  readonly whileStill: () => Promise<string | undefined>;
  /**
   * The compare is over. With the primary's device state the copy was found equal to it, and the
   * snapshot is stored; without it what was captured is dropped.
   */
  readonly settle: (deviceState: Buffer | undefined) => void;
}

/** What follows a copy, once it is all there. */
interface Following {
  readonly store: WritableStore;
  readonly capturer: Capturer;
  readonly log: LogKeeper;
  readonly copy: KeptCopy;
  readonly bootFiles: readonly KeptBootFile[];
}

export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  readonly #stopping = new AbortController();
  #copy: KeptCopy | undefined;
  #following: Following | undefined;
  /** What `follow` began; it rejects when the store or the storage daemon refused. */
  #beginning: Promise<void> | undefined;
  /** A cut is being captured or stored. */
  #isBusy = false;
  #storing: Promise<void> = Promise.resolve();
  /** The last snapshot of this copy. */
  #parent: string | undefined;
  /** The same for its snapshots and the log between them. */
  readonly #now = recordingClock();
  #dropped = 0;
  #whyDropped = '';
  #lastTrouble = '';

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
  }

  /** Begins to follow the copy. It takes a while; cuts are not kept before. */
  follow(copy: KeptCopy): void {
    this.#copy = copy;
    this.#beginning = this.#begin(copy)
      .catch((thrown: unknown) => this.#trouble(asError(thrown)))
      .finally(() => {
        this.#beginning = undefined;
      });
  }

  /** Resolves when what `follow` began is over. */
  async settled(): Promise<void> {
    await this.#beginning;
  }

  /** Log was received and goes to the copy. */
  received(segment: Segment): void {
    this.#following?.log.received(segment);
  }

  /** The primary was stopped at the end of what was received, and went on without a cut. */
  resumed(): void {
    this.#following?.log.resumed();
  }

  /**
   * The machine was cut at the end of what was received; the cut has a judgement of the clock when
   * the copy is to take it. When the cut is to be kept, `tell` is called once, sooner or later.
   * Returns what the compare is to be told then, if it can be kept.
   */
  cut(cut: Cut, tell: (result: KeepResult) => void): Keeping | undefined {
    const following = this.#following;
    following?.log.cut(cut);
    if (cut.keep === undefined) return undefined;
    const whyNot = this.#whyNot();
    if (following === undefined || whyNot !== undefined) {
      const { why = '', mayPass = false } = whyNot ?? {};
      tell({ problem: this.#drop(new UnderstudyError('store', `No snapshot: ${why}`)), mayPass });
      return undefined;
    }
    this.#isBusy = true;
    // Behind the mark of this cut: a replay from it does not begin by mirroring it.
    following.log.begin(cut.position, cut.icount);
    const facts = this.#factsOf(cut, cut.keep, following);
    let captured: Promise<Captured> | undefined;
    return {
      whileStill: () => {
        captured = following.capturer.capture();
        return captured.then(
          ({ ramFile }) => ramFile,
          () => undefined, // told by `settle`
        );
      },
      settle: (deviceState) => {
        this.#storing = this.#settle(following, captured, deviceState, facts).then(tell);
      },
    };
  }

  /** Waits for what is being stored, and lets go of everything. */
  async close(): Promise<void> {
    this.#stopping.abort(new UnderstudyError('store', 'the copy is gone'));
    await this.#beginning;
    await this.#storing;
    const following = this.#following;
    this.#following = undefined;
    if (following === undefined) return;
    await following.log.close();
    await following.capturer.close();
    await this.#options
      .closeStore(following.store)
      .catch((thrown: unknown) => this.#trouble(asError(thrown)));
  }

  async #begin(copy: KeptCopy): Promise<void> {
    const store = await this.#options.openStore();
    try {
      const capturer = await Capturer.begin(copy, new Pace(this.#stopping.signal));
      await capturer.prepare();
      const { vm, run, term } = this.#options.facts;
      const log = new LogKeeper({
        ...{ vm, run, term, archive: store.log, now: this.#now },
        layout: this.#options.layout,
        onBroken: (error) => this.#trouble(error),
        onRefused: (error) => this.#trouble(error),
      });
      const bootFiles = await this.#bootFiles();
      this.#following = { store, capturer, log, copy, bootFiles };
    } catch (error) {
      await this.#options.closeStore(store).catch(() => undefined);
      throw error;
    }
  }

  /** None when one of them was changed: snapshots are worth having without them. */
  async #bootFiles(): Promise<KeptBootFile[]> {
    try {
      return await readBootFiles(this.#options.bootFiles);
    } catch (thrown) {
      this.#trouble(asError(thrown));
      return [];
    }
  }

  /** Why no cut can be kept now, and whether that passes by itself. */
  #whyNot(): { readonly why: string; readonly mayPass: boolean } | undefined {
    if (this.#isBusy) return { why: 'the one before is still being stored', mayPass: true };
    if (this.#following !== undefined) return undefined;
    if (this.#beginning === undefined && this.#copy !== undefined) {
      // Another process may have had the store, or its disk was away.
      this.follow(this.#copy);
      return { why: 'the store could not be used; it is tried again', mayPass: false };
    }
    return { why: 'the copy is not followed yet', mayPass: true };
  }

  #factsOf(cut: Cut, keep: NonNullable<Cut['keep']>, { log, copy, bootFiles }: Following) {
    const { label, guest } = keep;
    return {
      ...this.#options.facts,
      layout: this.#options.layout.qemu,
      epoch: log.epoch,
      icount: cut.icount,
      position: cut.position,
      takenAtMs: this.#now(),
      ...(label === undefined ? {} : { label }),
      ...(guest === undefined ? {} : { guest }),
      images: [
        { name: ramImage, bytes: copy.ramBytes },
        ...Object.entries(copy.diskBytes).map(([id, bytes]) => ({ name: diskImage(id), bytes })),
        ...bootFiles.map(({ image }) => image),
      ],
    };
  }

  /** Stores or drops; never rejects. */
  async #settle(
    following: Following,
    capturing: Promise<Captured> | undefined,
    deviceState: Buffer | undefined,
    facts: Omit<SnapshotFacts, 'blockRequestId'>,
  ): Promise<KeepResult> {
    const begun = performance.now();
    const { store, capturer } = following;
    let captured: Captured | undefined;
    try {
      captured = await capturing;
      if (captured === undefined || deviceState === undefined) {
        throw new UnderstudyError('store', 'No snapshot: the copy was not found equal at the cut');
      }
      const { blockRequestId } = replaySection(parseDeviceState(deviceState));
      const { id, addedBytes } = await this.#store(
        following,
        captured,
        { ...facts, blockRequestId },
        deviceState,
      );
      const { ramMs, disksMs } = captured;
      const ms = performance.now() - begun;
      captured = undefined;
      this.#options.reporter.report({ type: 'snapshot', id, addedBytes, ramMs, disksMs, ms });
      await this.#options.afterKept(store).catch((thrown: unknown) => {
        this.#trouble(asError(thrown));
      });
      return { snapshot: id };
    } catch (thrown) {
      if (captured !== undefined) await capturer.drop(captured).catch(() => undefined);
      // Without any snapshot in front of it log is worth nothing.
      if (this.#parent === undefined) following.log.stop();
      return { problem: this.#drop(asError(thrown)), mayPass: false };
    } finally {
      await capturer.prepare().catch(() => undefined); // the next capture says what is wrong
      this.#isBusy = false;
    }
  }

  async #store(
    { store, capturer, log, bootFiles }: Following,
    captured: Captured,
    facts: SnapshotFacts,
    deviceState: Buffer,
  ): Promise<SnapshotManifest> {
    const writer = await store.begin(facts, this.#parent);
    try {
      log.release();
      await writer.deviceState(deviceState);
      await capturer.ship(captured, writer);
      await putBootFiles(bootFiles, writer);
      const manifest = await writer.commit();
      this.#parent = manifest.id;
      for (const file of bootFiles) file.content = undefined;
      await capturer.shipped(captured);
      return manifest;
    } catch (error) {
      await writer.abort().catch(() => undefined);
      throw error;
    }
  }

  /** A snapshot that there will not be. Returns why, in one line. */
  #drop(error: Error): string {
    this.#dropped += 1;
    const reason = reasonOf(error);
    const dropped = this.#dropped;
    // One is due every so often: the same reason is said once.
    if (reason !== this.#whyDropped) {
      this.#options.log.warn({ reason, dropped }, 'a snapshot was dropped');
    }
    this.#whyDropped = reason;
    this.#options.reporter.report({ type: 'snapshotDropped', reason, dropped });
    return reason;
  }

  #trouble(error: Error): void {
    const reason = reasonOf(error);
    // A store that refuses is offered the same again and again: it is said once.
    if (reason !== this.#lastTrouble) this.#options.log.warn({ reason }, 'trouble with snapshots');
    this.#lastTrouble = reason;
    this.#options.reporter.report({ type: 'snapshotTrouble', reason });
  }
}
