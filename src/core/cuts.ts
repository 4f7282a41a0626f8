/**
 * The cuts of a protected machine: compares, and cuts that are kept as snapshots.
 *
 * Intuition: a cut is a conversation. The machine is frozen for a moment, its copy is told what it
 * must find there, the log behind the cut confirms it, and the copy answers what it found; a kept
 * one is answered once more, when it is in the store. Whoever asked waits for all of that, and any
 * of it may end with a backup that is lost.
 *
 * Contract
 *  1. One cut at a time, in the order in which they were asked for.
 *  2. A cut that is to be kept waits until the one before it is stored; a compare need not.
 *  3. Everybody who asked gets one answer. A cut that was not confirmed is no answer but a refusal,
 *     whatever the copy said.
 *  4. By policy a cut is kept every `everyMs` while the machine is protected; one that is due while
 *     the one before is not stored is left out.
 *  5. A machine of which no cut was made for `compareEveryMs` is compared, by samples, although
 *     nobody asked; nobody is answered. A copy that differs is found out before it is needed.
 *  6. Each cut has a number of its own, whatever became of the ones before: what is said late of an
 *     older one changes nothing.
 */
import { limits } from '../base/limits.ts';
import type { Millis, Term } from '../base/units.ts';
import type { Control, CutResult, KeepRequest, Kept, SnapshotResult } from '../ports/link.ts';
import type { CutOrder } from '../ports/machine.ts';
import type { Answer, LinkId } from './effects.ts';

/** Who wants a cut. */
export type CutOrigin =
  | { readonly by: 'operator'; readonly ask: number }
  | { readonly by: 'backup'; readonly link: LinkId; readonly requestId: string }
  | { readonly by: 'policy' }
  /** The pair itself, which only wants to know. */
  | { readonly by: 'pair' };

export interface WantedCut {
  readonly origin: CutOrigin;
  /** It is to be kept, not only compared. */
  readonly keep?: KeepRequest | undefined;
  /** A share of the machine is enough; so it is for one that is kept. */
  readonly isSample?: boolean;
}

export interface AnsweredCut {
  readonly origin: CutOrigin;
  readonly answer: Answer;
}

interface Making {
  readonly wanted: WantedCut;
  readonly cutId: string;
  isConfirmed: boolean;
  found: Pick<CutResult, 'equal' | 'differences'> | undefined;
}

interface Storing {
  readonly cutId: string;
  readonly origin: CutOrigin;
  /** What the copy said of it before it was confirmed. */
  early?: Answer;
}

/** Cuts that nobody asks for. */
export interface CutPolicy {
  /** One is kept so often; `undefined`: none. */
  readonly keepEveryMs?: number | undefined;
  /** At least one is made so often; `undefined`: none. */
  readonly compareEveryMs?: number | undefined;
}

export class Cuts {
  readonly #policy: CutPolicy;
  readonly #waiting: WantedCut[] = [];
  #making: Making | undefined;
  /** A cut that the copy stores, which may take longer than its compare. */
  #storing: Storing | undefined;
  #dueAt: number | undefined;
  /** When it is to be compared, unless a cut is made before. */
  #compareAt: number | undefined;
  #number = 0;

  constructor(policy: CutPolicy) {
    this.#policy = policy;
  }

  want(wanted: WantedCut): void {
    this.#waiting.push(wanted);
  }

  timer(now: Millis, isProtected: boolean): void {
    this.#keep(now, isProtected);
    this.#compare(now, isProtected);
  }

