/**
 * The machine or the copy of a node, as its core wants them: does what it says, and reports what
 * became of it.
 */
import { asError } from '../base/errors.ts';
import type { Term } from '../base/units.ts';
import type { LinkId, NodeEffect, NodeEvent } from '../core/effects.ts';
import type { LiveMachine } from '../hypervisor/machine-parts.ts';
import type { Link } from '../ports/link.ts';
import type { CopyReport, MachineReport, Seeding } from '../ports/machine.ts';
import type { Layout } from '../rrlog/layouts.ts';
import type { Concerns } from './concerns.ts';
import type { Logger } from './logger.ts';
import type { CopiedMachine, CopiedMachineOptions } from './machine/copied.ts';
import { LogShipper } from './machine/log-shipper.ts';
import type { RecordedMachine, RecordedSegment } from './machine/recorded.ts';
import type { Outputs } from './outputs.ts';
import { plugIn } from './plug-in.ts';
import type { Reporter } from './report.ts';
import type { GuestWatch } from './watchdog/guest-watch.ts';

/** A machine, which may not be there yet, and what it says. */
export interface Made {
  readonly machine: RecordedMachine;
  readonly outputs: Outputs;
  /** Whether its guest fails, where somebody wants to know. */
  readonly watch?: GuestWatch | undefined;
}

/** What a machine is started for. */
export type BootOrder = Extract<NodeEffect, { type: 'boot' }>;

/** Where machines and copies come from. */
export interface MachineSource {
  /** A machine that is not there yet. */
  newMachine(term: () => Term, report: (report: MachineReport) => void): Made;
  /** Starts the machine, from power-on or from what was kept of the one before its term. */
  boot(machine: RecordedMachine, order: BootOrder): Promise<LiveMachine>;
  /** Lets whoever listens hear a machine that is there. */
  begin(machine: RecordedMachine, parts: LiveMachine): void;
  newCopy(
    options: Pick<
      CopiedMachineOptions,
      'link' | 'term' | 'recorderHandlers' | 'report' | 'onConsole'
    >,
  ): CopiedMachine;
  /** The machine is gone; its RAM may help a seed. */
  machineGone(parts: LiveMachine | undefined): void;
  /** The machine speaks: what earlier seeds left is of no use. */
  speaks(): void;
}

export interface MachineDriverOptions {
  readonly source: MachineSource;
  readonly layout: Layout;
  /** MAC addresses of the guest's cards. */
  readonly macs: readonly string[];
  readonly term: () => Term;
  readonly link: (link: LinkId) => Link | undefined;
  readonly tell: (event: NodeEvent) => void;
  /** Something failed that the node cannot go on without. */
  readonly fail: (error: Error) => void;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

/** Effects that are the machine's or the copy's. */
export type MachineEffect = Exclude<
  NodeEffect,
  {
    type:
      | ('readArbiter' | 'compareAndSet' | 'dialPeer' | 'send' | 'closeLink' | 'lookAtDisks')
      | ('remember' | 'answer' | 'became' | 'changed' | 'waiting' | 'noted' | 'concern')
      | ('leave' | 'fail');
  }
>;

export class MachineDriver {
  readonly #options: MachineDriverOptions;
  #here: Made | undefined;
  /** What is here was not booted. */
  #hasTakenOver = false;
  #copy: CopiedMachine | undefined;
  #seeding: Seeding | undefined;
  #shipper: LogShipper | undefined;
  /** Of the takeover that is on its way. */
  #lostAt = 0;
  #wonAt = 0;
  #booting: Promise<void> | undefined;
  #onGone: (() => void) | undefined;
  #isOver = false;

  constructor(options: MachineDriverOptions) {
    this.#options = options;
  }

  get hasMachine(): boolean {
    return this.#here !== undefined;
  }

  tick(): void {
    this.#here?.machine.tick();
    this.#here?.watch?.tick(performance.now());
    this.#copy?.tick();
  }

  /** Sockets in the run directory are gone; a copy needs none of them to take over. */
  socketsLost(): void {
    this.#here?.machine.socketsLost();
  }

  /** The backup claims: from here on nobody speaks for the machine. */
  claims(): void {
    this.#lostAt = performance.now();
  }

