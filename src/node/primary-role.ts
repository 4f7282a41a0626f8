/**
 * The primary role: a recorder, the gate's queue, the egress and at most one backup, wired to the
 * primary core. The core decides; this does, and tells the core what happened.
 */

import { Distribution } from '../base/distribution.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { encodeStreamFrame, StreamFrameDecoder } from '../base/stream-frames.ts';
import { logPosition, millis, type Term } from '../base/units.ts';
import type { DetectorOptions } from '../core/failure-detector.ts';
import { FlowControl } from '../core/flow-control.ts';
import { PrimaryCore, type PrimaryEffect, type PrimaryEvent } from '../core/primary.ts';
import { spoolShare } from '../core/spool-share.ts';
import type { CardEgresses } from '../egress/cards.ts';
import { ownMemoryBytes } from '../host/own-memory.ts';
import type { VmConfig } from '../hypervisor/config.ts';
import type { Storage } from '../hypervisor/disks/storage.ts';
import type { Recorder } from '../hypervisor/record/recorder.ts';
import type { Control, Kept, Link, LinkMessage, SnapshotRequest } from '../ports/link.ts';
import type { Layout } from '../rrlog/layouts.ts';
import type { Segment } from '../rrlog/log-tail.ts';
import type { Terms } from './claims.ts';
import { answerRequest } from './keeping/requests.ts';
import { LinkWatch } from './link-watch.ts';
import type { Logger } from './logger.ts';
import type { ConsoleHub } from './machine/console-hub.ts';
import { type PlannedCut, verifyBackup } from './machine/cutting.ts';
import { LogShipper } from './machine/log-shipper.ts';
import { type Output, OutputQueue } from './machine/output-queue.ts';
import { withoutEnd } from './machine/without-end.ts';
import type { Comparison, Reporter } from './report.ts';
import { BackupHoldings } from './seeding/backup-holdings.ts';
import type { Bandwidth } from './seeding/bandwidth.ts';
import { describeSeed, seedBackup } from './seeding/seed-backup.ts';

export interface PrimaryRoleOptions {
  readonly vm: VmConfig;
  readonly layout: Layout;
  readonly term: Term;
  readonly terms: Terms;
  readonly epochMs: number;
  readonly onBackupLost: 'runAlone' | 'hold';
  /** A cut is kept so often while there is a backup, milliseconds; `undefined`: when asked only. */
  readonly snapshotEveryMs?: number | undefined;
  readonly detector: DetectorOptions;
  /** Makes a won term durable before this node speaks in it. */
  readonly remember: (term: Term) => Promise<void>;
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
  /** Image of each disk on this node, by id. */
  readonly diskImages: Readonly<Record<string, string>>;
  /** Bounds what a seed sends. */
  readonly bandwidth: Bandwidth;
  readonly egress: CardEgresses;
  readonly console: ConsoleHub;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export type PrimaryOutcome = 'poweredOff' | 'termLost' | 'failed' | 'stopped';

interface Backup {
  readonly link: Link;
  readonly watch: LinkWatch;
  /** Fires when the link closes. */
  readonly lost: AbortController;
  shipper: LogShipper | undefined;
  /** What it has from earlier, while it is seeded. */
  holdings: BackupHoldings | undefined;
  /** How much of the primary's time its spool, and its lag, ask for. */
  spoolShare: number;
  readonly flow: FlowControl;
  flowShare: number;
  /** The compare that the backup works on. */
  comparing: Comparing | undefined;
  storing: Storing | undefined;
}

interface Comparing {
  readonly cutId: string;
  readonly resolve: (result: Comparison) => void;
  readonly reject: (error: UnderstudyError) => void;
}

/** A cut that the backup stores, which may take longer than the compare. */
interface Storing {
  readonly cutId: string;
  /** The snapshot's id. */
  readonly stored: Promise<string>;
  /** Resolves whatever becomes of it. */
  readonly settled: Promise<void>;
  readonly resolve: (snapshot: string) => void;
  readonly reject: (error: Error) => void;
}

export class PrimaryRole {
  /** Resolves when this node is no longer primary; the machine is gone then. */
  readonly ended: Promise<PrimaryOutcome>;
  readonly #options: PrimaryRoleOptions;
  readonly #core: PrimaryCore;
  readonly #queue = new OutputQueue();
  readonly #timers: NodeJS.Timeout[] = [];
  /** How long outputs waited, since the state changed: a guest alone waits for nothing. */
  #holdMs = new Distribution();
  #backup: Backup | undefined;
  #end: (outcome: PrimaryOutcome) => void = () => undefined;
  #finished = false;
  #firstOutputReported = false;
  /** The log says that the guest asked for it; QEMU's end follows. */
  #poweringOff = false;
  #cutting: Promise<unknown> = Promise.resolve();
  #rawBytes = 0;
  #epochs = 0;
  #nextSeed = 1;
  #shippedTo = 0;
  #nextCut = 1;
  /** Of the last snapshot by policy. */
  #whyNotKept = '';

