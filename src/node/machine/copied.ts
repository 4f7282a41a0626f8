/**
 * The copy of lockstep: what a seed brings, the log that follows it, and a replica that executes
 * that. It keeps the contract of src/ports/machine.ts.
 */
import fs from 'node:fs';
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Icount, type Term, icount as toIcount } from '../../base/units.ts';
import type { RecorderHandlers } from '../../hypervisor/record/recorder.ts';
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
import type { SpoolOptions } from '../../restore/spool.ts';
import type { Logger } from '../logger.ts';
import type { Reporter } from '../report.ts';
import type { SeedRemains } from '../seeding/remains.ts';
import { SeedReceiver } from '../seeding/seed-receiver.ts';
import { CopiedCuts, type CopiedCutsOptions } from './copied-cuts.ts';
import { CopiedLog } from './copied-log.ts';
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
  readonly keepSnapshots?: CopiedCutsOptions['keepSnapshots'];
  /** What the recorder of a takeover calls. */
  readonly recorderHandlers: RecorderHandlers;
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

export class CopiedMachine implements Copy {
  readonly #options: CopiedMachineOptions;
  readonly #lag: LagMeter;
  #receiver: SeedReceiver | undefined;
  #offer: SeedOffer | undefined;
  #log: CopiedLog | undefined;
  readonly #cuts: CopiedCuts;
  #replica: Replica | undefined;
  #taken: TakenOverCopy | undefined;
  #bringingUp: Promise<void> = Promise.resolve();
  #spoolToldAt = 0;
  #isReady = false;
  #isGranted = false;
  #isPoweringOff = false;
  #isOver = false;
  #drained: (() => void) | undefined;

