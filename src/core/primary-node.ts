/**
 * A node as primary: the primary's half of the protocol (primary.ts) with its one backup, the flow
 * control of that, the cuts, and the machine's work, put together.
 *
 * Contract
 *  1. A backup that is dropped is told so by the end of its link, and so is everybody who waited
 *     for it.
 *  2. The guest is slowed down by what most asks for it: the backup's spool, its lag, outputs that
 *     wait.
 *  3. A guest that does not go on is tried again; one that still does not is no machine. One that
 *     is hurt is tried for as long as nobody has a copy of it (hurt.ts).
 */
import { type LogPosition, logPosition, type Millis, type Term } from '../base/units.ts';
import type { LinkMessage } from '../ports/link.ts';
import type { RecordedRun } from '../ports/machine.ts';
import type { ClaimOutcome } from './claim.ts';
import { CutDesk } from './cut-desk.ts';
import type { CutPolicy } from './cuts.ts';
import type { Emit, LinkId, NodeEvent, PeerHello, Wish } from './effects.ts';
import type { DetectorOptions } from './failure-detector.ts';
import { HurtMachine } from './hurt.ts';
import type { LinedPrimary } from './line.ts';
import { LogPacking } from './log-packing.ts';
import { MachineWork } from './machine-work.ts';
import { hasNothing } from './place.ts';
import type { PrimaryEffect, PrimaryEvent, PrimaryOptions } from './primary-events.ts';
import { beginning } from './refusals.ts';
import type { Rules } from './rules.ts';
import { ServedBackup } from './served-backup.ts';

export interface PrimaryNodeOptions extends PrimaryOptions {
  readonly detector: DetectorOptions;
  readonly cuts: CutPolicy;
  /** What its backup acknowledges is on a disk. */
  readonly backupKeepsLog: boolean;
  readonly rules: Rules;
  readonly emit: Emit;
  readonly claim: (expected: Term, overtakes: boolean) => void;
  readonly onEnd: (outcome: PrimaryEnd, now: Millis) => void;
}

export type PrimaryEnd = Extract<PrimaryEffect, { type: 'end' }>['outcome'];

export class PrimaryNode {
  readonly #options: PrimaryNodeOptions;
  readonly #core: LinedPrimary;
  readonly #cuts: CutDesk;
  readonly #work: MachineWork;
  readonly #hurt = new HurtMachine();
  #backup: ServedBackup | undefined;
  #recordedTo = logPosition(0);
  #nextSeed = 1;
  #share = 0;

