/**
 * A node as backup, for the life of one link: the backup's half of the protocol (backup.ts) with
 * its copy, the words of its primary, and the compares.
 *
 * Contract
 *  1. What is said of an acknowledged position is that it was fed to the copy before.
 *  2. One compare at a time: a cut that comes during another is not one of this protocol.
 *  3. The loss of the link is told once, by its first reason.
 *  4. Whoever asked for a snapshot here gets an answer, also when the primary is lost.
 */
import { icount, type LogPosition, logPosition, type Millis, type Term } from '../base/units.ts';
import type { Control, Cut, LinkMessage } from '../ports/link.ts';
import type { BackupCore, BackupEffect, BackupEvent } from './backup.ts';
import type { ClaimOutcome } from './claim.ts';
import { linkEnded, SnapshotRequests } from './cuts.ts';
import type { Emit, LinkId, NodeEvent, PeerHello, Wish } from './effects.ts';
import type { DetectorOptions } from './failure-detector.ts';
import { Peer } from './peer.ts';
import type { Rules } from './rules.ts';

export interface BackupNodeOptions {
  readonly link: LinkId;
  readonly hello: PeerHello;
  readonly ack: 'received' | 'durable';
  readonly detector: DetectorOptions;
  readonly rules: Rules;
  readonly emit: Emit;
  readonly claim: (expected: Term) => void;
  /** `pauseMs`: a copy sooner than that would end the same way. */
  readonly onEnd: (outcome: BackupEnd, pauseMs: number) => void;
}

export type BackupEnd = Extract<BackupEffect, { type: 'end' }>['outcome'];

/** States in which a primary waits for acknowledgements, or will. */
const awaiting: readonly string[] = ['connecting', 'seeding', 'ready', 'protecting'];

export class BackupNode {
  /** The primary's: what a claim must find unchanged. */
  readonly term: Term;
  readonly #options: BackupNodeOptions;
  readonly #core: BackupCore;
  readonly #peer: Peer;
  readonly #requests = new SnapshotRequests();
  #executed = icount(0);
  #comparing: string | undefined;
  #seedId = '';
  #whyLost: string | undefined;
  #reason = '';
  #pauseMs = 0;

