/**
 * A node without a machine looks for its place: it asks the arbiter, then its peer, then its own
 * disks, until membership (membership.ts) says what to do.
 *
 * Contract
 *  1. Nothing is done before the arbiter has answered once: only its term tells whether a primary
 *     is one of a term that is over.
 *  2. An arbiter that does not answer is waited for, for ever: it may be started later than the
 *     node. An error that will not pass by itself ends the node.
 *  3. A claim without an answer is repeated until there is one, and not judged anew: it may have
 *     been won, and then a look at the arbiter would find a term in which nobody has spoken. One
 *     that came to no compare-and-set is judged anew: what was in its way the peer may have mended.
 *  4. From before a claim is sent until it is known to be lost, the node says so (`isClaiming`):
 *     its peer must not take it for one that has no machine and will not get one.
 *  5. What is waited for is told when it changes, and at its end.
 *  6. Disks that cannot be booted from end the node, unless its peer answers and the two refuse
 *     each other: a backup-to-be has none yet, and what keeps it out may be mended there.
 */
import { limits } from '../base/limits.ts';
import { oneLine } from '../base/text.ts';
import { type Millis, type Term, term as toTerm } from '../base/units.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import type { Standing } from '../ports/link.ts';
import { Claim, nodeOf } from './claim.ts';
import type { DisksSeen, Emit, LinkId, NodeEvent, PeerHello } from './effects.ts';
import type { choose } from './membership.ts';
import { lastSpoken } from './terms.ts';

/** What a peer has that says nothing of itself. */
export const nothing: Standing = {
  role: 'none',
  isGranted: false,
  spoken: toTerm(0),
  logged: toTerm(0),
};

/** It has no machine, and will get none by itself. */
export function hasNothing({ standing = nothing }: PeerHello): boolean {
  return standing.role === 'none' && !standing.isGranted;
}

export type Place =
  | { readonly type: 'join'; readonly link: LinkId; readonly hello: PeerHello }
  /** A term was won: the machine is to be booted in it. */
  | { readonly type: 'boot'; readonly term: Term }
  | { readonly type: 'fail'; readonly reason: string };

export interface PlaceOptions {
  readonly node: string;
  readonly holder: string;
  /** The last term in which this node's machine spoke: a disk may say late that it has one. */
  readonly spoken: () => Term;
  /** The newest term that this node has seen. */
  readonly seen: () => Term;
  /** The operator's word that the other node is gone. */
  readonly startAnew: boolean;
  /** How long this node leaves it to a peer with all of the log to go on. */
  readonly restartWaitMs: number;
  readonly choose: typeof choose;
  readonly nextAsk: () => number;
  readonly emit: Emit;
}

interface Found {
  readonly link: LinkId;
  readonly hello: PeerHello;
}

type Step =
  | { readonly kind: 'asking'; readonly ask: number }
  | { readonly kind: 'dialling' }
  | { readonly kind: 'looking'; readonly peer: Found | undefined }
  | { readonly kind: 'claiming'; readonly expected: Term; readonly claim: Claim }
  | { readonly kind: 'claimingAgain'; readonly expected: Term; readonly at: Millis }
  | { readonly kind: 'pausing'; readonly until: Millis }
  | { readonly kind: 'found' };

export class PlaceSearch {
  readonly #options: PlaceOptions;
  #step: Step;
  /** What the arbiter last said, and when it first answered. */
  #state: ArbiterState | undefined;
  #answeredAt: Millis | undefined;
  #told: string | undefined;
  /** A claim of this node was sent, and nobody knows what became of it. */
  #mayBeWon = false;
  /** The peer answered the last dial, and the two refused each other. */
  #isRefused = false;

  constructor(options: PlaceOptions) {
    this.#options = options;
    this.#step = this.#asking();
  }

  /** The last term that is known to have been given. */
  get knownTerm(): Term {
    return this.#state?.term ?? toTerm(0);
  }

  /** A claim is on its way, or was won. */
  get isClaiming(): boolean {
    return this.#step.kind === 'claiming' || this.#step.kind === 'claimingAgain';
  }

  /** The place, once there is one. */
  step(event: NodeEvent, now: Millis): Place | undefined {
    const place = this.#take(event, now);
    if (place === undefined) return undefined;
    this.#step = { kind: 'found' };
    this.#tell(undefined);
    return place;
  }