  constructor(options: PrimaryNodeOptions) {
    this.#options = options;
    this.#core = options.rules.line(options.rules.primary(options), options);
    this.#cuts = new CutDesk({
      cuts: options.rules.cuts(options.cuts),
      term: () => this.term,
      state: () => this.state,
      emit: options.emit,
    });
    this.#work = new MachineWork(options.emit);
  }

  get state(): string {
    return this.#core.state.kind;
  }

  get term(): Term {
    return this.#core.term;
  }

  step(event: NodeEvent, now: Millis): void {
    this.#take(event, now);
    this.#slowDown();
    this.#cutNext();
  }

  /** A claim was answered; a won term is on the disk. */
  answered(outcome: ClaimOutcome, now: Millis): void {
    const isFirst = outcome.type === 'termWon' && this.state === 'proving';
    if (isFirst) this.#options.emit({ type: 'speak' });
    this.#step(outcome, now);
  }

  /** Of a newer term, perhaps: the arbiter said so. */
  heardOf(term: Term, now: Millis): void {
    this.#step({ type: 'termHeard', term }, now);
  }

  #take(event: NodeEvent, now: Millis): void {
    switch (event.type) {
      case 'timer':
        this.#timer(now);
        return;
      case 'linkOpened':
        this.#join(event.link, event.hello, now);
        return;
      case 'linkClosed':
        if (this.#backup?.peer.link !== event.link) return;
        this.#step({ type: 'backupLost', reason: event.reason }, now);
        return;
      case 'message':
        this.#takeMessage(event.link, event.message, now);
        return;
      case 'outputs':
      case 'machineFailed':
        this.#step(event, now);
        return;
      case 'hurt':
      case 'healed':
        for (const told of this.#hurt.take(event, this.state, now)) this.#step(told, now);
        return;
      case 'recorded':
        this.#recorded(event.run, now);
        return;
      case 'poweredOff':
        this.#step({ type: 'guestPoweredOff', logEnd: event.logEnd }, now);
        return;
      case 'stopped':
        this.#work.done('stop');
        this.#step({ type: 'guestStopped', logEnd: event.logEnd }, now);
        return;
      case 'notStopped':
        this.#work.done('stop');
        this.#note(`it could not be stopped: ${event.reason}`);
        this.#step(this.#hurt.notStopped(event.reason), now);
        return;
      case 'continued':
        this.#work.wentOn();
        return;
      case 'notContinued':
        this.#notContinued(event.reason, now);
        return;
      case 'wentOn':
        this.#backup?.wentOn(event.position);
        return;
      case 'seedCut':
        if (this.#isSeeding) this.#backup?.shipFrom(event.position);
        return;
      case 'seedEnded':
        this.#seedEnded(event.problem, now);
        return;
      case 'cutMade':
        this.#cutMade(event.cutId, event.position);
        return;
      case 'cutEnded':
        this.#work.done('cut');
        this.#cuts.ended(event.cutId, event.problem);
        return;
      case 'asked':
        this.#asked(event.ask, event.for, now);
        return;
      default:
        return;
    }
  }

  #timer(now: Millis): void {
    this.#step({ type: 'timer' }, now);
    const reason = this.#backup?.timer(now);
    if (reason !== undefined) this.#step({ type: 'backupTooSlow', reason }, now);
    this.#cuts.timer(now);
    this.#work.timer(now);
    if (this.#work.isIdle && this.#hurt.goesOn(this.state, now)) this.#work.want({ type: 'go' });
  }

  #join(link: LinkId, hello: PeerHello, now: Millis): void {
    const { rules, detector, onBackupLost, backupKeepsLog, emit } = this.#options;
    this.heardOf(hello.term, now);
    if (hasNothing(hello)) this.#step({ type: 'winnerGaveUp' }, now);
    if (this.#hurt.reason !== undefined) {
      emit({ type: 'closeLink', link, reason: this.#hurt.reason });
      return;
    }
    for (const effect of this.#core.step({ type: 'backupJoined', backup: hello.node }, now)) {
      if (effect.type === 'refuseBackup') emit({ type: 'closeLink', link, reason: effect.reason });
      if (effect.type === 'seed') {
        this.#backup = new ServedBackup(
          {
            ...{ link, detector, emit, judgeTerm: rules.judgeTerm, term: () => this.term },
            ...{ flow: rules.flow(onBackupLost), cuts: this.#cuts },
            packing: new LogPacking({ backupKeepsLog }),
            onSuspect: (reason, at) => this.#step({ type: 'backupLost', reason }, at),
            onTermHeard: (term, at) => this.heardOf(term, at),
          },
          now,
        );
      }
      this.#perform(effect, now);
    }
  }

  #takeMessage(link: LinkId, message: LinkMessage, now: Millis): void {
    const backup = this.#backup;
    const event = backup?.peer.link === link ? backup.take(message, now) : undefined;
    if (event !== undefined) this.#step(event, now);
  }

  #recorded(run: RecordedRun, now: Millis): void {
    this.#recordedTo = run.to;
    this.#backup?.ship(run, this.term, now);
    for (const { epoch, position, icount } of run.markers) {
      this.#step({ type: 'markerSeen', epoch, position, icount }, now);
    }
  }

  #cutMade(cutId: string, position: LogPosition): void {
    const backup = this.#backup;
    backup?.at(position, () =>
      this.#options.emit({ type: 'sendCut', link: backup.peer.link, cutId }),
    );
  }

  /** The backup that is here, and not one that has left. */
  get #isSeeding(): boolean {
    const { present } = this.#work;
    return present?.type === 'seed' && present.link === this.#backup?.peer.link;
  }

  #seedEnded(problem: string | undefined, now: Millis): void {
    const isPresent = this.#isSeeding;
    this.#work.done('seed');
    if (problem === undefined || !isPresent) return;
    this.#step({ type: 'backupLost', reason: `seeding failed: ${problem}` }, now);
  }

  #notContinued(reason: string, now: Millis): void {
    this.#note(`it does not go on: ${reason}`);
    const isHurt = this.#hurt.reason !== undefined;
    if (isHurt) this.#work.wentOn();
    if (isHurt || this.#work.mayGoAgain(now)) return;
    this.#step({ type: 'machineFailed', reason: `the guest does not go on: ${reason}` }, now);
  }

  #asked(ask: number, wish: Wish, now: Millis): void {
    switch (wish.wish) {
      case 'compare':
      case 'snapshot':
        this.#cuts.asked(ask, wish.wish === 'snapshot' ? wish : undefined);
        return;
      case 'drill':
      case 'goBack': {
        const { answer, told } = beginning(wish, this.state);
        this.#options.emit({ type: 'answer', ask, answer });
        this.#step(told, now);
        return;
      }
      default:
        for (const effect of this.#core.asked(ask, wish, now)) this.#perform(effect, now);
    }
  }

  #cutNext(): void {
    const order = this.#work.isIdle ? this.#cuts.next() : undefined;
    if (order !== undefined) this.#work.want({ type: 'cut', ...order });
  }

  #slowDown(): void {
    const share = Math.max(this.#backup?.share ?? 0, this.#core.heldShare);
    if (share === this.#share) return;
    this.#share = share;
    this.#options.emit({ type: 'slowDown', share });
  }

  #note(reason: string): void {
    this.#options.emit({ type: 'noted', what: { type: 'guestStands', reason } });
  }

  #step(event: PrimaryEvent, now: Millis): void {
    for (const effect of this.#core.step(event, now)) this.#perform(effect, now);
  }

  #perform(effect: PrimaryEffect, now: Millis): void {
    const { emit, claim, onEnd } = this.#options;
    const backup = this.#backup;
    switch (effect.type) {
      case 'sendMarker':
      case 'release':
      case 'destroyMachine':
      case 'answer':
      case 'noted':
        emit(effect);
        return;
      case 'seed': {
        if (backup === undefined) return;
        const seedId = `${this.term}.${this.#nextSeed++}`;
        this.#work.want({ type: 'seed', seedId, link: backup.peer.link });
        return;
      }
      case 'refuseBackup':
        return;
      case 'grant':
        backup?.granted(now);
        return;
      case 'handOver':
        backup?.peer.tell({ type: 'drill' });
        return;
      case 'stopGuest':
        this.#work.want({ type: 'stop' });
        return;
      case 'continueGuest':
        this.#work.want({ type: 'go' });
        return;
      case 'dropBackup':
        emit({ type: 'noted', what: { type: 'backupLost', reason: effect.reason } });
        this.#letGo(`The backup was lost: ${effect.reason}`, effect.reason);
        return;
      case 'claimTerm':
        claim(effect.expected, effect.overtakes);
        return;
      case 'changed':
        emit({ type: 'changed', role: 'primary', from: effect.from.kind, to: effect.to.kind });
        return;
      case 'end':
        this.#endLink(effect.outcome);
        emit({ type: 'noted', what: { type: 'machineEnded', outcome: effect.outcome } });
        onEnd(effect.outcome, now);
        return;
    }
  }

  #endLink(outcome: PrimaryEnd): void {
    if (outcome === 'poweredOff') {
      const position = this.#recordedTo;
      this.#backup?.peer.tell({ type: 'powerOff', reason: 'by the guest', position });
    }
    this.#letGo(`This node ended: ${outcome}`, outcome);
  }

  /** Whoever waits for the backup is told `why`, and it itself that its link is over. */
  #letGo(why: string, reason: string): void {
    const link = this.#backup?.peer.link;
    this.#backup = undefined;
    this.#work.withdraw(({ type }) => type === 'cut' || type === 'seed');
    this.#cuts.lost(why);
    if (link !== undefined) this.#options.emit({ type: 'closeLink', link, reason });
  }
}