  constructor(options: BackupNodeOptions, now: Millis) {
    const { link, hello, detector, emit, rules, ack } = options;
    this.#options = options;
    this.term = hello.term;
    this.#core = rules.backup({ ack });
    this.#peer = new Peer(
      {
        link,
        detector,
        emit,
        judgeTerm: rules.judgeTerm,
        term: () => this.term,
        onSuspect: (reason, at) => {
          this.#loseLink(reason, at);
          // What still comes was never acknowledged.
          this.#closeLink(reason);
        },
        onTermHeard: (term, at) => this.#heardOf(term, at),
      },
      now,
    );
    emit({ type: 'makeCopy', link, term: this.term });
    this.#step({ type: 'connected', primary: hello.node, term: this.term }, now);
  }

  get state(): string {
    return this.#core.state.kind;
  }

  /** The term that it is taking over in. */
  get wonTerm(): Term | undefined {
    const { state } = this.#core;
    return state.kind === 'takingOver' ? state.term : undefined;
  }

  /** It may take over, or is about to. */
  get isGranted(): boolean {
    return this.#core.isGranted;
  }

  claimed(outcome: ClaimOutcome, now: Millis): void {
    this.#step(outcome, now);
  }

  step(event: NodeEvent, now: Millis): void {
    switch (event.type) {
      case 'timer':
        this.#step({ type: 'timer' }, now);
        this.#peer.timer(now);
        return;
      case 'message':
        if (event.link !== this.#options.link || !this.#peer.admit(event.message, now)) return;
        this.#takeMessage(event.message, now);
        return;
      case 'linkClosed':
        if (event.link === this.#options.link) this.#loseLink(event.reason, now);
        return;
      case 'copyReady':
        this.#seedId = event.seedId;
        this.#step({ type: 'replicaReady' }, now);
        return;
      case 'received':
        this.#executed = event.executed;
        this.#step({ type: 'log', to: event.to }, now);
        return;
      case 'durable':
        this.#executed = event.executed;
        this.#step({ type: 'durable', to: event.to }, now);
        return;
      case 'executed':
        this.#executed = event.executed;
        // While nothing is acknowledged the primary may have to slow down all the same.
        if (this.state === 'seeding') this.#acknowledge(logPosition(0));
        if (event.isAll) this.#step({ type: 'caughtUp' }, now);
        else this.#step({ type: 'behind', lagMs: event.lagMs }, now);
        return;
      case 'spooled': {
        const { usedBytes, budgetBytes } = event;
        if (this.state === 'seeding') {
          this.#peer.tell({ type: 'seedSpool', usedBytes, budgetBytes });
        }
        return;
      }
      case 'shutdownLogged':
        this.#step({ type: 'guestShutdownLogged' }, now);
        return;
      case 'compared':
        this.#compared(event.cutId, event.differences, now);
        return;
      case 'kept': {
        const { type, cutId, snapshot, problem = 'unknown', mayPass } = event;
        const refusal = { problem, ...(mayPass === undefined ? {} : { mayPass }) };
        this.#peer.tell({ type, cutId, ...(snapshot === undefined ? refusal : { snapshot }) });
        return;
      }
      case 'copyFailed':
        this.#copyFailed(event, now);
        return;
      case 'takeoverFailed':
        this.#step({ type: 'takeoverFailed', reason: event.reason }, now);
        return;
      case 'asked':
        this.#asked(event.ask, event.for);
        return;
      default:
        return;
    }
  }

  /** The copy is the machine now: this link's story is over. Returns the term of the takeover. */
  tookOver(): Term {
    const { wonTerm } = this;
    if (wonTerm === undefined) throw new Error('a takeover without a term');
    this.#letGo('tookOver');
    return wonTerm;
  }

  #takeMessage(message: LinkMessage, now: Millis): void {
    if (message.kind === 'control') this.#takeControl(message.control, message, now);
    else if (message.kind !== 'ack') this.#options.emit({ type: 'feed', message });
  }

  #takeControl(control: Control, message: LinkMessage, now: Millis): void {
    const { emit } = this.#options;
    switch (control.type) {
      case 'seedBegin':
      case 'seedOffer':
      case 'resumed':
        this.#seedId = 'seedId' in control ? control.seedId : this.#seedId;
        emit({ type: 'feed', message });
        return;
      case 'grant':
        this.#peer.seeded(now);
        this.#step({ type: 'granted' }, now);
        emit({ type: 'copyGranted' });
        return;
      case 'cut':
        this.#compare(control, now);
        return;
      case 'snapshotResult':
        for (const answered of this.#requests.take(control)) emit({ type: 'answer', ...answered });
        return;
      case 'drill':
        this.#step({ type: 'drill' }, now);
        return;
      case 'powerOff':
        this.#step({ type: 'guestPoweredOff' }, now);
        return;
      default:
        return;
    }
  }

  #compare(cut: Cut, now: Millis): void {
    if (this.#comparing !== undefined) {
      this.#step({ type: 'replicaFailed', reason: 'a cut arrived during a compare' }, now);
      return;
    }
    this.#comparing = cut.cutId;
    this.#options.emit({ type: 'compare', cut });
  }

  #compared(cutId: string, differences: readonly string[], now: Millis): void {
    if (this.#comparing !== cutId) return;
    this.#comparing = undefined;
    const equal = differences.length === 0;
    this.#peer.tell({ type: 'cutResult', cutId, equal, differences });
    if (equal) return;
    const reason = `the state differs: ${differences.slice(0, 3).join('; ')}`;
    this.#step({ type: 'replicaFailed', reason }, now);
  }

  #copyFailed(
    { reason, pauseMs, canTakeOver }: Extract<NodeEvent, { type: 'copyFailed' }>,
    now: Millis,
  ): void {
    if (canTakeOver === true && !awaiting.includes(this.state)) {
      // A copy that is not acknowledged protects nothing, but a lost primary needs that no more.
      this.#options.emit({ type: 'noted', what: { type: 'logNotKept', reason } });
      return;
    }
    if (pauseMs !== undefined) {
      this.#pauseMs = pauseMs;
      this.#options.emit({ type: 'noted', what: { type: 'seedAbandoned', reason, pauseMs } });
      this.#peer.tell({ type: 'seedFailed', seedId: this.#seedId, reason });
    }
    this.#step({ type: 'replicaFailed', reason }, now);
  }

  #heardOf(term: Term, now: Millis): void {
    if (term <= this.term) return;
    this.#step({ type: 'termHeard', term }, now);
    this.#closeLink(`a newer term, ${term}, was heard of`);
  }

  /** The first reason counts; what is closed because of it says so once more. */
  #loseLink(reason: string, now: Millis): void {
    if (this.#whyLost !== undefined) return;
    this.#whyLost = reason;
    this.#answerAll(reason);
    // After a drill it is expected.
    if (this.state !== 'takingOver') {
      this.#options.emit({ type: 'noted', what: { type: 'primaryLost', reason } });
    }
    this.#step({ type: 'linkLost', reason }, now);
  }

  #asked(ask: number, wish: Wish): void {
    const { emit } = this.#options;
    const problem = 'This node is not primary';
    if (wish.wish !== 'snapshot') {
      const code = wish.wish === 'drill' ? 'takeover' : 'cut';
      emit({ type: 'answer', ask, answer: { type: 'refused', code, problem } });
      return;
    }
    if (this.#whyLost !== undefined) {
      emit({ type: 'answer', ask, answer: linkEnded(this.#whyLost) });
      return;
    }
    const asked = this.#requests.ask(ask, wish.label);
    if (asked.type === 'refused') emit({ type: 'answer', ask, answer: asked });
    else this.#peer.tell(asked);
  }

  #answerAll(reason: string): void {
    for (const answered of this.#requests.lost(reason)) {
      this.#options.emit({ type: 'answer', ...answered });
    }
  }

  #acknowledge(received: LogPosition): void {
    const { link, emit } = this.#options;
    const appliedIcount = this.#executed;
    emit({
      type: 'send',
      link,
      message: { kind: 'ack', term: this.term, received, appliedIcount },
    });
  }

  #step(event: BackupEvent, now: Millis): void {
    for (const effect of this.#core.step(event, now)) this.#perform(effect);
  }

  #perform(effect: BackupEffect): void {
    const { emit, claim, onEnd } = this.#options;
    switch (effect.type) {
      case 'ack':
        this.#acknowledge(effect.position);
        return;
      case 'reportReady':
        this.#peer.tell({ type: 'seedReady', seedId: this.#seedId });
        return;
      case 'claimTerm':
        claim(effect.expected);
        return;
      case 'takeOver':
        emit(effect);
        return;
      case 'discardReplica':
        this.#reason = effect.reason;
        emit({ type: 'discardCopy', reason: effect.reason });
        return;
      case 'changed':
        emit({ type: 'changed', role: 'backup', from: effect.from.kind, to: effect.to.kind });
        return;
      case 'end':
        if (effect.outcome === 'poweredOff') emit({ type: 'followPowerOff' });
        this.#letGo(effect.outcome === 'poweredOff' ? 'poweredOff' : this.#reason);
        onEnd(effect.outcome, this.#pauseMs);
        return;
    }
  }

  #letGo(reason: string): void {
    this.#answerAll(this.#whyLost ?? reason);
    this.#whyLost ??= reason;
    this.#closeLink(reason);
  }

  #closeLink(reason: string): void {
    this.#options.emit({ type: 'closeLink', link: this.#options.link, reason });
  }
}