  constructor(options: PrimaryRoleOptions) {
    this.#options = options;
    this.#core = new PrimaryCore(options);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#connectGuest();
    const tickMs = Math.min(limits.coreTimerMs, options.epochMs);
    this.#timers.push(setInterval(() => this.#tick(), tickMs));
    this.#timers.push(setInterval(() => this.#reportFigures(), limits.reportMs));
    if (options.snapshotEveryMs !== undefined) {
      this.#timers.push(setInterval(() => this.#keepOne(), options.snapshotEveryMs));
    }
    const { instance } = options.recorder;
    void instance.exited.then((info) => {
      options.recorder.poll();
      if (this.#poweringOff) {
        const logEnd = logPosition(this.#shippedTo);
        this.#step({ type: 'guestPoweredOff', logEnd });
      } else {
        const reason = `QEMU ended (${info.reason}): ${info.stderr.trim()}`;
        this.#step({ type: 'machineFailed', reason });
      }
    });
    this.#reportState();
  }

  get state(): string {
    return this.#core.state.kind;
  }

  /** The term that this node speaks in: it rises when the backup is lost and a claim is won. */
  get term(): Term {
    return this.#core.term;
  }

  get held(): number {
    return this.#core.held;
  }

  /** A run of the recorder's log: ship it, then tell the core what is in it. */
  takeSegment(whole: Segment): void {
    const segment = withoutEnd(whole);
    this.#shippedTo = segment.to;
    if (segment.bytes.length === 0) return; // a segment holds an event
    this.#rawBytes += segment.to - segment.from;
    if (this.#backup?.shipper !== undefined) {
      this.#backup.shipper.ship(segment);
      const { bytes, markers } = segment;
      const marker = markers.at(-1)?.icount;
      const shipped = { type: 'shipped', bytes: bytes.length, marker } as const;
      this.#backup.flow.step(shipped, millis(performance.now()));
    }
    this.#epochs += segment.markers.length;
    for (const { epoch, position, icount } of segment.markers) {
      this.#step({ type: 'markerSeen', epoch, position, icount });
    }
    if (segment.shutdowns.some(({ cause }) => cause === 'guest-shutdown')) this.#poweringOff = true;
  }

  recorderFailed(error: Error): void {
    this.#step({ type: 'machineFailed', reason: error.message });
  }

  /** A node said hello on a link. */
  backupConnected(link: Link): void {
    this.heardOf(link.peer.term);
    const { kind } = this.#core.state;
    if (kind !== 'alone' && kind !== 'holding') {
      link.close(`this primary is ${kind} already`);
      return;
    }
    const lost = new AbortController();
    const watch = new LinkWatch({
      link,
      detector: this.#options.detector,
      term: () => this.term,
      onSuspect: (reason) => {
        if (this.#backup?.link === link) this.#step({ type: 'backupLost', reason });
      },
      onTermHeard: (term) => this.heardOf(term),
      log: this.#options.log,
    });
    watch.seeding(true);
    this.#backup = {
      link,
      watch,
      lost,
      shipper: undefined,
      holdings: undefined,
      spoolShare: 0,
      flow: new FlowControl(this.#options.onBackupLost),
      flowShare: 0,
      comparing: undefined,
      storing: undefined,
    };
    link.onMessage((message) => this.#takeMessage(link, message));
    link.onClose((closed) => {
      lost.abort(closed.error ?? new UnderstudyError('link', closed.message));
      if (this.#backup?.link !== link) return;
      this.#step({ type: 'backupLost', reason: closed.message });
    });
    this.#step({ type: 'backupJoined', backup: link.peer.node });
  }

  /** Somebody spoke of this term: the arbiter will be asked if it is newer. */
  heardOf(term: Term): void {
    this.#step({ type: 'termHeard', term });
  }

  /** Hands the machine over to the backup on purpose. Throws `takeover` when there is none. */
  drill(): void {
    if (this.#core.state.kind !== 'protected') {
      throw new UnderstudyError('takeover', `There is no backup to hand over to: ${this.state}`);
    }
    this.#step({ type: 'drill' });
  }

  /**
   * Compares the backup's state with this machine's at a cut; one compare at a time. Throws `cut`
   * when it cannot, or when the backup is lost over it.
   */
  verify(): Promise<Comparison> {
    return this.#exclusively(() => {
      const backup = this.#comparableBackup();
      return this.#compareAt(backup, this.#nextPlannedCut());
    });
  }

  /**
   * Has the backup keep a cut of this machine. Resolves with the snapshot's id when it is in the store;
   * throws `store` when the backup could not keep it, `cut` when there was no cut to keep.
   */
  async takeSnapshot(label?: string): Promise<string> {
    // In an object: the next cut need not wait until this one is stored.
    const { stored } = await this.#exclusively(async () => {
      const backup = this.#comparableBackup();
      // One that is kept by policy may be on its way.
      while (backup.storing !== undefined) await backup.storing.settled;
      const planned = this.#nextPlannedCut();
      const storing = beginStoring(planned.cutId);
      backup.storing = storing;
      try {
        await this.#compareAt(backup, { ...planned, keep: label === undefined ? {} : { label } });
        return { stored: storing.stored };
      } catch (thrown) {
        const error = asError(thrown);
        storing.reject(error);
        backup.storing = undefined;
        throw error;
      }
    });
    return stored;
  }

