/**
 * The backup role, for the life of one link: receive a seed, execute the log, acknowledge it, and
 * take over or let go. The core decides; this does, and tells the core what happened.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { logPosition, millis, type Term, icount as toIcount } from '../base/units.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../core/backup.ts';
import type { DetectorOptions } from '../core/failure-detector.ts';
import { padNetId } from '../hypervisor/command-line.ts';
import { PauseFilter } from '../hypervisor/pause-filter.ts';
import type { RecorderOptions } from '../hypervisor/recorder.ts';
import type { Control, Cut, Link, LinkMessage, LogFrame, SeedOffer } from '../ports/link.ts';
import { RequestTracker } from '../rrlog/inflight.ts';
import { LogTail } from '../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../rrlog/packer.ts';
import { LagMeter } from './lag-meter.ts';
import { LinkWatch } from './link-watch.ts';
import type { Logger } from './logger.ts';
import { Replica, type ReplicaOptions, type TakenOver } from './replica.ts';
import type { Reporter } from './report.ts';
import { BlobCollector, SeedReceiver } from './seed-receiver.ts';
import { seedStreams } from './seed-sender.ts';
import type { Terms } from './terms.ts';

export interface BackupRoleOptions extends Omit<ReplicaOptions, 'onFailure' | 'onEpoch'> {
  readonly link: Link;
  /** The primary's term: what a claim must find unchanged. */
  readonly term: Term;
  readonly terms: Terms;
  readonly detector: DetectorOptions;
  /** What the recorder of a takeover calls. */
  readonly recorderHandlers: Pick<RecorderOptions, 'onSegment' | 'onError'>;
  /** Slow preparations for speaking, done while protecting. */
  readonly prepareToSpeak: () => Promise<void>;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export type BackupOutcome =
  | { readonly kind: 'tookOver'; readonly term: Term; readonly machine: TakenOver }
  /** Nothing is left of the copy; membership decides what comes next. */
  | { readonly kind: 'discarded'; readonly reason: string }
  | { readonly kind: 'poweredOff' }
  | { readonly kind: 'stopped' };

interface Seed {
  readonly offer: SeedOffer;
  readonly receiver: SeedReceiver;
  readonly requests: RequestTracker;
  readonly tail: LogTail;
  readonly unpacker: SegmentUnpacker;
}

export class BackupRole {
  /** Resolves when this link's story is over; nothing of the copy is left unless it took over. */
  readonly ended: Promise<BackupOutcome>;
  readonly #options: BackupRoleOptions;
  readonly #core = new BackupCore();
  readonly #lag: LagMeter;
  readonly #watch: LinkWatch;
  #discardReason = '';
  readonly #timer: NodeJS.Timeout;
  #seed: Seed | undefined;
  #replica: Replica | undefined;
  /** Segments received before the copy executes. */
  readonly #early: Buffer[] = [];
  #cutState: BlobCollector | undefined;
  readonly #pauses: PauseFilter;
  #lostAt = 0;
  #finished = false;
  #poweringOff = false;
  #drained: (() => void) | undefined;
  #end: (outcome: BackupOutcome) => void = () => undefined;

