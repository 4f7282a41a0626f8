/**
 * The backup role, for the life of one link: receive a seed, execute the log, acknowledge it, and
 * take over or let go. The core decides; this does, and tells the core what happened.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import {
  type LogPosition,
  logPosition,
  millis,
  type Term,
  icount as toIcount,
} from '../base/units.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../core/backup.ts';
import type { DetectorOptions } from '../core/failure-detector.ts';
import { ownMemoryBytes } from '../host/own-memory.ts';
import type { RecorderOptions } from '../hypervisor/record/recorder.ts';
import { encodeBehindMarker } from '../hypervisor/replay/pad-frames.ts';
import { PauseFilter } from '../hypervisor/replay/pause-filter.ts';
import { receivedLogTail } from '../hypervisor/replay/received-log.ts';
import type {
  Control,
  Cut,
  Link,
  LinkMessage,
  LogFrame,
  SeedBegin,
  SeedOffer,
} from '../ports/link.ts';
import { DurableLog } from '../restore/durable-log.ts';
import type { SpoolOptions } from '../restore/spool.ts';
import { RequestTracker } from '../rrlog/inflight.ts';
import type { LogTail } from '../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../rrlog/packer.ts';
import type { Terms } from './claims.ts';
import type { Keeping, KeepResult, SnapshotKeeper } from './keeping/keeper.ts';
import { SnapshotRequests } from './keeping/requests.ts';
import { LinkWatch } from './link-watch.ts';
import type { Logger } from './logger.ts';
import { BlobCollector } from './machine/blob-collector.ts';
import { LagMeter } from './machine/lag-meter.ts';
import { Replica, type ReplicaOptions, type TakenOver } from './machine/replica.ts';
import type { Reporter } from './report.ts';
import { seedStreams } from './seeding/bulk.ts';
import { EarlyLog } from './seeding/early-log.ts';
import type { SeedRemains } from './seeding/remains.ts';
import { SeedReceiver } from './seeding/seed-receiver.ts';

export interface BackupRoleOptions extends Omit<ReplicaOptions, 'onFailure' | 'onEpoch'> {
  readonly link: Link;
  /** The primary's term: what a claim must find unchanged. */
  readonly term: Term;
  readonly terms: Terms;
  readonly detector: DetectorOptions;
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
  /** Slow preparations for speaking, done while protecting. */
  readonly prepareToSpeak: () => Promise<void>;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export type BackupOutcome =
  | { readonly kind: 'tookOver'; readonly term: Term; readonly machine: TakenOver }
  /**
   * Nothing is left of the copy; membership decides what comes next. `interrupted`: the seed that
   * was not complete; `pauseMs`: do not try again before that.
   */
  | {
      readonly kind: 'discarded';
      readonly reason: string;
      readonly interrupted?: string;
      readonly pauseMs?: number;
    }
  | { readonly kind: 'poweredOff' }
  | { readonly kind: 'stopped' };

interface Seed {
  readonly offer: SeedOffer;
  readonly early: EarlyLog;
  readonly requests: RequestTracker;
  readonly tail: LogTail;
  readonly unpacker: SegmentUnpacker;
}

export class BackupRole {
  /** Resolves when this link's story is over; nothing of the copy is left unless it took over. */
  readonly ended: Promise<BackupOutcome>;
  readonly #options: BackupRoleOptions;
  readonly #core: BackupCore;
  readonly #lag: LagMeter;
  readonly #watch: LinkWatch;
  readonly #requests = new SnapshotRequests((request) => this.#sendControl(request));
  #discardReason = '';
  readonly #timer: NodeJS.Timeout;
  #receiver: SeedReceiver | undefined;
  #seed: Seed | undefined;
  #durable: DurableLog | undefined;
  #snapshots: SnapshotKeeper | undefined;
  #replica: Replica | undefined;
  #bringingUp: Promise<void> = Promise.resolve();
  #spoolToldAt = 0;
  #pauseMs: number | undefined;
  #cutState: BlobCollector | undefined;
  readonly #pauses: PauseFilter;
  readonly #behindMarker: Buffer;
  /** Nothing came behind the last marker. */
  #endsWithMarker = false;
  #lostAt = 0;
  #finished = false;
  #poweringOff = false;
  #isLinkLost = false;
  #memoryToldAt = 0;
  #drained: (() => void) | undefined;
  #end: (outcome: BackupOutcome) => void = () => undefined;