  constructor(options: CopiedMachineOptions) {
    this.#options = options;
    this.#cuts = new CopiedCuts({ ...options, report: (report) => this.#report(report) });
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

  compare(cut: Cut): void {
    const replica = this.#replica;
    const found = this.#log?.cut(cut);
    if (replica !== undefined && found !== undefined) void this.#cuts.compare(replica, found);
  }

  granted(): void {
    this.#isGranted = true;
    if (this.#replica !== undefined && this.#offer !== undefined) {
      this.#cuts.follow(this.#replica, this.#offer);
    }
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

  /** To be called often: log may wait for room, and its sender for that. */
  tick(): void {
    if (this.#isOver) return;
    this.#pump();
    this.#tellSpool();
    if (this.#drained === undefined || this.#isFull()) return;
    this.#drained();
    this.#drained = undefined;
  }

  #report(report: CopyReport): void {
    if (!this.#isOver) this.#options.report(report);
  }

  #fail(reason: string, pauseMs?: number): void {
    this.#report({ type: 'copyFailed', reason, pauseMs });
  }

  get #executed(): Icount {
    return toIcount(this.#lag.appliedIcount);
  }

  #takeControl(control: Control): void {
    if (control.type === 'seedBegin') this.#prepare(control);
    if (control.type === 'seedOffer') this.#begin(control);
    if (control.type !== 'resumed') return;
    this.#cuts.resumed();
    this.#log?.resumed();
  }

  #takeBlob(blob: BlobFrame): void {
    if (!this.#cuts.take(blob)) this.#receiver?.take(blob);
  }

  /** RAM and disks are going to come; tells what is here of them. */
  #prepare(begin: SeedBegin): void {
    if (this.#receiver !== undefined) throw new Error('a second seed began on one link');
    const { link, term, ramFile, diskImages, remains } = this.#options;
    const receiver = new SeedReceiver({ begin, ramFile, diskImages, remains });
    this.#receiver = receiver;
    link.send({ kind: 'control', term, control: receiver.holdings });
    receiver.sendDigests({ link, term }).catch((thrown: unknown) => {
      this.#fail(reasonOf(thrown));
    });
  }

  #begin(offer: SeedOffer): void {
    const { layout, spool, durableLog, link, term } = this.#options;
    const receiver = this.#receiver;
    if (receiver === undefined) throw new Error('a cut arrived before its seed began');
    receiver.takeOffer(offer);
    this.#offer = offer;
    const log = new CopiedLog({
      ...{ layout, offer, spool, durableLog, term, primary: link.peer },
      onDurable: (to) => this.#report({ type: 'durable', to, executed: this.#executed }),
      onLost: (error) => this.#abandon(error),
    });
    this.#log = log;
    this.#lag.start(offer.icount);
    void receiver.complete.then((deviceState) => {
      const settled = receiver.settle();
      settled.catch(() => undefined); // awaited when the copy is up
      this.#bringingUp = this.#bringUp(deviceState, log, settled).catch((thrown: unknown) => {
        this.#fail(reasonOf(thrown));
      });
    });
  }

  async #bringUp(deviceState: Buffer, log: CopiedLog, settled: Promise<void>): Promise<void> {
    const replica = await Replica.start({
      ...this.#options,
      onFailure: (reason) => {
        // What failed once may fail again: the next seed waits a little, then longer.
        if (!this.#isPoweringOff) this.#fail(reason, this.#options.remains.abandoned());
      },
      onEpoch: (epoch) => {
        this.#lag.echoed(epoch);
        if (!this.#lag.isCaughtUp) return;
        this.#report({ type: 'executed', executed: this.#executed, isAll: true, lagMs: 0 });
        if (log.endsWithMarker) this.#replica?.rest();
      },
    });
    if (this.#isOver) {
      await replica.destroy();
      return;
    }
    this.#replica = replica;
    // Before the load: without log behind its start gate a replayer waits, with its lock held.
    log.attach(replica);
    await replica.load(deviceState);
    await this.#options.prepareToSpeak();
    await this.#untilCaughtUp(replica);
    await settled;
    this.#options.remains.succeeded();
    this.#isReady = true;
    this.#report({ type: 'copyReady', seedId: this.#offer?.seedId ?? '' });
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

  #pump(): void {
    try {
      this.#log?.pump();
    } catch (thrown) {
      this.#fail(reasonOf(thrown));
    }
  }

  /** How much waits while nothing is executed. */
  #tellSpool(): void {
    const now = performance.now();
    if (this.#isReady || this.#log === undefined) return;
    if (now - this.#spoolToldAt < limits.reportMs) return;
    this.#spoolToldAt = now;
    this.#report({ type: 'spooled', ...this.#log.waiting });
  }

  /** What arrives cannot be kept, by budget or by the disk: a seed later is better. */
  #abandon(error: Error): void {
    const failed = { reason: reasonOf(error), pauseMs: this.#options.remains.abandoned() };
    this.#report({ type: 'copyFailed', ...failed, canTakeOver: true });
  }

  #takeLog(frame: LogFrame): void | Promise<void> {
    if (this.#log === undefined) throw new Error('log arrived before a seed was offered');
    const segment = this.#log.take(frame);
    if (segment === undefined) return undefined;
    this.#lag.received(segment.icount, segment.markers);
    if (segment.shutdowns.some(({ cause }) => cause === 'guest-shutdown')) {
      this.#isPoweringOff = true;
      this.#report({ type: 'shutdownLogged' });
    }
    this.#report({ type: 'received', to: segment.to, executed: this.#executed });
    this.#cuts.received(segment);
    if (!this.#isFull()) return undefined;
    // The link's credit is held back until the copy has caught up.
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  async #stalled(reason: string): Promise<void> {
    this.#lag.stop();
    const found = await this.#replica?.diagnose();
    this.#fail(`${reason}; ${found}`);
  }

  #isFull(): boolean {
    return (this.#replica?.pendingBytes ?? 0) > limits.backlogBytesMax;
  }

  #takeSample(): void {
    const { reporter } = this.#options;
    // What lies behind the last marker is not known to be executed before the next one.
    const lagMs = this.#lag.isCaughtUp ? 0 : this.#lag.ms;
    this.#report({ type: 'executed', executed: this.#executed, isAll: false, lagMs });
    const bytes = this.#replica?.pendingBytes ?? 0;
    if (this.#isGranted) reporter.report({ type: 'lag', ms: this.#lag.ms, bytes });
  }

  async #takeOver(): Promise<void> {
    const replica = this.#replica;
    const log = this.#log;
    try {
      if (replica === undefined || log === undefined) throw new Error('there is no copy yet');
      const backlogBytes = replica.pendingBytes;
      log.flush();
      const taken = await replica.takeOver(
        log.icount,
        () => log.uncompleted(),
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
        reason: `the takeover failed: ${reasonOf(thrown)}`,
      });
    }
  }

  #letGo(): void {
    this.#isOver = true;
    this.#lag.stop();
    this.#drained?.();
  }

  async #end(): Promise<void> {
    const { dir, ramFile, remains, log } = this.#options;
    await this.#replica?.destroy();
    // Of a takeover the snapshot is of a machine that lives on.
    await this.#cuts.close();
    // A copy that was just being started would still have its files mapped.
    await this.#bringingUp;
    const { begin, isComplete } = this.#receiver ?? {};
    this.#receiver?.close();
    await this.#log?.close();
    if (this.#taken !== undefined) return;
    try {
      await fs.promises.rm(dir, { recursive: true, force: true });
      if (this.#isPoweringOff) await fs.promises.rm(ramFile, { force: true });
      else remains.keep({ ramFile, interrupted: isComplete === false ? begin?.seedId : undefined });
    } catch (thrown) {
      log.warn({ error: reasonOf(thrown) }, 'what was left of a copy is still there');
    }
  }
}