  constructor(options: BackupRoleOptions) {
    this.#options = options;
    this.#pauses = new PauseFilter(options.layout);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#lag = new LagMeter({
      idle: () => this.#replica === undefined || this.#replica.comparing,
      onSample: () => this.#takeSample(),
      onStall: (reason) => void this.#stalled(reason),
    });
    this.#watch = new LinkWatch({
      link: options.link,
      detector: options.detector,
      term: () => options.term,
      onSuspect: (reason) => {
        this.#lostAt = performance.now();
        this.#step({ type: 'linkLost', reason });
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
    link.onClose((closed) => {
      if (this.#lostAt === 0) this.#lostAt = performance.now();
      const { message, error } = closed;
      const cause = error?.cause instanceof Error ? `: ${error.cause.message}` : '';
      this.#step({ type: 'linkLost', reason: `${message}${cause}` });
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

  async stop(): Promise<void> {
    await this.#finish({ kind: 'stopped' });
  }

  #step(event: BackupEvent): void {
    if (this.#finished) return;
    for (const effect of this.#core.step(event, millis(performance.now()))) this.#perform(effect);
  }

  #tick(): void {
    this.#step({ type: 'timer' });
    this.#watch.tick();
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
        else this.#seed?.receiver.take(message);
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
      case 'seedOffer':
        this.#begin(control);
        return;
      case 'grant':
        this.#watch.seeding(false);
        this.#step({ type: 'granted' });
        this.#replica?.prepareSpare();
        return;
      case 'resumed':
        this.#feed(this.#pauses.resumedHere());
        return;
      case 'cut':
        this.#feed(this.#pauses.flush());
        void this.#compare(control);
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

  #begin(offer: SeedOffer): void {
    const { layout, ramFile, diskImages } = this.#options;
    const requests = new RequestTracker(offer.blockRequestId ?? 0);
    const receiver = new SeedReceiver({ offer, ramFile, diskImages });
    this.#seed = {
      offer,
      receiver,
      requests,
      unpacker: new SegmentUnpacker(layout),
      tail: new LogTail({
        layout,
        input: 'stripped',
        expectHeader: false,
        start: { position: offer.logPosition, icount: offer.icount },
        markerNetId: padNetId,
        requests,
      }),
    };
    this.#lag.start(offer.icount);
    receiver.complete
      .then((deviceState) => this.#bringUp(deviceState))
      .catch((thrown: unknown) => {
        this.#step({ type: 'replicaFailed', reason: asError(thrown).message });
      });
  }

  async #bringUp(deviceState: Buffer): Promise<void> {
    const onFailure = (reason: string): void => {
      if (!this.#poweringOff) this.#step({ type: 'replicaFailed', reason });
    };
    const replica = await Replica.start({
      ...this.#options,
      onFailure,
      onEpoch: (epoch) => this.#lag.echoed(epoch),
    });
    if (this.#finished) {
      await replica.destroy();
      return;
    }
    for (const bytes of this.#early.splice(0)) replica.feed(bytes);
    this.#replica = replica;
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
    this.#step({ type: 'replicaReady' });
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
    this.#feed(this.#pauses.push(segment.bytes));
    this.#step({ type: 'log', to: segment.to });
    if (!this.#isFull()) return;
    // The link's credit is held back until the copy has caught up.
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  #feed(bytes: Buffer): void {
    if (this.#replica === undefined) this.#early.push(bytes);
    else this.#replica.feed(bytes);
  }

  async #stalled(reason: string): Promise<void> {
    this.#lag.stop();
    const found = await this.#replica?.diagnose();
    this.#step({ type: 'replicaFailed', reason: `${reason}; ${found}` });
  }

  #isFull(): boolean {
    return (this.#replica?.pendingBytes ?? 0) > limits.backlogBytesMax;
  }

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
    try {
      const differences = await replica.compare(cut.icount, cut.digest.ram, collector.complete);
      const equal = differences.length === 0;
      this.#sendControl({ type: 'cutResult', cutId: cut.cutId, equal, differences });
      reporter.report({ type: 'cutCompared', equal, differences });
      if (equal) replica.prepareSpare();
      else {
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
  }

  async #takeOver(term: Term): Promise<void> {
    const replica = this.#replica;
    const seed = this.#seed;
    if (replica === undefined || seed === undefined) throw new Error('a takeover needs a copy');
    const wonAt = performance.now();
    this.#feed(this.#pauses.flush());
    const backlogBytes = replica.pendingBytes;
    try {
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
    this.#lag.stop();
    this.#drained?.();
    this.#seed?.receiver.close();
    this.#options.link.close(outcome.kind === 'discarded' ? outcome.reason : outcome.kind);
    await this.#replica?.destroy();
    this.#end(outcome);
  }
}