  /** Outputs wait for something else now. */
  changed(): void {
    this.#here?.outputs.beginCount();
  }

  reportFigures(): void {
    if (this.#here === undefined) return;
    const { machine, outputs } = this.#here;
    const wireBytes = this.#shipper?.wireBytes ?? 0;
    const ms = performance.now();
    this.#options.reporter.report({ type: 'log', ...machine.figures, wireBytes, ms });
    outputs.reportHolds();
  }

  /** Ends what is here; resolves when nothing of it is left. */
  async end(): Promise<void> {
    this.#isOver = true;
    // What is being started would outlive its node.
    await this.#booting;
    const ending = this.#here?.machine ?? this.#copy;
    if (ending === undefined) return;
    const gone = new Promise<void>((resolve) => {
      this.#onGone = resolve;
    });
    ending.destroy();
    await gone;
  }

  /** What a message has to wait for, if the effect is one. Throws for what must not be sent. */
  perform(effect: MachineEffect): void | Promise<void> {
    const { link, log, reporter } = this.#options;
    const machine = this.#here?.machine;
    const copy = this.#copy;
    this.#here?.watch?.told(effect);
    switch (effect.type) {
      case 'boot':
        this.#boot(effect);
        return;
      case 'sendMarker':
        machine?.sendMarker(effect.epoch, effect.isAwaited);
        return;
      case 'speak':
        this.#speak();
        return;
      case 'release':
        this.#here?.outputs.release(effect.through);
        return;
      case 'slowDown':
        machine?.slowDown(effect.share);
        return;
      case 'stop':
        machine?.stop();
        return;
      case 'go':
        machine?.go();
        return;
      case 'seed':
        this.#seed(effect.seedId, link(effect.link));
        return;
      case 'tellSeed':
        this.#seeding?.take(effect.message);
        return;
      case 'ship':
        this.#ship(effect);
        return;
      case 'cut':
        machine?.cut(effect);
        return;
      case 'sendCut': {
        const to = link(effect.link);
        if (to !== undefined) machine?.sendCut(effect.cutId, to);
        return;
      }
      case 'destroyMachine':
        log.info({ reason: effect.reason }, 'the machine ends here');
        machine?.destroy();
        return;
      case 'makeCopy':
        this.#makeCopy(effect.link, effect.term);
        return;
      case 'feed':
        return copy?.take(effect.message);
      case 'compare':
        copy?.compare(effect.cut);
        return;
      case 'copyGranted':
        copy?.granted();
        return;
      case 'takeOver':
        this.#wonAt = performance.now();
        copy?.takeOver();
        return;
      case 'followPowerOff':
        copy?.followPowerOff();
        return;
      case 'discardCopy':
        log.warn({ reason: effect.reason }, 'the copy is discarded');
        reporter.report({ type: 'replicaDiscarded', reason: effect.reason });
        copy?.destroy();
        return;
    }
  }

  /** A machine that took over runs without a network rather than not at all. */
  #speak(): void {
    const { source, macs, fail, concerns } = this.#options;
    source.speaks();
    const here = this.#here;
    const isOver = (): boolean => this.#here !== here;
    here?.outputs.open(macs).catch((problem: unknown) => {
      if (!this.#hasTakenOver) fail(asError(problem));
      else void plugIn({ outputs: here.outputs, macs, problem, concerns, isOver });
    });
  }

  #make(): Made {
    const made: Made = this.#options.source.newMachine(this.#options.term, (report) =>
      this.#takeReport(made, report),
    );
    return made;
  }

