/**
 * A node: one process that looks for its place, and is primary or backup of a pair as the arbiter
 * decides, until its guest switches itself off.
 *
 * This is all of the protocol that a node has: what it is told goes in, what it is to do comes out.
 * A driver does it, and says what became of it; it decides nothing. src/node drives it with real
 * machines, sim/ with simulated ones.
 *
 * Contract
 *  1. Effects are performed in their order, before the next event is stepped. Whoever dies between
 *     two of them has kept every promise.
 *  2. A term that was won is remembered before the machine speaks in it: before it boots, and
 *     before its gate opens after a takeover, whose term to speak in is claimed when it runs, or
 *     after a claim. A disk that does not take it is asked again until it does.
 *  3. One machine or copy at a time: the next begins when nothing is left of the one before
 *     (`gone`).
 *  4. From the claim of a term, or a grant, until its machine speaks a node tells its peer that it
 *     may come (`standing`, membership.ts).
 *  5. Whoever asks gets one answer.
 *  6. After `leave` or `fail` nothing is emitted any more.
 *  7. A machine that goes back to its past does so in the term that was won for it, when nothing is
 *     left of what it was; to its peer this node is one that may come, all the while (4).
 */
import { limits } from '../base/limits.ts';
import { type Millis, type Term, term as toTerm } from '../base/units.ts';
import type { Standing } from '../ports/link.ts';
import type { ArbiterWatch, Onlooker } from './arbiter-watch.ts';
import { type BackupEnd, BackupNode } from './backup-node.ts';
import { Claim, type ClaimOutcome } from './claim.ts';
import type { CutPolicy } from './cuts.ts';
import type { NodeEffect, NodeEvent } from './effects.ts';
import type { DetectorOptions } from './failure-detector.ts';
import { nothing, type Place, PlaceSearch } from './place.ts';
import { type PrimaryEnd, PrimaryNode } from './primary-node.ts';
import { refusalOf } from './refusals.ts';
import { type Rules, rules as soundRules } from './rules.ts';
import { SpokenTerms } from './spoken-terms.ts';
import type { ClaimWish } from './terms.ts';

export interface NodeOptions {
  readonly node: string;
  /** One life of this node: its name and something that differs at each start. */
  readonly holder: string;
  /** The last term in which its machine spoke, as it is on its disk; 0: none. */
  readonly spoken: Term;
  /** The newest term that it has seen, in any life; 0: none. */
  readonly seen: Term;
  /** The operator's word that the other node is gone; for the first machine only. */
  readonly startAnew: boolean;
  /** The first machine was prepared: it must not join another one. */
  readonly isPrepared: boolean;
  readonly ack: 'received' | 'durable';
  readonly onBackupLost: 'runAlone' | 'hold';
  readonly epochMs: number;
  readonly detector: DetectorOptions;
  /** @default only those that are asked for */
  readonly cuts?: CutPolicy;
  /** How long this node leaves it to a peer with all of the log to go on. */
  readonly restartWaitMs: number;
  /** @default limits.heldOutputsMax */
  readonly heldOutputsMax?: number;
  /** Other ones are for the simulator. */
  readonly rules?: Rules;
}

type Role =
  | { readonly kind: 'seeking'; readonly search: PlaceSearch }
  /** A won term is being remembered, or its machine is being started. */
  | { readonly kind: 'booting'; readonly term: Term }
  | { readonly kind: 'primary'; readonly primary: PrimaryNode }
  | { readonly kind: 'backup'; readonly backup: BackupNode }
  /** Nothing is to be left of what was here. */
  | { readonly kind: 'clearing'; readonly then: AfterClearing; readonly pauseMs: number }
  | { readonly kind: 'pausing'; readonly until: Millis }
  | { readonly kind: 'left' };

type AfterClearing = 'seek' | 'leave' | 'goBack';

const afterCopy = (outcome: BackupEnd): AfterClearing =>
  outcome === 'poweredOff' ? 'leave' : 'seek';

/** What becomes of a node whose machine has ended. */
const afterMachine: Readonly<Record<PrimaryEnd, AfterClearing>> = {
  poweredOff: 'leave',
  termLost: 'seek',
  failed: 'seek',
  wentBack: 'goBack',
};

/** It will have a machine, whatever others do. */
function isComing(role: Role): boolean {
  if (role.kind === 'seeking') return role.search.isClaiming;
  return role.kind === 'booting' || (role.kind === 'clearing' && role.then === 'goBack');
}

export class NodeCore {
  readonly #options: NodeOptions;
  readonly #rules: Rules;
  #role: Role;
  #effects: NodeEffect[] = [];
  /** Of the present step. */
  #now = 0 as Millis;
  readonly #spoken: SpokenTerms;
  #knownTerm: Term = toTerm(0);
  #isFirst = true;
  #asks = 0;
  #claim:
    | { readonly claim: Claim; readonly done: (outcome: ClaimOutcome, now: Millis) => void }
    | undefined;
  readonly #arbiter: ArbiterWatch;
  /** The machine, or the copy, that was here is gone. */
  #isGone = true;