  constructor(options: BackupRoleOptions) {
    this.#options = options;
    this.#core = new BackupCore({
      ack: options.durableLog === undefined ? 'received' : 'durable',
    });
    this.#pauses = new PauseFilter(options.layout);
    this.#behindMarker = encodeBehindMarker(options.layout);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
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
    this.#watch = new LinkWatch({
      link: options.link,
      detector: options.detector,
      term: () => options.term,
      onSuspect: (reason) => {
        this.#loseLink(reason);
        // What still comes was never acknowledged.
        options.link.close(reason);
      },
      onTermHeard: (term) => {
        if (term <= options.term) return;
        this.#step({ type: 'termHeard', term });
        options.link.close(`a newer term, ${term}, was heard of`);
      },
      log: options.log,
    });
    this.#watch.seeding(true);
    this.#timer = setInterval(() => this.#tick(), limits.coreTimerMs);
    const { link } = options;
    this.#step({ type: 'connected', primary: link.peer.node, term: options.term });
    link.onClose(({ message, error }) => {
      const cause = error?.cause instanceof Error ? `: ${error.cause.message}` : '';
      this.#loseLink(`${message}${cause}`);
    });
    link.onMessage((message) => this.#takeMessage(message));
  }

  get state(): string {
    return this.#core.state.kind;
  }

  /** It may take over, or is about to. */
  get isGranted(): boolean {
    return this.#core.isGranted;
  }

  /** Asks the primary to have a cut kept, as its own `takeSnapshot` does. */
  takeSnapshot(label?: string): Promise<string> {
    return this.#requests.ask(label);
  }

  async stop(): Promise<void> {
    await this.#finish({ kind: 'stopped' });
  }

  #step(event: BackupEvent): void {
    if (this.#finished) return;
    for (const effect of this.#core.step(event, millis(performance.now()))) this.#perform(effect);
  }

  /** The first reason counts; what is closed because of it says so once more. */
  #loseLink(reason: string): void {
    if (this.#isLinkLost || this.#finished) return;
    this.#isLinkLost = true;
    this.#requests.end(reason);
    if (this.#lostAt === 0) this.#lostAt = performance.now();
    // After a drill it is expected.
    if (this.#core.state.kind !== 'takingOver') {
      this.#options.log.warn({ reason }, 'the primary is lost');
    }
    this.#step({ type: 'linkLost', reason });
  }

  #tick(): void {
    this.#step({ type: 'timer' });
    this.#watch.tick();
    this.#pumpEarly();
    this.#tellSpool();
    if (this.#drained !== undefined && !this.#isFull()) {
      this.#drained();
      this.#drained = undefined;
    }
  }

  #perform(effect: BackupEffect): void {
    const { link, log, reporter, terms } = this.#options;
    switch (effect.type) {
      case 'ack':
        link.send({
          kind: 'ack',
          term: this.#options.term,
          received: effect.position,
          applied: effect.position,
          appliedIcount: toIcount(this.#lag.appliedIcount),
        });
        return;
      case 'reportReady':
        this.#sendControl({ type: 'seedReady', seedId: this.#seed?.offer.seedId ?? '' });
        return;
      case 'claimTerm':
        void terms.claim(effect.expected).then((outcome) => this.#step(outcome));
        return;
      case 'takeOver':
        void this.#takeOver(effect.term);
        return;
      case 'discardReplica':
        log.warn({ reason: effect.reason }, 'the copy is discarded');
        reporter.report({ type: 'replicaDiscarded', reason: effect.reason });
        this.#discardReason = effect.reason;
        void this.#replica?.destroy();
        return;
      case 'changed':
        log.info({ from: effect.from.kind, to: effect.to.kind }, 'backup state');
        reporter.report({ type: 'role', role: 'backup', term: this.#options.term });
        reporter.report({ type: 'state', state: effect.to.kind });
        return;
      case 'end':
        if (effect.outcome === 'poweredOff') void this.#followPowerOff();
        else void this.#finish({ kind: 'discarded', reason: this.#discardReason });
        return;
    }
  }

  #sendControl(control: Control): void {
    this.#options.link.send({ kind: 'control', term: this.#options.term, control });
  }

  #takeMessage(message: LinkMessage): void | Promise<void> {
    if (this.#finished || !this.#watch.admit(message)) return;
    switch (message.kind) {
      case 'log':
        return this.#takeLog(message);
      case 'blob':
        if (this.#cutState !== undefined) this.#cutState.take(message);
        else this.#receiver?.take(message);
        return;
      case 'control':
        this.#takeControl(message.control);
        return;
      case 'ack':
        return;
    }
  }

  #takeControl(control: Control): void {
    switch (control.type) {
      case 'seedBegin':
        this.#prepare(control);
        return;
      case 'seedOffer':
        this.#begin(control);
        return;
      case 'grant':
        this.#watch.seeding(false);
        this.#step({ type: 'granted' });
        this.#followForSnapshots();
        return;
      case 'resumed':
        this.#durable?.resumed();
        this.#snapshots?.resumed();
        this.#feed(this.#pauses.resumedHere());
        return;
      case 'cut':
        this.#takeCut(control);
        return;
      case 'snapshotResult':
        this.#requests.take(control);
        return;
      case 'drill':
        this.#lostAt = performance.now();
        this.#step({ type: 'drill' });
        return;
      case 'powerOff':
        this.#poweringOff = true;
        this.#step({ type: 'guestPoweredOff' });
        return;
      default:
        return;
    }
  }

  /** RAM and disks are going to come; tells what is here of them. */
  #prepare(begin: SeedBegin): void {
    if (this.#receiver !== undefined) throw new Error('a second seed began on one link');
    const { link, term, ramFile, diskImages, remains } = this.#options;
    const receiver = new SeedReceiver({ begin, ramFile, diskImages, remains });
    this.#receiver = receiver;
    this.#sendControl(receiver.holdings);
    receiver.sendDigests({ link, term }).catch((thrown: unknown) => {
      this.#step({ type: 'replicaFailed', reason: asError(thrown).message });
    });
  }

  #begin(offer: SeedOffer): void {
    const { layout, spool } = this.#options;
    const receiver = this.#receiver;
    if (receiver === undefined) throw new Error('a cut arrived before its seed began');
    receiver.takeOffer(offer);
    this.#durable = this.#beginDurableLog(offer);
    if (this.#finished) return;
    const requests = new RequestTracker(offer.blockRequestId ?? 0);
    this.#seed = {
      offer,
      early: new EarlyLog(spool),
      requests,
      unpacker: new SegmentUnpacker(layout),
      tail: receivedLogTail(
        layout,
        { position: offer.logPosition, icount: offer.icount },
        requests,
      ),
    };
    this.#lag.start(offer.icount);
    const { early } = this.#seed;
    void receiver.complete.then((deviceState) => {
      const settled = receiver.settle();
      settled.catch(() => undefined); // awaited when the copy is up
      this.#bringingUp = this.#bringUp(deviceState, early, settled).catch((thrown: unknown) => {
        this.#step({ type: 'replicaFailed', reason: asError(thrown).message });
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
      onDurable: (to: LogPosition) => this.#step({ type: 'durable', to }),
      onFailure: (error: Error) => this.#durableLogFailed(error),
    };
    try {
      return new DurableLog(durableLog, { ...base, layout: layout.qemu }, events);
    } catch (thrown) {
      this.#durableLogFailed(asError(thrown));
      return undefined;
    }
  }

  async #bringUp(deviceState: Buffer, early: EarlyLog, settled: Promise<void>): Promise<void> {
    const onFailure = (reason: string): void => {
      if (!this.#poweringOff) this.#step({ type: 'replicaFailed', reason });
    };
    const replica = await Replica.start({
      ...this.#options,
      onFailure,
      onEpoch: (epoch) => {
        this.#lag.echoed(epoch);
        if (!this.#lag.isCaughtUp) return;
        this.#step({ type: 'caughtUp' });
        if (this.#endsWithMarker) this.#replica?.rest();
      },
    });
    if (this.#finished) {
      await replica.destroy();
      return;
    }
    this.#replica = replica;
    // Before the load: a replayer that finds no log behind its start gate waits, with its lock held.
    early.attach(replica);
    await replica.load(deviceState);
    await this.#options.prepareToSpeak();
    const deadline = performance.now() + limits.catchUpMs;
    while (!this.#finished && this.#lag.ms > limits.softLagMs) {
      if (performance.now() > deadline) {
        throw new UnderstudyError(
          'stall',
          `The copy did not catch up within ${limits.catchUpMs} ms: it is ${Math.round(this.#lag.ms)} ms behind, ${replica.pendingBytes} bytes of log wait`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, limits.coreTimerMs));
    }
    await settled;
    this.#options.remains.succeeded();
    this.#step({ type: 'replicaReady' });
  }

  #pumpEarly(): void {
    try {
      this.#seed?.early.pump();
    } catch (thrown) {
      this.#step({ type: 'replicaFailed', reason: asError(thrown).message });
    }
  }

  /** Lets the primary know how much waits while nothing is executed: it may slow down. */
  #tellSpool(): void {
    const early = this.#seed?.early;
    const now = performance.now();
    if (this.#core.state.kind !== 'seeding' || early === undefined) return;
    if (now - this.#spoolToldAt < limits.reportMs) return;
    this.#spoolToldAt = now;
    const { usedBytes, budgetBytes } = early;
    this.#sendControl({ type: 'seedSpool', usedBytes, budgetBytes });
  }

  /** Without acknowledgements a copy protects nothing, but a lost primary needs none any more. */
  #durableLogFailed(error: Error): void {
    if (['seeding', 'ready', 'protecting'].includes(this.state)) this.#abandon(error);
    else this.#options.log.warn({ error: error.message }, 'the durable log ends here');
  }

  /** What arrives cannot be kept, by budget or by the disk: a seed later is better. */
  #abandon(error: Error): void {
    const { remains, reporter } = this.#options;
    const pauseMs = remains.abandoned();
    this.#pauseMs = pauseMs;
    reporter.report({ type: 'seedAbandoned', reason: error.message, pauseMs });
    this.#sendControl({
      type: 'seedFailed',
      seedId: this.#receiver?.begin.seedId ?? '',
      reason: error.message,
    });
    this.#step({ type: 'replicaFailed', reason: error.message });
  }

  #takeLog(frame: LogFrame): void | Promise<void> {
    const seed = this.#seed;
    if (seed === undefined) throw new Error('log arrived before a seed was offered');
    const bytes = seed.unpacker.unpack(frame.payload);
    const segment = seed.tail.pushSegment({ ...frame, bytes });
    this.#lag.received(segment.icount, segment.markers);
    if (segment.shutdowns.some(({ cause }) => cause === 'guest-shutdown')) {
      this.#poweringOff = true;
      this.#step({ type: 'guestShutdownLogged' });
    }
    this.#endsWithMarker = segment.markers.at(-1)?.end === segment.to;
    const events = this.#endsWithMarker
      ? Buffer.concat([segment.bytes, this.#behindMarker])
      : segment.bytes;
    this.#durable?.push(frame);
    if (this.#finished) return;
    this.#feed(this.#pauses.push(events));
    this.#step({ type: 'log', to: segment.to });
    this.#snapshots?.received(segment);
    if (!this.#isFull()) return;
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
    this.#step({ type: 'replicaFailed', reason: `${reason}; ${found}` });
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
    const tell = (result: KeepResult) => this.#sendControl({ type: 'kept', cutId, ...result });
    if (this.#snapshots !== undefined) return this.#snapshots.cut(cut, tell);
    if (cut.keep !== undefined) {
      tell({ problem: 'No snapshot: the pair file of the backup has no `snapshots`' });
    }
    return undefined;
  }

  #takeCut({ judgement, ...facts }: Cut): void {
    const isJudged = this.#pauses.takeRearmed() && judgement !== undefined;
    const cut = { ...facts, ...(isJudged ? { judgement } : {}) };
    this.#durable?.cut(cut);
    this.#feed(this.#pauses.flush());
    void this.#compare(cut);
  }

  /** `cut` has a judgement of the clock when it is to be taken. */
  async #compare(cut: Cut): Promise<void> {
    const replica = this.#replica;
    const { reporter, log } = this.#options;
    if (replica === undefined) return;
    if (this.#cutState !== undefined) {
      this.#step({ type: 'replicaFailed', reason: 'a cut arrived during a compare' });
      return;
    }
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
      if (differences.length === 0) deviceState = await collector.complete;
      const equal = differences.length === 0;
      this.#sendControl({ type: 'cutResult', cutId: cut.cutId, equal, differences });
      reporter.report({ type: 'cutCompared', equal, differences, clockTaken });
      if (!equal) {
        log.error({ differences }, 'the copy differs from the primary');
        this.#step({
          type: 'replicaFailed',
          reason: `the state differs: ${differences.slice(0, 3).join('; ')}`,
        });
      }
    } catch (thrown) {
      this.#step({ type: 'replicaFailed', reason: asError(thrown).message });
    } finally {
      this.#cutState = undefined;
      keeping?.settle(deviceState);
    }
  }

  /** Tells the primary how far the copy is while nothing is acknowledged yet: it may slow down. */
  #reportProgress(): void {
    this.#options.link.send({
      kind: 'ack',
      term: this.#options.term,
      received: logPosition(0),
      applied: logPosition(0),
      appliedIcount: toIcount(this.#lag.appliedIcount),
    });
  }

  #takeSample(): void {
    const { reporter } = this.#options;
    const bytes = this.#replica?.pendingBytes ?? 0;
    if (this.#core.state.kind === 'seeding') this.#reportProgress();
    if (this.#core.state.kind !== 'protecting') return;
    reporter.report({ type: 'lag', ms: this.#lag.ms, bytes });
    const now = performance.now();
    if (now - this.#memoryToldAt < limits.reportMs) return;
    this.#memoryToldAt = now;
    reporter.report({ type: 'memory', rssBytes: ownMemoryBytes() });
  }

  async #takeOver(term: Term): Promise<void> {
    const replica = this.#replica;
    const seed = this.#seed;
    if (replica === undefined || seed === undefined) throw new Error('a takeover needs a copy');
    const wonAt = performance.now();
    this.#feed(this.#pauses.flush());
    const backlogBytes = replica.pendingBytes;
    try {
      seed.early.flush();
      const machine = await replica.takeOver(
        seed.tail.icount,
        () => seed.requests.uncompleted(),
        this.#options.recorderHandlers,
      );
      this.#options.reporter.report({
        type: 'takeover',
        claimMs: wonAt - this.#lostAt,
        drainMs: machine.drainMs,
        loadMs: machine.loadMs,
        lostAt: performance.timeOrigin + this.#lostAt,
        runningAt: performance.timeOrigin + performance.now(),
        backlogBytes,
        completions: machine.halted.completions,
      });
      this.#replica = undefined; // it is the machine now
      await this.#finish({ kind: 'tookOver', term, machine });
    } catch (thrown) {
      const reason = `the takeover failed: ${asError(thrown).message}`;
      this.#options.log.error({ reason }, 'takeover failed');
      this.#step({ type: 'takeoverFailed', reason });
    }
  }

  async #followPowerOff(): Promise<void> {
    await this.#replica?.ended(limits.powerOffMs);
    await this.#finish({ kind: 'poweredOff' });
  }

  async #finish(outcome: BackupOutcome): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    clearInterval(this.#timer);
    this.#requests.end(outcome.kind === 'discarded' ? outcome.reason : outcome.kind);
    this.#lag.stop();
    this.#drained?.();
    // Not awaited: a takeover must not wait for a disk that is slow.
    this.#durable?.close().catch(() => undefined);
    this.#options.link.close(outcome.kind === 'discarded' ? outcome.reason : outcome.kind);
    await this.#replica?.destroy();
    // Nor for a snapshot: it is of a machine that lives on now.
    const letGo = this.#snapshots?.close();
    if (outcome.kind !== 'tookOver') await letGo;
    // A copy that was just being started would still have its files mapped.
    await this.#bringingUp;
    const interrupted =
      this.#receiver?.isComplete === false ? this.#receiver.begin.seedId : undefined;
    this.#receiver?.close();
    await this.#seed?.early.close();
    this.#end(
      outcome.kind === 'discarded'
        ? {
            ...outcome,
            ...(interrupted === undefined ? {} : { interrupted }),
            ...(this.#pauseMs === undefined ? {} : { pauseMs: this.#pauseMs }),
          }
        : outcome,
    );
  }
}