  #take(event: NodeEvent, now: Millis): Place | undefined {
    const step = this.#step;
    switch (step.kind) {
      case 'asking':
        return this.#heardOfArbiter(event, step.ask, now);
      case 'dialling':
        if (event.type === 'dialled') this.#dialled(event);
        return undefined;
      case 'looking':
        if (event.type === 'linkClosed' && event.link === step.peer?.link) {
          this.#step = { ...step, peer: undefined };
        }
        return event.type === 'disksSeen' ? this.#choose(event, step.peer, now) : undefined;
      case 'claiming':
        return this.#claimed(event, step.expected, step.claim, now);
      case 'claimingAgain':
        if (event.type === 'timer' && now >= step.at) this.#claim(step.expected);
        return undefined;
      case 'pausing':
        if (event.type === 'timer' && now >= step.until) this.#step = this.#asking();
        return undefined;
      case 'found':
        return undefined;
    }
  }

  #asking(): Step {
    const ask = this.#options.nextAsk();
    this.#options.emit({ type: 'readArbiter', ask });
    return { kind: 'asking', ask };
  }

  #heardOfArbiter(event: NodeEvent, ask: number, now: Millis): Place | undefined {
    if (event.type === 'arbiterRead' && event.ask === ask) {
      this.#state = event.state;
      this.#answeredAt ??= now;
    } else if (event.type === 'arbiterFailed' && event.ask === ask) {
      // What it once said is good enough to look at the peer by: a claim finds out what is true.
      if (this.#answeredAt === undefined) {
        if (!event.mayPass) return { type: 'fail', reason: event.reason };
        this.#tell(silent(event.reason));
        this.#pause(limits.arbiterRetryMs, now);
        return undefined;
      }
    } else return undefined;
    this.#step = { kind: 'dialling' };
    this.#options.emit({ type: 'dialPeer' });
    return undefined;
  }

  #dialled({ link, hello, isRefused }: Extract<NodeEvent, { type: 'dialled' }>): void {
    this.#isRefused = isRefused === true;
    const peer = link === undefined || hello === undefined ? undefined : { link, hello };
    this.#step = { kind: 'looking', peer };
    this.#options.emit({ type: 'lookAtDisks', term: lastSpoken(this.#state) });
  }

  #choose(disks: DisksSeen, peer: Found | undefined, now: Millis): Place | undefined {
    const { node, startAnew, restartWaitMs, emit } = this.#options;
    const standing = peer?.hello.standing ?? nothing;
    const choice = this.#options.choose({
      term: this.knownTerm,
      lastSpoken: lastSpoken(this.#state),
      isOurs: this.#state !== undefined && nodeOf(this.#state.holder) === node,
      canRestart: disks.canRestart && standing.role !== 'primary',
      logged: disks.logged,
      restartWaitMs,
      spoken: this.#options.spoken(),
      seen: this.#options.seen(),
      peer: peer && { ...standing, term: peer.hello.term },
      isRefused: this.#isRefused,
      waitedMs: now - (this.#answeredAt ?? now),
      startAnew,
    });
    if (choice.type === 'join' && peer !== undefined) return { type: 'join', ...peer };
    if (peer !== undefined) emit({ type: 'closeLink', link: peer.link, reason: 'only looking' });
    if (choice.type === 'claim') {
      if (disks.problem === undefined) {
        this.#claim(choice.expected);
        return undefined;
      }
      if (!this.#isRefused) return { type: 'fail', reason: disks.problem };
      const refused = 'the peer and this node refuse each other, and this one cannot boot';
      this.#tell(`${refused}: ${oneLine(disks.problem)}`);
    }
    if (choice.type === 'wait') this.#tell(choice.reason);
    this.#pause(limits.dialRetryMs, now);
    return undefined;
  }

  #claim(expected: Term): void {
    const { holder, startAnew, seen, nextAsk, emit } = this.#options;
    const known = startAnew ? {} : { seen: seen() };
    const claim = new Claim({ wish: { expected, holder, ...known }, nextAsk, emit });
    this.#step = { kind: 'claiming', expected, claim };
  }

  #claimed(event: NodeEvent, expected: Term, claim: Claim, now: Millis): Place | undefined {
    const outcome = claim.step(event);
    switch (outcome?.type) {
      case 'termWon':
        return { type: 'boot', term: outcome.term };
      case 'termLost':
      case 'termContested':
        this.#mayBeWon = false;
        this.#pause(limits.dialRetryMs, now);
        return undefined;
      case 'arbiterUnreachable':
        if (!outcome.mayPass) {
          return { type: 'fail', reason: `The arbiter gives no term: ${outcome.reason}` };
        }
        this.#tell(silent(outcome.reason));
        this.#mayBeWon ||= claim.mayBeWon;
        if (!this.#mayBeWon) {
          this.#pause(limits.arbiterRetryMs, now);
          return undefined;
        }
        this.#step = {
          ...{ kind: 'claimingAgain', expected },
          at: (now + limits.arbiterRetryMs) as Millis,
        };
        return undefined;
      case undefined:
        return undefined;
    }
  }

  #pause(ms: number, now: Millis): void {
    this.#step = { kind: 'pausing', until: (now + ms) as Millis };
  }

  #tell(reason: string | undefined): void {
    if (reason !== this.#told) this.#options.emit({ type: 'waiting', reason });
    this.#told = reason;
  }
}

/** In one line: it is shown as the state of the node. */
const silent = (reason: string): string => `the arbiter gives no term: ${oneLine(reason)}`;