  /** By policy; one that is due while the one before is not stored is left out. */
  #keepOne(): void {
    if (this.#core.state.kind !== 'protected' || this.#backup?.storing !== undefined) return;
    this.takeSnapshot().then(
      () => {
        this.#whyNotKept = '';
      },
      (thrown: unknown) => {
        const reason = asError(thrown).message;
        // It is due again soon: the same reason is said once.
        if (reason !== this.#whyNotKept) this.#options.log.warn({ reason }, 'no snapshot was kept');
        this.#whyNotKept = reason;
      },
    );
  }

  #nextPlannedCut(): PlannedCut {
    const number = this.#nextCut;
    this.#nextCut += 1;
    return { cutId: `${this.term}.${number}`, number };
  }

  #comparableBackup(): Backup & { readonly shipper: LogShipper } {
    const backup = this.#backup;
    if (this.#core.state.kind !== 'protected' || backup?.shipper === undefined) {
      throw new UnderstudyError('cut', `There is nothing to compare: state is ${this.state}`);
    }
    return backup as Backup & { readonly shipper: LogShipper };
  }

  async #compareAt(
    backup: Backup & { readonly shipper: LogShipper },
    planned: PlannedCut,
  ): Promise<Comparison> {
    const { link, shipper } = backup;
    const { cutId } = planned;
    const compared = new Promise<Comparison>((resolve, reject) => {
      backup.comparing = { cutId, resolve, reject };
    });
    compared.catch(() => undefined); // the cut itself may fail before
    try {
      await verifyBackup({ ...this.#options, link, term: this.term }, shipper, planned);
      return await compared;
    } finally {
      backup.comparing = undefined;
    }
  }

  async stop(): Promise<void> {
    this.#finish('stopped');
    await this.#options.recorder.instance.destroy();
  }

  #tick(): void {
    this.#step({ type: 'timer' });
    this.#options.recorder.tick();
    this.#backup?.watch.tick();
    this.#control();
  }

  /** Slows the machine down for its backup, or gives the backup up. */
  #control(): void {
    const { throttle } = this.#options.recorder;
    const backup = this.#backup;
    if (backup?.shipper === undefined) {
      throttle.share = 0;
      return;
    }
    const timer = { type: 'timer', roundTripMs: backup.watch.roundTripMs } as const;
    for (const effect of backup.flow.step(timer, millis(performance.now()))) {
      if (effect.type === 'slowDown') backup.flowShare = effect.share;
      // Standing still as a process is invisible to record and replay; `stop` is not (R5).
      else if (effect.type === 'stopGuest') backup.flowShare = 1;
      else if (effect.type === 'continueGuest') backup.flowShare = 0;
      else this.#step({ type: 'backupTooSlow', reason: effect.reason });
    }
    throttle.share = Math.max(backup.spoolShare, backup.flowShare);
  }

  #connectGuest(): void {
    const { recorder, egress, console: hub } = this.#options;
    for (const [index, stream] of recorder.instance.nics.entries()) {
      const decoder = new StreamFrameDecoder();
      stream.on('data', (chunk: Buffer) => {
        const frames = decoder.push(chunk);
        for (const bytes of frames) this.#enqueue({ kind: 'nic', index }, bytes);
        if (frames.length > 0) this.#step({ type: 'outputs', count: frames.length });
      });
    }
    recorder.instance.console.on('data', (bytes: Buffer) => {
      this.#enqueue({ kind: 'console' }, bytes);
      this.#step({ type: 'outputs', count: 1 });
    });
    egress.onFrame((card, frame) => recorder.sendFrame(card, encodeStreamFrame(frame)));
    hub.onInput((bytes) => recorder.instance.console.write(bytes));
  }

  #enqueue(channel: Output['channel'], bytes: Buffer): void {
    this.#queue.push({ channel, bytes, arrivedAt: performance.now() });
  }

  #step(event: PrimaryEvent): void {
    if (this.#finished) return;
    for (const effect of this.#core.step(event, millis(performance.now()))) this.#perform(effect);
  }

  #perform(effect: PrimaryEffect): void {
    switch (effect.type) {
      case 'sendMarker':
        this.#options.recorder.sendMarker(effect.epoch, effect.isAwaited);
        return;
      case 'release':
        this.#release(effect.through);
        return;
      case 'seed':
        void this.#seed();
        return;
      case 'refuseBackup':
        return;
      case 'grant':
        this.#backup?.watch.seeding(false);
        this.#backup?.flow.step({ type: 'granted' }, millis(performance.now()));
        this.#tell({ type: 'grant' });
        return;
      case 'handOver':
        this.#tell({ type: 'drill' });
        return;
      case 'stopGuest':
        void this.#stopGuest(effect.purpose);
        return;
      case 'continueGuest':
        void this.#continueGuest();
        return;
      case 'dropBackup':
        this.#dropBackup(effect.reason);
        return;
      case 'claimTerm':
        void this.#claim(effect.expected);
        return;
      case 'changed':
        this.#options.log.info({ from: effect.from.kind, to: effect.to.kind }, 'primary state');
        this.#holdMs = new Distribution();
        this.#reportState();
        return;
      case 'destroyMachine':
        this.#options.log.info({ reason: effect.reason }, 'the machine ends here');
        return;
      case 'end':
        this.#finish(effect.outcome);
        return;
    }
  }

  #release(through: number): void {
    const frames: Buffer[][] = this.#options.vm.nics.map(() => []);
    const now = performance.now();
    for (const { channel, bytes, arrivedAt } of this.#queue.take(through)) {
      if (channel.kind === 'nic') frames[channel.index]?.push(bytes);
      else this.#options.console.output(bytes);
      this.#holdMs.add(now - arrivedAt);
    }
    for (const [card, ofCard] of frames.entries()) {
      if (ofCard.length > 0) this.#options.egress.send(card, ofCard);
    }
    if (!this.#firstOutputReported) {
      this.#firstOutputReported = true;
      this.#options.reporter.report({ type: 'firstOutput', at: performance.timeOrigin + now });
    }
  }

  async #seed(): Promise<void> {
    const backup = this.#backup;
    if (backup === undefined) return;
    const { link } = backup;
    const seedId = `${this.term}.${this.#nextSeed}`;
    this.#nextSeed += 1;
    try {
      await this.#exclusively(() => {
        const begin = describeSeed(this.#options, seedId);
        const { signal } = backup.lost;
        const holdings = new BackupHoldings(begin, signal);
        backup.holdings = holdings;
        const context = { ...this.#options, link, term: this.term, signal };
        return seedBackup(context, begin, holdings, (position) => {
          backup.shipper = new LogShipper(link, this.#options.layout, this.term, position);
        });
      });
    } catch (thrown) {
      // The seed of a backup that left may fail late, when the next one is being seeded.
      if (this.#backup !== backup) return;
      this.#step({ type: 'backupLost', reason: `seeding failed: ${asError(thrown).message}` });
    }
  }

  /** One cut at a time; the machine is not slowed down meanwhile, its monitor must answer. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#cutting.then(work, work);
    this.#cutting = result.catch(() => undefined);
    return result;
  }

  #takeMessage(link: Link, message: LinkMessage): void {
    const backup = this.#backup;
    if (backup?.link !== link || !backup.watch.admit(message)) return;
    switch (message.kind) {
      case 'ack':
        backup.flow.step(
          { type: 'executed', icount: message.appliedIcount },
          millis(performance.now()),
        );
        this.#step({ type: 'ack', position: message.received });
        return;
      case 'control':
        this.#takeSeedControl(message.control);
        if (message.control.type === 'cutResult') {
          const { cutId, equal, differences } = message.control;
          this.#options.reporter.report({ type: 'cutCompared', equal, differences });
          const { comparing } = backup;
          if (comparing?.cutId === cutId) comparing.resolve({ equal, differences });
        }
        if (message.control.type === 'kept') takeKept(backup, message.control);
        if (message.control.type === 'snapshotRequest') void this.#answer(link, message.control);
        return;
      case 'blob':
        if (backup.holdings === undefined) throw new Error('nobody asked for digests');
        backup.holdings.takePiece(message);
        return;
      case 'log':
        link.close('only a primary sends log');
        return;
    }
  }

  /** On the link that it came from: a later backup has not asked. */
  async #answer(link: Link, request: SnapshotRequest): Promise<void> {
    const control = await answerRequest(request, (label) => this.takeSnapshot(label));
    link.send({ kind: 'control', term: this.term, control });
  }

  #tell(control: Control): void {
    this.#backup?.link.send({ kind: 'control', term: this.term, control });
  }

  async #stopGuest(purpose: 'drill' | 'heldOutputs'): Promise<void> {
    const { recorder, log } = this.#options;
    try {
      await this.#exclusively(async () => {
        recorder.throttle.suspend(); // its monitor must answer
        if (purpose === 'heldOutputs') await recorder.instance.stop();
        else this.#step({ type: 'guestStopped', logEnd: await recorder.standStill() });
      });
    } catch (thrown) {
      const reason = asError(thrown).message;
      log.warn({ reason, purpose }, 'the guest could not be stopped');
      this.#step({ type: 'guestNotStopped', reason });
    }
  }

  async #continueGuest(): Promise<void> {
    const { recorder, log } = this.#options;
    await this.#exclusively(async () => {
      await recorder.instance.cont();
      recorder.throttle.resume();
    }).catch((thrown: unknown) => {
      log.warn({ reason: asError(thrown).message }, 'the guest could not be continued');
    });
  }

  #takeSeedControl(control: Control): void {
    const backup = this.#backup;
    if (backup === undefined) return;
    if (control.type === 'seedHave') backup.holdings?.takeHave(control);
    if (control.type === 'seedSpool') {
      backup.spoolShare = spoolShare(control.usedBytes, control.budgetBytes);
    }
    if (control.type === 'seedReady') {
      backup.spoolShare = 0;
      this.#step({ type: 'backupReady' });
    }
    if (control.type === 'seedFailed') backup.link.close(control.reason);
  }

  #dropBackup(reason: string): void {
    const backup = this.#backup;
    this.#backup = undefined;
    const lost = new UnderstudyError('cut', `The backup was lost: ${reason}`);
    backup?.comparing?.reject(lost);
    backup?.storing?.reject(lost);
    this.#options.log.warn({ reason }, 'the backup is lost');
    backup?.link.close(reason);
  }

  async #claim(expected: Term): Promise<void> {
    const { terms, remember, log } = this.#options;
    const outcome = await terms.claim(expected);
    if (outcome.type !== 'termWon') {
      this.#step(outcome);
      return;
    }
    try {
      await remember(outcome.term);
      this.#step(outcome);
    } catch (thrown) {
      // Claimed again in a while: the arbiter knows that it is ours.
      const reason = `the term cannot be remembered: ${asError(thrown).message}`;
      log.error({ reason }, 'cannot go on alone yet');
      this.#step({ type: 'arbiterUnreachable', reason });
    }
  }

  #reportState(): void {
    const { reporter } = this.#options;
    reporter.report({ type: 'role', role: 'primary', term: this.term });
    reporter.report({ type: 'state', state: this.#core.state.kind });
  }

  #reportFigures(): void {
    const { reporter } = this.#options;
    const wireBytes = this.#backup?.shipper?.wireBytes ?? 0;
    reporter.report({
      type: 'log',
      icount: this.#options.recorder.icount,
      epochs: this.#epochs,
      rawBytes: this.#rawBytes,
      wireBytes,
      ms: performance.now(),
    });
    reporter.report({
      type: 'hold',
      p50Ms: this.#holdMs.p(0.5),
      p99Ms: this.#holdMs.p(0.99),
      count: this.#holdMs.count,
    });
    reporter.report({ type: 'memory', rssBytes: ownMemoryBytes() });
  }

  #finish(outcome: PrimaryOutcome): void {
    if (this.#finished) return;
    this.#finished = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#options.recorder.throttle.suspend();
    if (outcome === 'poweredOff') {
      const position = logPosition(this.#shippedTo);
      const control = { type: 'powerOff', reason: 'by the guest', position } as const;
      this.#backup?.link.send({ kind: 'control', term: this.term, control });
    }
    this.#backup?.link.close(outcome);
    const ended = new UnderstudyError('cut', `This node ended: ${outcome}`);
    this.#backup?.comparing?.reject(ended);
    this.#backup?.storing?.reject(ended);
    this.#options.recorder.close();
    this.#options.reporter.report({ type: 'ended', outcome });
    this.#end(outcome);
  }
}

function beginStoring(cutId: string): Storing {
  let resolve: Storing['resolve'] = () => undefined;
  let reject: Storing['reject'] = () => undefined;
  const stored = new Promise<string>((...settle) => {
    [resolve, reject] = settle;
  });
  const over = (): void => undefined;
  return { cutId, stored, settled: stored.then(over, over), resolve, reject };
}

function takeKept(backup: Backup, { cutId, snapshot, problem }: Kept): void {
  const { storing } = backup;
  if (storing?.cutId !== cutId) return;
  backup.storing = undefined;
  if (snapshot !== undefined) storing.resolve(snapshot);
  else storing.reject(new UnderstudyError('store', problem ?? 'The backup kept no snapshot'));
}