  #keep(now: Millis, isProtected: boolean): void {
    const { keepEveryMs } = this.#policy;
    if (keepEveryMs === undefined) return;
    this.#dueAt ??= now + keepEveryMs;
    if (now < this.#dueAt) return;
    this.#dueAt = now + keepEveryMs;
    const isOnItsWay = [this.#making?.wanted, ...this.#waiting].some(
      (wanted) => wanted?.origin.by === 'policy',
    );
    if (!isProtected || this.#storing !== undefined || isOnItsWay) return;
    this.want({ origin: { by: 'policy' }, keep: {} });
  }

  #compare(now: Millis, isProtected: boolean): void {
    const { compareEveryMs } = this.#policy;
    if (compareEveryMs === undefined) return;
    const isBusy = this.#making !== undefined || this.#waiting.length > 0;
    if (isBusy || !isProtected) this.#compareAt = undefined;
    else this.#compareAt ??= now + compareEveryMs;
    if (this.#compareAt === undefined || now < this.#compareAt) return;
    this.want({ origin: { by: 'pair' }, isSample: true });
  }

  /** The cut to be made now, if there is one. */
  next(term: Term): CutOrder | undefined {
    const wanted = this.#waiting[0];
    if (wanted === undefined || this.#making !== undefined) return undefined;
    if (wanted.keep !== undefined && this.#storing !== undefined) return undefined;
    this.#waiting.shift();
    this.#number += 1;
    const cutId = `${term}.${this.#number}`;
    this.#making = { wanted, cutId, isConfirmed: false, found: undefined };
    if (wanted.keep !== undefined) this.#storing = { cutId, origin: wanted.origin };
    const { keep, isSample = keep !== undefined } = wanted;
    return { cutId, number: this.#number, keep, isSample };
  }

  /** The machine has made the cut, and the log behind it was looked at. */
  ended(cutId: string, problem: string | undefined): AnsweredCut[] {
    const making = this.#making;
    if (making?.cutId !== cutId) return [];
    making.isConfirmed = true;
    const storing = this.#storing?.cutId === cutId ? this.#storing : undefined;
    if (problem !== undefined) {
      this.#making = undefined;
      if (storing !== undefined) this.#storing = undefined;
      return [{ origin: making.wanted.origin, answer: refusal('cut', problem) }];
    }
    const compared = this.#finishIfDone(making);
    return storing?.early === undefined ? compared : this.#stored(storing, storing.early);
  }

  /** What the copy found. */
  result({ cutId, equal, differences }: CutResult): AnsweredCut[] {
    const making = this.#making;
    if (making?.cutId !== cutId) return [];
    making.found = { equal, differences };
    return this.#finishIfDone(making);
  }

  /** What became of a cut that was to be kept. */
  kept({ cutId, snapshot, problem, mayPass }: Kept): AnsweredCut[] {
    const storing = this.#storing;
    if (storing?.cutId !== cutId) return [];
    const answer: Answer =
      snapshot === undefined
        ? refusal('store', problem ?? 'The backup kept no snapshot', mayPass)
        : { type: 'kept', snapshot };
    const isConfirmed = this.#making?.cutId !== cutId || this.#making.isConfirmed;
    if (isConfirmed) return this.#stored(storing, answer);
    storing.early = answer;
    return [];
  }

  /** There is no copy any more: nothing that was asked will come to anything. */
  lost(reason: string): AnsweredCut[] {
    const answer = refusal('cut', reason);
    const origins = [
      ...(this.#storing === undefined ? [] : [this.#storing.origin]),
      ...(this.#making === undefined || this.#making.wanted.keep !== undefined
        ? []
        : [this.#making.wanted.origin]),
      ...this.#waiting.map(({ origin }) => origin),
    ];
    this.#waiting.length = 0;
    this.#making = undefined;
    this.#storing = undefined;
    return origins.map((origin) => ({ origin, answer }));
  }

  #stored({ origin }: Storing, answer: Answer): AnsweredCut[] {
    this.#storing = undefined;
    return [{ origin, answer }];
  }

  #finishIfDone(making: Making): AnsweredCut[] {
    const { wanted, isConfirmed, found } = making;
    if (!isConfirmed || found === undefined) return [];
    this.#making = undefined;
    // Of one that is kept the store has the last word.
    if (wanted.keep !== undefined) return [];
    return [{ origin: wanted.origin, answer: { type: 'compared', ...found } }];
  }
}

/**
 * Snapshots that a backup was asked for: it asks its primary, which makes the cut and says what
 * became of it.
 *
 *   backup                              primary
 *     snapshotRequest {requestId, label?}  ->
 *                                       <-     cut {.., keep}, as for any snapshot
 *     kept                              ->
 *                                       <-     snapshotResult {requestId, snapshot? | problem?}
 */
export class SnapshotRequests {
  readonly #waiting = new Map<string, number>();
  #next = 1;

  /** The request to send, or why there is none. */
  ask(ask: number, label: string | undefined): Control | Extract<Answer, { type: 'refused' }> {
    const { size } = this.#waiting;
    if (size >= limits.snapshotRequestsMax) {
      return {
        ...refusal(
          'resources',
          `${size} snapshots were asked for already, and wait for the primary`,
        ),
        ...{ mayPass: true, hint: 'wait for them: each is a cut of its own' },
      };
    }
    const requestId = String(this.#next);
    this.#next += 1;
    this.#waiting.set(requestId, ask);
    const named = label === undefined ? {} : { label };
    return { type: 'snapshotRequest', requestId, ...named };
  }

  /** The primary's answer, and who waits for it. One that nobody waits for is passed over. */
  take({
    requestId,
    snapshot,
    problem,
    mayPass,
  }: SnapshotResult): { ask: number; answer: Answer }[] {
    const ask = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    if (ask === undefined) return [];
    if (snapshot !== undefined) return [{ ask, answer: { type: 'kept', snapshot } }];
    return [{ ask, answer: refusal('store', problem ?? 'The primary kept no snapshot', mayPass) }];
  }

  /** The link is over: no answer will come. */
  lost(reason: string): { ask: number; answer: Answer }[] {
    const asks = [...this.#waiting.values()];
    this.#waiting.clear();
    return asks.map((ask) => ({ ask, answer: linkEnded(reason) }));
  }
}

/** What whoever asks a backup is told when its primary is gone. */
export const linkEnded = (reason: string): Answer => ({
  ...refusal(
    'link',
    `The link to the primary ended before it said that a snapshot was kept: ${reason}`,
  ),
  ...{ mayPass: true, hint: '`understudy snapshot ls` tells whether it was kept all the same' },
});

/** What the backup is told that asked for a snapshot. */
export function resultOf(requestId: string, answer: Answer): SnapshotResult {
  const type = 'snapshotResult';
  if (answer.type === 'kept') return { type, requestId, snapshot: answer.snapshot };
  if (answer.type !== 'refused') {
    return { type, requestId, problem: 'The primary kept no snapshot' };
  }
  const { problem, mayPass } = answer;
  return { type, requestId, problem, ...(mayPass === undefined ? {} : { mayPass }) };
}

function refusal(
  code: Extract<Answer, { type: 'refused' }>['code'],
  problem: string,
  mayPass?: boolean,
): Extract<Answer, { type: 'refused' }> {
  return { type: 'refused', code, problem, ...(mayPass === undefined ? {} : { mayPass }) };
}
