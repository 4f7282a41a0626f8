/**
 * The copy of lockstep: what a seed brings, the log that follows it, and a replica that executes that. It
 * keeps the contract of src/ports/machine.ts.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Icount, type LogPosition, type Term, icount as toIcount } from '../../base/units.ts';
import type { RecorderOptions } from '../../hypervisor/record/recorder.ts';
import { encodeBehindMarker } from '../../hypervisor/replay/pad-frames.ts';
import { PauseFilter } from '../../hypervisor/replay/pause-filter.ts';
import { receivedLogTail } from '../../hypervisor/replay/received-log.ts';
import type {
  BlobFrame,
  Control,
  Cut,
  Link,
  LinkMessage,
  LogFrame,
  SeedBegin,
  SeedOffer,
} from '../../ports/link.ts';
import type { Copy, CopyReport } from '../../ports/machine.ts';
import { DurableLog } from '../../restore/durable-log.ts';
import type { SpoolOptions } from '../../restore/spool.ts';
import { RequestTracker } from '../../rrlog/inflight.ts';
import type { LogTail } from '../../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../rrlog/packer.ts';
import type { Keeping, KeepResult, SnapshotKeeper } from '../keeping/keeper.ts';
import type { Logger } from '../logger.ts';
import type { Reporter } from '../report.ts';
import { seedStreams } from '../seeding/bulk.ts';
import { EarlyLog } from '../seeding/early-log.ts';
import type { SeedRemains } from '../seeding/remains.ts';
import { SeedReceiver } from '../seeding/seed-receiver.ts';
import { BlobCollector } from './blob-collector.ts';
import { LagMeter } from './lag-meter.ts';
import { Replica, type ReplicaOptions, type TakenOver } from './replica.ts';

export interface CopiedMachineOptions extends Omit<ReplicaOptions, 'onFailure' | 'onEpoch'> {
  readonly link: Link;
  /** The primary's term. */
  readonly term: Term;
  /** What earlier seeds left here. */
  readonly remains: SeedRemains;
  /** Where log waits that cannot be executed yet. */
  readonly spool: SpoolOptions;
  /** Where log is kept that is acknowledged; `undefined`: in memory is enough (`ack: received`). */
  readonly durableLog?: SpoolOptions | undefined;
  /** Who keeps this copy's cuts, if somebody does: `seedId` names the recording it is of. */
  readonly keepSnapshots?: ((seedId: string, term: Term) => SnapshotKeeper) | undefined;
  /** What the recorder of a takeover calls. */
  readonly recorderHandlers: Pick<RecorderOptions, 'onSegment' | 'onError'>;
  /** Slow preparations for speaking, done while it catches up. */
  readonly prepareToSpeak: () => Promise<void>;
  readonly report: (report: CopyReport) => void;
  readonly reporter: Reporter;
  readonly log: Logger;
}

/** A copy that has become the machine, and what was left to do for that. */
export interface TakenOverCopy extends TakenOver {
  readonly backlogBytes: number;
}

interface Seed {
  readonly offer: SeedOffer;
  readonly early: EarlyLog;
  readonly requests: RequestTracker;
  readonly tail: LogTail;
  readonly unpacker: SegmentUnpacker;
}

export class CopiedMachine implements Copy {
  readonly #options: CopiedMachineOptions;
  readonly #lag: LagMeter;
  readonly #timer: NodeJS.Timeout;
  readonly #pauses: PauseFilter;
  readonly #behindMarker: Buffer;
  #receiver: SeedReceiver | undefined;
  #seed: Seed | undefined;
  #durable: DurableLog | undefined;
  #snapshots: SnapshotKeeper | undefined;
  #replica: Replica | undefined;
  #taken: TakenOverCopy | undefined;
  #bringingUp: Promise<void> = Promise.resolve();
  #spoolToldAt = 0;
  #cutState: BlobCollector | undefined;
  /** Nothing came behind the last marker. */
  #endsWithMarker = false;
  #isReady = false;
  #isGranted = false;
  #isPoweringOff = false;
  #isOver = false;
  #drained: (() => void) | undefined;