  #boot(order: BootOrder): void {
    const { source, tell, log } = this.#options;
    log.info({ term: order.term }, 'the machine boots here');
    const made = this.#make();
    this.#here = made;
    this.#hasTakenOver = false;
    this.#options.concerns.tell('copy', undefined);
    this.#booting = source.boot(made.machine, order).then(
      (parts) => {
        tell({ type: 'booted' });
        source.begin(made.machine, parts);
      },
      (thrown: unknown) => this.#options.fail(thrown as Error),
    );
  }

  #makeCopy(id: LinkId, term: Term): void {
    const link = this.#options.link(id);
    const { source, tell } = this.#options;
    if (link === undefined) {
      // It closed before it was used. Not told within this effect: its role is being made.
      queueMicrotask(() => {
        tell({ type: 'linkClosed', link: id, reason: 'it closed at once' });
        tell({ type: 'gone' });
      });
      return;
    }
    const made = this.#make();
    const copy: CopiedMachine = source.newCopy({
      ...{ link, term, recorderHandlers: made.machine.handlers },
      onConsole: (bytes) => made.watch?.output(bytes),
      report: (report) => this.#takeCopyReport(copy, made, report),
    });
    this.#copy = copy;
    this.#lostAt = 0;
  }

  #takeReport(made: Made, report: MachineReport): void {
    if (this.#here !== made) return;
    this.#tellConcerns(report);
    made.watch?.reported(report);
    if (report.type === 'gone') void this.#machineGone(made);
    else this.#options.tell(report);
  }

  /** What is wrong with what is here, until it works or something else is here. */
  #tellConcerns(report: MachineReport | CopyReport): void {
    const { concerns } = this.#options;
    switch (report.type) {
      case 'hurt': {
        const { reason, stands } = report;
        const goesOn = stands ? 'it goes on by itself when that is mended' : 'it runs on meanwhile';
        concerns.tell('machine', `${reason}. A backup takes over; without one ${goesOn}`);
        return;
      }
      case 'copyFailed':
        concerns.tell(
          'copy',
          `${report.reason}. Until it is seeded anew nothing is protected here`,
        );
        return;
      case 'healed':
      case 'gone':
        concerns.tell('machine', undefined);
        return;
      case 'copyReady':
      case 'tookOver':
        concerns.tell('copy', undefined);
        return;
      default:
        return;
    }
  }

  async #machineGone({ machine, outputs }: Made): Promise<void> {
    const { source, tell } = this.#options;
    await outputs.close();
    source.machineGone(machine.parts);
    this.#here = undefined;
    this.#onGone?.();
    tell({ type: 'gone' });
  }

  #takeCopyReport(copy: CopiedMachine, made: Made, report: CopyReport): void {
    if (this.#copy !== copy) return;
    this.#tellConcerns(report);
    made.watch?.reported(report);
    const { log, tell } = this.#options;
    if (report.type === 'takeoverFailed') {
      log.error({ reason: report.reason }, 'takeover failed');
    }
    if (report.type === 'gone') {
      this.#copy = undefined;
      this.#onGone?.();
    }
    if (report.type === 'tookOver') this.#tookOver(copy, made);
    else tell(report);
  }

  #tookOver({ taken }: CopiedMachine, made: Made): void {
    const { source, tell, reporter } = this.#options;
    if (taken === undefined) throw new Error('a takeover without a machine');
    this.#copy = undefined;
    this.#here = made;
    this.#hasTakenOver = true;
    reporter.report({
      type: 'takeover',
      claimMs: this.#wonAt - this.#lostAt,
      drainMs: taken.drainMs,
      loadMs: taken.loadMs,
      lostAt: performance.timeOrigin + this.#lostAt,
      runningAt: performance.timeOrigin + performance.now(),
      backlogBytes: taken.backlogBytes,
      completions: taken.halted.completions,
    });
    tell({ type: 'tookOver' });
    source.begin(made.machine, taken);
    // The node was told to end while its copy became the machine.
    if (this.#isOver) made.machine.destroy();
  }

  #seed(seedId: string, link: Link | undefined): void {
    const machine = this.#here?.machine;
    if (link === undefined || machine === undefined) {
      this.#options.tell({ type: 'seedEnded', problem: 'the link closed' });
      return;
    }
    this.#seeding = machine.seed(seedId, link);
  }

  #ship({ link: id, run, term, isPlain }: Extract<MachineEffect, { type: 'ship' }>): void {
    const link = this.#options.link(id);
    if (link === undefined) return;
    // What is packed refers to what was packed before it.
    if (this.#shipper?.link !== link) this.#shipper = new LogShipper(link, this.#options.layout);
    this.#shipper.ship((run as RecordedSegment).segment, term, isPlain);
  }
}