  /** Begins to look for its place at the first step. */
  constructor(options: NodeOptions) {
    this.#options = options;
    this.#rules = options.rules ?? soundRules;
    this.#spoken = new SpokenTerms(options.spoken, this.#emit);
    const { holder, seen } = options;
    this.#arbiter = this.#rules.watch({
      ...{ holder, seen, self: () => this.#self, nextAsk: this.#nextAsk, emit: this.#emit },
    });
    this.#role = { kind: 'pausing', until: 0 as Millis };
  }

  get role(): 'primary' | 'backup' | 'none' {
    const { kind } = this.#role;
    return kind === 'primary' || kind === 'backup' ? kind : 'none';
  }

  /** Of its half of the protocol; a node without one seeks, boots, or is done. */
  get state(): string {
    const role = this.#role;
    if (role.kind === 'primary') return role.primary.state;
    return role.kind === 'backup' ? role.backup.state : role.kind;
  }

  /** As a primary the term that it speaks in, otherwise the last one that it knows of. */
  get term(): Term {
    const role = this.#role;
    return role.kind === 'primary' ? role.primary.term : this.#knownTerm;
  }

  /** The term that the copy here is taking over in. */
  get takingOverIn(): Term | undefined {
    const role = this.#role;
    return role.kind === 'backup' ? role.backup.wonTerm : undefined;
  }

  /** What the peer is told by a hello; what is logged only the disk knows. */
  get standing(): Omit<Standing, 'logged'> {
    const role = this.#role;
    const spoken = this.#spoken.last;
    if (role.kind === 'primary') return { role: 'primary', isGranted: false, spoken };
    if (role.kind === 'backup') {
      return { role: 'backup', isGranted: role.backup.isGranted, spoken };
    }
    return { role: nothing.role, isGranted: isComing(role), spoken };
  }

  step(event: NodeEvent, now: Millis): NodeEffect[] {
    this.#effects = [];
    this.#now = now;
    if (this.#role.kind !== 'left') this.#take(event, now);
    this.#goOnIfCleared(now);
    return this.#effects;
  }

  #take(event: NodeEvent, now: Millis): void {
    const role = this.#role;
    if (event.type === 'gone') this.#isGone = true;
    if (event.type === 'timer') {
      this.#spoken.timer(now);
      this.#arbiter.timer(this.#claim === undefined, now);
    }
    if (event.type === 'remembered' || event.type === 'notRemembered') {
      this.#spoken.take(event, now);
      return;
    }
    const heard = this.#arbiter.take(event, now);
    if (heard !== undefined && role.kind === 'primary') role.primary.heardOf(heard, now);
    const outcome = this.#claim?.claim.step(event);
    if (outcome !== undefined) this.#claimed(outcome, now);
    if (this.#role !== role) return;
    switch (role.kind) {
      case 'seeking': {
        this.#refuse(event);
        const place = role.search.step(event, now);
        this.#knownTerm = role.search.knownTerm;
        if (place !== undefined) this.#settle(place, now);
        return;
      }
      case 'booting':
        this.#refuse(event);
        if (event.type === 'booted') this.#becomePrimary(role.term, true);
        if (event.type === 'notBooted') this.#fail(event.reason);
        return;
      case 'primary':
        role.primary.step(event, now);
        return;
      case 'backup':
        this.#refuseLink(event);
        if (event.type === 'tookOver') this.#tookOver(role.backup, now);
        else role.backup.step(event, now);
        return;
      case 'pausing':
        this.#refuse(event);
        if (event.type === 'timer' && now >= role.until) this.#seek();
        return;
      case 'clearing':
        this.#refuse(event);
        return;
      case 'left':
        return;
    }
  }

  #seek(): void {
    const { node, holder, startAnew, restartWaitMs } = this.#options;
    const search = new PlaceSearch({
      ...{
        node,
        holder,
        restartWaitMs,
        spoken: () => this.#spoken.last,
        seen: () => this.#arbiter.seen,
      },
      ...{ startAnew: startAnew && this.#isFirst, choose: this.#rules.choose },
      ...{ nextAsk: this.#nextAsk, emit: this.#emit },
    });
    this.#become({ kind: 'seeking', search }, this.#knownTerm);
  }

  #settle(place: Place, now: Millis): void {
    if (place.type === 'fail') {
      this.#fail(place.reason);
      return;
    }
    if (place.type === 'boot') {
      const { term } = place;
      this.#arbiter.won(term);
      this.#become({ kind: 'booting', term }, term);
      // Known after a loss of power, before the machine speaks in it.
      this.#spoken.remember(term, () => this.#emit({ type: 'boot', term }));
      return;
    }
    const { link, hello } = place;
    if (this.#options.isPrepared && this.#isFirst) {
      this.#emit({ type: 'closeLink', link, reason: 'it was to go on from a snapshot' });
      this.#fail('The pair has a primary: no other can be started');
      return;
    }
    const { ack, detector } = this.#options;
    this.#isGone = false;
    this.#emit({ type: 'became', role: 'backup', term: hello.term });
    const backup = new BackupNode(
      {
        link,
        hello,
        ack,
        detector,
        rules: this.#rules,
        emit: this.#emit,
        claim: (expected) =>
          this.#claimTerm({ expected, isUnproven: true }, (outcome, at) =>
            backup.claimed(outcome, at),
          ),
        onEnd: (outcome, pauseMs) =>
          this.#clear(afterCopy(outcome), Math.max(limits.dialRetryMs, pauseMs)),
      },
      now,
    );
    this.#knownTerm = hello.term;
    this.#role = { kind: 'backup', backup };
  }

  #becomePrimary(term: Term, isProven: boolean): PrimaryNode {
    const { epochMs, onBackupLost, ack, detector, cuts = {}, heldOutputsMax } = this.#options;
    const primary: PrimaryNode = new PrimaryNode({
      term,
      isProven,
      epochMs,
      onBackupLost,
      backupKeepsLog: ack === 'durable',
      detector,
      cuts,
      heldOutputsMax: heldOutputsMax ?? limits.heldOutputsMax,
      rules: this.#rules,
      emit: this.#emit,
      claim: (expected, overtakes) =>
        this.#claimTerm({ expected, overtakes }, (outcome, now) =>
          this.#claimedAsPrimary(primary, outcome, now),
        ),
      onEnd: (outcome) => this.#clear(afterMachine[outcome], 0),
    });
    this.#isFirst = false;
    this.#isGone = false;
    this.#become({ kind: 'primary', primary }, term);
    if (isProven) this.#emit({ type: 'speak' });
    return primary;
  }

  /** Its machine runs, which proves it: the term to speak in is claimed at once. */
  #tookOver(backup: BackupNode, now: Millis): void {
    const term = backup.tookOver();
    this.#becomePrimary(term, false).step({ type: 'timer' }, now);
  }

  #claimedAsPrimary(primary: PrimaryNode, outcome: ClaimOutcome, now: Millis): void {
    if (outcome.type === 'termWon') {
      this.#spoken.remember(outcome.term, (at) => primary.answered(outcome, at));
    } else primary.answered(outcome, now);
  }

  #claimTerm(
    wanted: Omit<ClaimWish, 'holder' | 'seen'>,
    done: (outcome: ClaimOutcome, now: Millis) => void,
  ): void {
    const wish = { ...wanted, holder: this.#options.holder, seen: this.#arbiter.seen };
    const claim = new Claim({ wish, nextAsk: this.#nextAsk, emit: this.#emit });
    this.#claim = { claim, done };
  }

  #claimed(outcome: ClaimOutcome, now: Millis): void {
    const done = this.#claim?.done;
    if (outcome.type === 'termWon') this.#arbiter.won(outcome.term);
    this.#claim = undefined;
    done?.(outcome, now);
  }

  /** What was here ends; a copy that was discarded before may be gone already. */
  #clear(then: AfterClearing, pauseMs: number): void {
    const { term } = this;
    this.#claim = undefined;
    this.#spoken.forget();
    this.#become({ kind: 'clearing', then, pauseMs }, term);
  }

  #goOnIfCleared(now: Millis): void {
    const role = this.#role;
    if (role.kind !== 'clearing' || !this.#isGone) return;
    if (role.then === 'leave') {
      this.#emit({ type: 'leave' });
      this.#role = { kind: 'left' };
    } else if (role.then === 'goBack') {
      const term = this.#knownTerm;
      this.#become({ kind: 'booting', term }, term);
      this.#emit({ type: 'boot', term, isBack: true });
    } else this.#role = { kind: 'pausing', until: (now + role.pauseMs) as Millis };
  }

  /** Who has no primary here to join or to ask is told so. */
  #refuse(event: NodeEvent): void {
    this.#refuseLink(event);
    if (event.type !== 'asked') return;
    const answer = refusalOf(event.for, this.#options.node);
    this.#emit({ type: 'answer', ask: event.ask, answer });
  }

  #refuseLink(event: NodeEvent): void {
    if (event.type !== 'linkOpened') return;
    this.#emit({ type: 'closeLink', link: event.link, reason: 'this node is not primary' });
  }

  #fail(reason: string): void {
    this.#emit({ type: 'fail', reason });
    this.#role = { kind: 'left' };
  }

  #become(role: Role, term: Term): void {
    const before = this.role;
    this.#knownTerm = term;
    this.#role = role;
    if (this.role !== before) this.#emit({ type: 'became', role: this.role, term });
  }

  /** With a machine or a copy. */
  get #self(): Onlooker | undefined {
    const { role, term } = this;
    return role === 'none' ? undefined : { role, term };
  }

  readonly #emit = (effect: NodeEffect): void => {
    if (effect.type === 'readArbiter' || effect.type === 'compareAndSet') {
      this.#arbiter.asked(this.#now);
    }
    this.#effects.push(effect);
  };

  readonly #nextAsk = (): number => {
    this.#asks += 1;
    return this.#asks;
  };
}