  constructor(options: CopiedMachineOptions) {
    this.#options = options;
    this.#pauses = new PauseFilter(options.layout);
    this.#behindMarker = encodeBehindMarker(options.layout);
    this.#lag = new LagMeter({
      idle: () => this.#replica === undefined || this.#replica.comparing,
      readBytes: () => this.#replica?.readBytes ?? 0,
      onSample: () => this.#takeSample(),
      onStanding: () => this.#replica?.release(),
      onMoved: (stoodMs) => {
        options.log.warn({ stoodMs: Math.round(stoodMs) }, 'the copy stood still for a while');
      },
      onStall: (reason) => void this.#stalled(reason),
    });
    this.#timer = setInterval(() => this.#tick(), limits.coreTimerMs);
  }

  /** What it has become, behind `tookOver`. */
  get taken(): TakenOverCopy | undefined {
    return this.#taken;
  }

  /** Throws for what its primary must not send: the link ends with that. */
  take(message: LinkMessage): void | Promise<void> {
    if (this.#isOver) return undefined;
    if (message.kind === 'log') return this.#takeLog(message);
    if (message.kind === 'blob') this.#takeBlob(message);
    if (message.kind === 'control') this.#takeControl(message.control);
    return undefined;
  }

  compare({ judgement, ...facts }: Cut): void {
    const isJudged = this.#pauses.takeRearmed() && judgement !== undefined;
    const cut = { ...facts, ...(isJudged ? { judgement } : {}) };
    this.#durable?.cut(cut);
    this.#feed(this.#pauses.flush());
    void this.#compare(cut);
  }

  granted(): void {
    this.#isGranted = true;
    this.#followForSnapshots();
  }

  takeOver(): void {
    void this.#takeOver();
  }

  followPowerOff(): void {
    this.#isPoweringOff = true;
    const ended = this.#replica?.ended(limits.powerOffMs) ?? Promise.resolve(true);
    void ended.finally(() => this.destroy());
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#letGo();
    void this.#end().finally(() => this.#options.report({ type: 'gone' }));
  }

  #tick(): void {
    this.#pumpEarly();
    this.#tellSpool();
    if (this.#drained === undefined || this.#isFull()) return;
    this.#drained();
    this.#drained = undefined;
  }

  #report(report: CopyReport): void {
    if (!this.#isOver) this.#options.report(report);
  }

  #fail(reason: string): void {
    // A replayer whose guest goes off ends by itself.
    this.#report({ type: 'copyFailed', reason });
  }

  get #executed(): Icount {
    return toIcount(this.#lag.appliedIcount);
  }

  #takeControl(control: Control): void {
    if (control.type === 'seedBegin') this.#prepare(control);
    if (control.type === 'seedOffer') this.#begin(control);
    if (control.type !== 'resumed') return;
    this.#durable?.resumed();
    this.#snapshots?.resumed();
    this.#feed(this.#pauses.resumedHere());
  }

  #takeBlob(blob: BlobFrame): void {
    if (this.#cutState !== undefined) this.#cutState.take(blob);
    else this.#receiver?.take(blob);
  }

  /** RAM and disks are going to come; tells what is here of them. */
  #prepare(begin: SeedBegin): void {
    if (this.#receiver !== undefined) throw new Error('a second seed began on one link');
    const { link, term, ramFile, diskImages, remains } = this.#options;
    const receiver = new SeedReceiver({ begin, ramFile, diskImages, remains });
    this.#receiver = receiver;
    link.send({ kind: 'control', term, control: receiver.holdings });
    receiver.sendDigests({ link, term }).catch((thrown: unknown) => {
      this.#fail(asError(thrown).message);
    });
  }

  #begin(offer: SeedOffer): void {
    const { layout, spool } = this.#options;
    const receiver = this.#receiver;
    if (receiver === undefined) throw new Error('a cut arrived before its seed began');
    receiver.takeOffer(offer);
    this.#durable = this.#beginDurableLog(offer);
    if (this.#isOver) return;
    const requests = new RequestTracker(offer.blockRequestId ?? 0);
    const start = { position: offer.logPosition, icount: offer.icount };
    this.#seed = {
      offer,
      early: new EarlyLog(spool),
      requests,
      unpacker: new SegmentUnpacker(layout),
      tail: receivedLogTail(layout, start, requests),
    };
    this.#lag.start(offer.icount);
    const { early } = this.#seed;
    void receiver.complete.then((deviceState) => {
      const settled = receiver.settle();
      settled.catch(() => undefined); // awaited when the copy is up
      this.#bringingUp = this.#bringUp(deviceState, early, settled).catch((thrown: unknown) => {
        this.#fail(asError(thrown).message);
      });
    });
  }

  #beginDurableLog(offer: SeedOffer): DurableLog | undefined {
    const { durableLog, layout, link, term } = this.#options;
    if (durableLog === undefined) return undefined;
    const { pair, vmFingerprint } = link.peer;
    const { seedId, logPosition: position, icount, blockRequestId = 0 } = offer;
    const base = { pair, vmFingerprint, term, seedId, position, icount, blockRequestId };
    const events = {
      onDurable: (to: LogPosition) =>
        this.#report({ type: 'durable', to, executed: this.#executed }),
      onFailure: (error: Error) => this.#abandon(error),
    };
    try {
      return new DurableLog(durableLog, { ...base, layout: layout.qemu }, events);
    } catch (thrown) {
      this.#abandon(asError(thrown));
      return undefined;
    }
  }

  async #bringUp(deviceState: Buffer, early: EarlyLog, settled: Promise<void>): Promise<void> {
    const replica = await Replica.start({
      ...this.#options,
      onFailure: (reason) => {
        if (!this.#isPoweringOff) this.#fail(reason);
      },
      onEpoch: (epoch) => {
        this.#lag.echoed(epoch);
        if (!this.#lag.isCaughtUp) return;
        this.#report({ type: 'executed', executed: this.#executed, isAll: true });
        if (this.#endsWithMarker) this.#replica?.rest();
      },
    });
    if (this.#isOver) {
      await replica.destroy();
      return;
    }
    this.#replica = replica;
    // Before the load: a replayer that finds no log behind its start gate waits, with its lock held.
    early.attach(replica);
    await replica.load(deviceState);
    await this.#options.prepareToSpeak();
    await this.#untilCaughtUp(replica);
    await settled;
    this.#options.remains.succeeded();
    this.#isReady = true;
    this.#report({ type: 'copyReady', seedId: this.#seed?.offer.seedId ?? '' });
  }

  async #untilCaughtUp(replica: Replica): Promise<void> {
    const deadline = performance.now() + limits.catchUpMs;
    while (!this.#isOver && this.#lag.ms > limits.softLagMs) {
      if (performance.now() > deadline) {
        throw new UnderstudyError(
          'stall',
          `The copy did not catch up within ${limits.catchUpMs} ms: it is ${Math.round(this.#lag.ms)} ms behind, ${replica.pendingBytes} bytes of log wait`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, limits.coreTimerMs));
    }
  }

  #pumpEarly(): void {
    try {
      this.#seed?.early.pump();
    } catch (thrown) {
      this.#fail(asError(thrown).message);
    }
  }

  /** How much waits while nothing is executed. */
  #tellSpool(): void {
    const early = this.#seed?.early;
    const now = performance.now();
    if (this.#isReady || early === undefined) return;
    if (now - this.#spoolToldAt < limits.reportMs) return;
    this.#spoolToldAt = now;
    const { usedBytes, budgetBytes } = early;
    this.#report({ type: 'spooled', usedBytes, budgetBytes });
  }

  /** What arrives cannot be kept, by budget or by the disk: a seed later is better. */
  #abandon(error: Error): void {
    const pauseMs = this.#options.remains.abandoned();
    this.#report({ type: 'copyFailed', reason: error.message, pauseMs });
  }

  #takeLog(frame: LogFrame): void | Promise<void> {
    const seed = this.#seed;
    if (seed === undefined) throw new Error('log arrived before a seed was offered');
    const bytes = seed.unpacker.unpack(frame.payload);
    const segment = seed.tail.pushSegment({ ...frame, bytes });
    this.#lag.received(segment.icount, segment.markers);
    if (segment.shutdowns.some(({ cause }) => cause === 'guest-shutdown')) {
      this.#isPoweringOff = true;
      this.#report({ type: 'shutdownLogged' });
    }
    this.#endsWithMarker = segment.markers.at(-1)?.end === segment.to;
    const events = this.#endsWithMarker
      ? Buffer.concat([segment.bytes, this.#behindMarker])
      : segment.bytes;
    this.#durable?.push(frame);
    if (this.#isOver) return undefined;
    this.#feed(this.#pauses.push(events));
    this.#report({ type: 'received', to: segment.to, executed: this.#executed });
    this.#snapshots?.received(segment);
    if (!this.#isFull()) return undefined;
    // The link's credit is held back until the copy has caught up.
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  #feed(bytes: Buffer): void {
    try {
      this.#seed?.early.push(bytes);
    } catch (thrown) {
      this.#abandon(asError(thrown));
    }
  }

  async #stalled(reason: string): Promise<void> {
    this.#lag.stop();
    const found = await this.#replica?.diagnose();
    this.#fail(`${reason}; ${found}`);
  }

  #isFull(): boolean {
    return (this.#replica?.pendingBytes ?? 0) > limits.backlogBytesMax;
  }

  /** From its grant on the copy is worth keeping. */
  #followForSnapshots(): void {
    const { keepSnapshots, term, ramFile, diskImages } = this.#options;
    const { offer } = this.#seed ?? {};
    if (keepSnapshots === undefined || this.#replica === undefined || offer === undefined) return;
    const { storage } = this.#replica;
    const diskBytes = Object.fromEntries(offer.disks.map(({ id, bytes }) => [id, bytes]));
    const images = Object.entries(diskImages).filter(([id]) => diskBytes[id] !== undefined);
    this.#snapshots = keepSnapshots(offer.seedId, term);
    this.#snapshots.follow({
      ...{ storage, ramFile, diskBytes, ramBytes: offer.ramBytes },
      diskImages: Object.fromEntries(images),
    });
  }

  /** Answers a cut that was to be kept; asked for without a keeper, it cannot be. */
  #keeping(cut: Cut): Keeping | undefined {
    const { cutId } = cut;
    const tell = (result: KeepResult) => this.#report({ type: 'kept', cutId, ...result });
    if (this.#snapshots !== undefined) return this.#snapshots.cut(cut, tell);
    if (cut.keep !== undefined) {
      tell({ problem: 'No snapshot: the pair file of the backup has no `snapshots`' });
    }
    return undefined;
  }

  /** `cut` has a judgement of the clock when it is to be taken. */
  async #compare(cut: Cut): Promise<void> {
    const replica = this.#replica;
    const { reporter, log } = this.#options;
    if (replica === undefined) return;
    const collector = new BlobCollector(seedStreams.deviceState, cut.deviceStateBytes);
    this.#cutState = collector;
    const keeping = this.#keeping(cut);
    let deviceState: Buffer | undefined;
    try {
      const { differences, clockTaken } = await replica.compare({
        icount: cut.icount,
        ram: cut.digest.ram,
        primaryState: collector.complete,
        judgement: cut.judgement,
        whileStill: keeping?.whileStill,
      });
      if (clockTaken) log.info({}, 'the copy took its clock as the primary judged it');
      const equal = differences.length === 0;
      if (equal) deviceState = await collector.complete;
      else log.error({ differences }, 'the copy differs from the primary');
      this.#cutState = undefined;
      reporter.report({ type: 'cutCompared', equal, differences, clockTaken });
      this.#report({ type: 'compared', cutId: cut.cutId, differences });
    } catch (thrown) {
      this.#fail(asError(thrown).message);
    } finally {
      this.#cutState = undefined;
      keeping?.settle(deviceState);
    }
  }

  #takeSample(): void {
    const { reporter } = this.#options;
    // While nothing is acknowledged the primary hears of it by this alone.
    if (!this.#isReady) {
      this.#report({ type: 'executed', executed: this.#executed, isAll: false });
    }
    const bytes = this.#replica?.pendingBytes ?? 0;
    if (this.#isGranted) reporter.report({ type: 'lag', ms: this.#lag.ms, bytes });
  }

  async #takeOver(): Promise<void> {
    const replica = this.#replica;
    const seed = this.#seed;
    try {
      if (replica === undefined || seed === undefined) throw new Error('there is no copy yet');
      this.#feed(this.#pauses.flush());
      const backlogBytes = replica.pendingBytes;
      seed.early.flush();
      const taken = await replica.takeOver(
        seed.tail.icount,
        () => seed.requests.uncompleted(),
        this.#options.recorderHandlers,
      );
      this.#replica = undefined; // it is the machine now
      this.#taken = { ...taken, backlogBytes };
      this.#report({ type: 'tookOver' });
      this.#letGo();
      // Not awaited: a takeover must not wait for a disk that is slow.
      void this.#end();
    } catch (thrown) {
      this.#report({
        type: 'takeoverFailed',
        reason: `the takeover failed: ${asError(thrown).message}`,
      });
    }
  }

  #letGo(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#lag.stop();
    this.#drained?.();
  }

  async #end(): Promise<void> {
    const { dir, ramFile, remains, log } = this.#options;
    this.#durable?.close().catch(() => undefined);
    await this.#replica?.destroy();
    // Of a takeover the snapshot is of a machine that lives on.
    await this.#snapshots?.close();
    // A copy that was just being started would still have its files mapped.
    await this.#bringingUp;
    const { begin, isComplete } = this.#receiver ?? {};
    this.#receiver?.close();
    await this.#seed?.early.close();
    if (this.#taken !== undefined) return;
    try {
      await fs.promises.rm(dir, { recursive: true, force: true });
      if (this.#isPoweringOff) await fs.promises.rm(ramFile, { force: true });
      else remains.keep({ ramFile, interrupted: isComplete === false ? begin?.seedId : undefined });
    } catch (thrown) {
      log.warn({ error: asError(thrown).message }, 'what was left of a copy is still there');
    }
  }
}
