/**
 * Membership: what a node without a machine does: boot it, join its peer, or wait.
 *
 * Intuition: the danger is not that nobody boots but that old disks do. A node therefore remembers,
 * on its own disk, the last term in which its machine spoke to the world (`spoken`). Whoever spoke
 * last has every write that the world could know of. A node that was seeded since needs no new
 * entry: who seeds it speaks in a later term than any in which it spoke itself (6), so the entry of
 * its disks, which are a copy now, is never the greater one.
 *
 * Contract
 *  1. A node boots only by claiming the term after the one that it read before it asked its peer:
 *     whatever happened since makes the claim fail.
 *  2. Alone, a node boots only when it spoke in the last term that anybody may have spoken in:
 *     the last one given, or the one before it while that is unproven (terms.ts, 5). It looks for
 *     its peer first, for `ownTermWaitMs`; a peer that was granted gets so long to take over, and
 *     one whose takeover is under way `proofMs`, because a running machine is better than a reboot.
 *  3. When both nodes answer and neither is primary nor granted, the one that spoke last boots. So
 *     two nodes that were both down start again in any order, also when the last term was won and
 *     never spoken in (a takeover that could not be proven).
 *  4. A node whose disks may be older than its peer's never boots by itself. `startAnew` is the
 *     operator's word that the peer is gone for good.
 *  5. When no term was ever given there is nothing that could be lost: both claim, one wins. When
 *     both nodes answer and neither ever spoke, the first term was won and its winner died before
 *     it booted: that node boots. A term above the arbiter's, spoken in or only `seen`, is of a
 *     pair whose arbiter was set back, or is another pair's: nobody claims from it, and both say
 *     why.
 *  6. A node joins a peer that is primary in the newest term known, or a newer one, whatever else
 *     it knows. A primary of an older term has lost, or yields to a takeover that is not proved
 *     yet: its machine is about to end, or to speak in a newer one.
 *  7. A node that has kept the machine of the last term ever given, as a snapshot with its log, and
 *     is to go on from there (`canRestart`), does so although its peer does not answer. A peer that
 *     was alone since would have claimed a later term; one that could not claim has been silent
 *     since.
 *  8. Where a backup acknowledges what is on its disk, the node that spoke last has less of that
 *     log than its peer. It leaves it to the peer to go on, for `restartWaitMs`: one that has the
 *     log of the last term (`logged`), or does not answer yet. That one claims at once, if it can
 *     restart, although the node that spoke last answers.
 *
 * What the node owes: `spoken` is durable before the machine speaks in that term, and after the
 * takeover was proven. And it is granted, as its peer sees it, without a gap from the grant or the
 * claim until its machine speaks: in a gap it would look like a node with old disks (3), and the
 * peer would boot beside it.
 */
import { limits } from '../base/limits.ts';
import type { Term } from '../base/units.ts';
import type { Standing } from '../ports/link.ts';

/** What the peer's hello said. */
export interface PeerStanding extends Standing {
  readonly term: Term;
}

export interface MembershipFacts {
  /** The arbiter's last term; 0: none was ever given. Read before the peer was asked. */
  readonly term: Term;
  /** The last one that anybody may have spoken in: the one before it, if it is unproven. */
  readonly lastSpoken: Term;
  /** Whether a life of this node holds it. */
  readonly isOurs: boolean;
  readonly spoken: Term;
  /** The newest term that this node has seen, from whoever; 0: none. */
  readonly seen: Term;
  /** `undefined`: the peer does not answer. */
  readonly peer: PeerStanding | undefined;
  /** It answers, but the two do not fit; for people. */
  readonly isRefused?: boolean;
  /** How long this node has been without a machine or a primary, milliseconds. */
  readonly waitedMs: number;
  readonly startAnew: boolean;
  /** The machine of the arbiter's last term was kept here, and is to go on from there. */
  readonly canRestart: boolean;
  /** The last term of which all acknowledged log is on the disk here; 0: none. */
  readonly logged: Term;
  /** How long this node leaves it to a peer with that log to go on, milliseconds. */
  readonly restartWaitMs: number;
}

export type Choice =
  /** Claim the term after `expected` and boot if it is won. */
  | { readonly type: 'claim'; readonly expected: Term }
  | { readonly type: 'join' }
  | { readonly type: 'wait'; readonly reason: string };

export function choose(facts: MembershipFacts): Choice {
  const { term, lastSpoken, spoken, peer, waitedMs, startAnew } = facts;
  const claim: Choice = { type: 'claim', expected: term };
  if (startAnew) return claim;
  if (peer?.role === 'primary') {
    return peer.term >= Math.max(term, facts.seen)
      ? { type: 'join' }
      : wait('the peer is primary in a term that is over');
  }
  const seen = Math.max(spoken, facts.seen, peer?.spoken ?? 0);
  if (seen > term) return wait(setBack(term, seen));
  if (term === 0) return claim;
  if (isNewest(facts)) {
    const reason = whyLeave(facts);
    if (reason !== undefined) return wait(reason);
    if (peer === undefined && waitedMs < limits.ownTermWaitMs) {
      return wait('looking for the peer before it boots');
    }
    // A backup that has the term is at work; one that could not claim it must not keep a pair down.
    const mayTakeMs = lastSpoken === term ? limits.ownTermWaitMs : limits.proofMs;
    if (peer?.isGranted === true && waitedMs < mayTakeMs) return wait('the peer may take over');
    return claim;
  }
  if (peer === undefined) {
    if (facts.canRestart) {
      return waitedMs < limits.ownTermWaitMs
        ? wait('looking for the peer before it goes on from a snapshot')
        : claim;
    }
    const why = facts.isRefused === true ? 'and this node refuse each other' : 'does not answer';
    return wait(`the peer ${why}, and the disks here may be older than its disks`);
  }
  if (peer.isGranted) return wait('the peer may take over');
  if (facts.canRestart && facts.logged === lastSpoken) return claim;
  if (spoken > peer.spoken) return claim;
  if (spoken < peer.spoken) return wait('the peer has the newer disks and will boot');
  if (spoken === 0)
    return facts.isOurs ? claim : wait('the peer holds the only term and will boot');
  return wait('neither node has disks that the machine last spoke from');
}

/** It spoke in the last term that anybody may have spoken in. */
function isNewest({ term, lastSpoken, spoken, isOurs }: MembershipFacts): boolean {
  return spoken === lastSpoken && (isOurs || lastSpoken < term);
}

const setBack = (term: Term, seen: number): string =>
  `the arbiter has given out ${term === 0 ? 'no term' : `terms up to ${term}`}, but this pair ` +
  `has seen term ${seen}: it was set back, or is not this pair's. Give the nodes their ` +
  'arbiter back; if it is lost, start the node with the newer disks with --start-anew';

/**
 * Why the node that spoke last leaves it to its peer to go on from a snapshot; `undefined`: it does
 * not.
 */
function whyLeave(facts: MembershipFacts): string | undefined {
  const { lastSpoken, peer, waitedMs, restartWaitMs, canRestart } = facts;
  if (waitedMs >= restartWaitMs) return undefined;
  const atMost = `for at most ${Math.ceil(restartWaitMs / 1000)} s`;
  if (peer?.logged === lastSpoken)
    return `the peer has all of the log, and may go on from it: ${atMost}`;
  if (peer !== undefined || !canRestart) return undefined;
  return `looking for the peer, which may have more of the log: ${atMost}`;
}

const wait = (reason: string): Choice => ({ type: 'wait', reason });
