/**
 * How a node without a machine finds its place: it asks the arbiter, then its peer, until membership
 * (src/core/membership.ts) says what to do.
 *
 * Contract
 *  1. Nothing is done before the arbiter has answered once: only its term tells whether a primary is
 *     one of a term that is over.
 *  2. An arbiter that does not answer is waited for, for ever: it may be started later than the node.
 *     An error that will not pass by itself is thrown.
 *  3. A claim without an answer is repeated until there is one, and not judged anew: it may have been
 *     won, and then a look at the arbiter would find a term in which nobody has spoken.
 *  4. From before a claim is sent until it is known to be lost, the node says so (`onClaiming`): its
 *     peer must not take it for one that has no machine and will not get one.
 *  5. What is waited for is told when it changes, and at its end.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import { choose } from '../core/membership.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import type { Link, Standing } from '../ports/link.ts';
import { holderNode, type Terms } from './claims.ts';

/** What a peer has that says nothing of itself. */
export const nothing: Standing = {
  role: 'none',
  isGranted: false,
  spoken: toTerm(0),
  logged: toTerm(0),
};

export type Place =
  /** Boot the machine, in a term that was won. */
  { readonly type: 'boot'; readonly term: Term } | { readonly type: 'join'; readonly link: Link };

export interface Search {
  readonly node: string;
  readonly terms: Terms;
  /** The last term in which this node's machine spoke. */
  readonly spoken: Term;
  /** The operator's word that the other node is gone. */
  readonly startAnew: boolean;
  /** Whether the machine of this term was kept here, to go on from; never rejects. */
  readonly canRestart: (term: Term) => Promise<boolean>;
  /** The last term of which all acknowledged log is on the disk here; 0: none. */
  readonly logged: () => Term;
  /** How long this node leaves it to a peer with that log to go on; milliseconds. */
  readonly restartWaitMs: number;
  /** `undefined`: it does not answer. */
  readonly dialPeer: () => Promise<Link | undefined>;
  /** Throws when this node must not boot what it has. */
  readonly checkImages: () => void;
  /** A claim is on its way; still true when the search ends with a term that was won. */
  readonly onClaiming: (isClaiming: boolean) => void;
  /** `undefined`: nothing is waited for any more. */
  readonly onWaiting: (reason: string | undefined) => void;
  /** Resolves at once when the node is to stop. */
  readonly pause: (ms: number) => Promise<void>;
  readonly isStopping: () => boolean;
}

/** Resolves with `undefined` when the node is to stop. Throws `arbiter`, and what `checkImages` does. */
export async function findPlace(search: Search): Promise<Place | undefined> {
  let told: string | undefined;
  const tell = (reason: string | undefined): void => {
    if (reason !== told) search.onWaiting(reason);
    told = reason;
  };
  const place = await lookForPlace(search, tell);
  tell(undefined);
  return place;
}

type Tell = (reason: string | undefined) => void;

async function lookForPlace(search: Search, tell: Tell): Promise<Place | undefined> {
  const { terms, node, spoken, startAnew, isStopping } = search;
  let state: ArbiterState | undefined;
  let answeredAt: number | undefined;
  while (!isStopping()) {
    try {
      state = await terms.read();
      answeredAt ??= performance.now();
    } catch (thrown) {
      // What it once said is good enough to look at the peer by: a claim finds out what is true.
      if (answeredAt === undefined) {
        const error = asError(thrown);
        if (!(error instanceof UnderstudyError && error.mayPass)) throw error;
        tell(silent(error.describe()));
        await search.pause(limits.arbiterRetryMs);
        continue;
      }
    }
    const link = await search.dialPeer();
    const isOurs = state !== undefined && holderNode(state) === node;
    const hasPrimary = link?.peer.standing?.role === 'primary';
    const canRestart = state !== undefined && !hasPrimary && (await search.canRestart(state.term));
    const choice = choose({
      term: state?.term ?? toTerm(0),
      isOurs,
      canRestart,
      logged: search.logged(),
      restartWaitMs: search.restartWaitMs,
      spoken,
      peer: link && { ...(link.peer.standing ?? nothing), term: link.peer.term },
      waitedMs: performance.now() - answeredAt,
      startAnew,
    });
    if (choice.type === 'join' && link !== undefined) return { type: 'join', link };
    link?.close('only looking');
    if (choice.type === 'claim') {
      search.checkImages();
      const term = await claim(search, choice.expected, tell);
      if (term !== undefined) return { type: 'boot', term };
    }
    if (choice.type === 'wait') tell(choice.reason);
    await search.pause(limits.dialRetryMs);
  }
  return undefined;
}

/** The term that was won; `undefined` when it was lost, or the node is to stop. */
async function claim(search: Search, expected: Term, tell: Tell): Promise<Term | undefined> {
  search.onClaiming(true);
  while (!search.isStopping()) {
    const outcome = await search.terms.claim(expected);
    if (outcome.type === 'termWon') return outcome.term;
    if (outcome.type === 'termLost') {
      search.onClaiming(false);
      return undefined;
    }
    if (!outcome.mayPass) {
      throw new UnderstudyError('arbiter', `The arbiter does not answer: ${outcome.reason}`);
    }
    tell(silent(outcome.reason));
    await search.pause(limits.arbiterRetryMs);
  }
  return undefined;
}

/** In one line: it is shown as the state of the node. */
const silent = (reason: string): string =>
  `the arbiter does not answer: ${reason.replaceAll(/\s*\n\s*/g, '; ')}`;
