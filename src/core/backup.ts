/**
 * The backup's half of the pair protocol, as a pure state machine.
 *
 * Purpose: decide when this node may take over, and what becomes of its copy of the machine.
 *
 * Contract
 *  1. A takeover starts only after a grant of the present primary, and only in a term that the
 *     arbiter gave to this node by compare-and-set against the primary's term. That one is unproven
 *     (terms.ts, 5): the machine that comes out of it claims the one to speak in (primary.ts, 15).
 *  2. A copy that was never granted is discarded when its primary is lost.
 *  3. A copy that stalled or diverged is discarded, never taken over from.
 *  4. A takeover executes all log that was acknowledged: no log is discarded between the loss of
 *     the primary and `takeOver`.
 *  5. When the arbiter does not answer, the copy is kept and asking goes on; nothing speaks.
 *  6. A machine that its guest powered off is followed, not taken over: when the primary says so,
 *     and also when the primary was lost behind a guest's shutdown that is in the log.
 *  7. `ack: received` acknowledges log that is held in memory, `ack: durable` only log that the
 *     node reported to be on disk. Nothing is acknowledged before the copy executes, nor while
 *     claiming. What was acknowledged is so once more when the copy has executed it, with the next
 *     log or `newsAfterMs` later: a primary that hears of that only with the next log holds it for
 *     lag, and slows down whoever would write the next log.
 *  8. A copy that fails while a claim is on its way is discarded at once, and the claim's answer is
 *     awaited (`withdrawing`). A term that is won then, or whose takeover could not be proven, is
 *     never spoken in: it ends in `unproven`. Membership (membership.ts, 3) brings the pair back.
 *  9. A newer term that is heard of is a lost link: the claim that follows shows who holds it.
 * 10. A drill is a claim while the link lives, under the same rules.
 * 11. A copy that is behind claims later, by its lag: the takeover would wait for it in any case,
 *     and a primary that was only slow to be heard is back by then. One that has caught up claims.
 */
import { limits } from '../base/limits.ts';
import type { LogPosition, Millis, Term } from '../base/units.ts';

export type BackupEvent =
  | { readonly type: 'connected'; readonly primary: string; readonly term: Term }
  /** State loaded, log flowing: the copy executes. */
  | { readonly type: 'replicaReady' }
  | { readonly type: 'granted' }
  /** Log arrived whole, and is held in memory up to here. */
  | { readonly type: 'log'; readonly to: LogPosition }
  /** Log is on disk up to here. */
  | { readonly type: 'durable'; readonly to: LogPosition }
  /** The copy has executed all that arrived, up to its last marker. */
  | { readonly type: 'caughtUp' }
  /** It has not, and is so long behind. */
  | { readonly type: 'behind'; readonly lagMs: number }
  /** The log that arrived says that the guest switches itself off. */
  | { readonly type: 'guestShutdownLogged' }
  | { readonly type: 'linkLost'; readonly reason: string }
  | { readonly type: 'replicaFailed'; readonly reason: string }
  /** The copy could not prove that it executed everything, or could not go on. */
  | { readonly type: 'takeoverFailed'; readonly reason: string }
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'termContested'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string }
  /** A message or hello spoke of this term. */
  | { readonly type: 'termHeard'; readonly term: Term }
  /** The primary hands over on purpose. */
  | { readonly type: 'drill' }
  | { readonly type: 'guestPoweredOff' }
  | { readonly type: 'timer' };

export type BackupEffect =
  | { readonly type: 'ack'; readonly position: LogPosition }
  | { readonly type: 'reportReady' }
  | { readonly type: 'claimTerm'; readonly expected: Term }
  | { readonly type: 'takeOver'; readonly term: Term }
  /** Destroy the copy and everything of it. */
  | { readonly type: 'discardReplica'; readonly reason: string }
  | { readonly type: 'changed'; readonly from: BackupState; readonly to: BackupState }
  /**
   * This link's story is over. `discarded`: connect again for a new seed. `unproven`: a term was
   * won, or may yet be, that nobody will speak in; the node asks membership what to do.
   */
  | { readonly type: 'end'; readonly outcome: 'poweredOff' | 'discarded' | 'unproven' };

export type BackupState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'seeding'; readonly primary: string; readonly term: Term }
  | { readonly kind: 'ready'; readonly primary: string; readonly term: Term }
  /** Granted: this node protects the machine. */
  | { readonly kind: 'protecting'; readonly primary: string; readonly term: Term }
  | { readonly kind: 'claiming'; readonly expected: Term; readonly retryAt: Millis | undefined }
  /** The copy is gone, a claim is on its way. */
  | { readonly kind: 'withdrawing'; readonly reason: string }
  | { readonly kind: 'takingOver'; readonly term: Term }
  | { readonly kind: 'ended' };

export interface BackupOptions {
  /** @default 'received' */
  readonly ack?: 'received' | 'durable';
}

export class BackupCore {
  readonly #ack: 'received' | 'durable';
  #state: BackupState = { kind: 'connecting' };
  #shutdownLogged = false;
  #acknowledged: LogPosition | undefined;
  /** Since when the copy has executed what was acknowledged, and the primary was not told. */
  #owesNewsSince: Millis | undefined;
  #lagMs = 0;
  #effects: BackupEffect[] = [];

  constructor(options: BackupOptions = {}) {
    this.#ack = options.ack ?? 'received';
  }

  get state(): BackupState {
    return this.#state;
  }

  /** It may take over, or is about to. */
  get isGranted(): boolean {
    return ['protecting', 'claiming', 'takingOver'].includes(this.#state.kind);
  }

  step(event: BackupEvent, now: Millis): BackupEffect[] {
    this.#effects = [];
    if (this.#state.kind !== 'ended') this.#take(event, now);
    return this.#effects;
  }

  #take(event: BackupEvent, now: Millis): void {
    const state = this.#state;
    switch (event.type) {
      case 'connected':
        if (state.kind !== 'connecting') return;
        this.#become({ kind: 'seeding', primary: event.primary, term: event.term });
        return;
      case 'replicaReady':
        if (state.kind !== 'seeding') return;
        this.#become({ kind: 'ready', primary: state.primary, term: state.term });
        this.#effects.push({ type: 'reportReady' });
        return;
      case 'granted':
        if (state.kind !== 'ready') return;
        this.#become({ kind: 'protecting', primary: state.primary, term: state.term });
        return;
      case 'log':
        // In memory is received; the promise that it will be executed is kept by obligation 4.
        if (this.#ack === 'received') this.#acknowledge(event.to);
        return;
      case 'durable':
        if (this.#ack === 'durable') this.#acknowledge(event.to);
        return;
      case 'caughtUp':
        this.#lagMs = 0;
        this.#owesNewsSince ??= now;
        if (state.kind === 'claiming' && state.retryAt !== undefined) this.#claim(state.expected);
        return;
      case 'behind':
        this.#lagMs = event.lagMs;
        return;
      case 'guestShutdownLogged':
        this.#shutdownLogged = true;
        return;
      case 'linkLost':
        this.#linkLost(event.reason, now);
        return;
      case 'replicaFailed':
        this.#replicaFailed(event.reason);
        return;
      case 'takeoverFailed':
        if (state.kind !== 'takingOver') return;
        this.#discard(event.reason, 'unproven');
        return;
      case 'termWon':
        this.#termWon(event.term);
        return;
      case 'termLost':
      case 'termContested':
        if (state.kind === 'claiming') {
          this.#discard(`node ${event.holder} won the term`, 'discarded');
        } else if (state.kind === 'withdrawing') this.#end('discarded');
        return;
      case 'arbiterUnreachable':
        // It may have been won all the same; this node does not ask for what it cannot use.
        if (state.kind === 'withdrawing') this.#end('unproven');
        if (state.kind !== 'claiming') return;
        this.#become({ ...state, retryAt: (now + limits.arbiterRetryMs) as Millis });
        return;
      case 'termHeard':
        if ('term' in state && event.term > state.term) {
          this.#linkLost(`a newer term, ${event.term}, was heard of`, now);
        }
        return;
      case 'drill':
        if (state.kind === 'protecting') this.#claim(state.term);
        return;
      case 'guestPoweredOff':
        if (state.kind !== 'takingOver') this.#end('poweredOff');
        return;
      case 'timer':
        this.#tellNews(now);
        if (state.kind === 'claiming' && state.retryAt !== undefined && now >= state.retryAt) {
          this.#claim(state.expected);
        }
        return;
    }
  }

  #tellNews(now: Millis): void {
    const since = this.#owesNewsSince;
    if (since === undefined || this.#acknowledged === undefined) return;
    if (now - since >= limits.newsAfterMs) this.#acknowledge(this.#acknowledged);
  }

  #acknowledge(position: LogPosition): void {
    const { kind } = this.#state;
    if (kind !== 'ready' && kind !== 'protecting') return;
    this.#acknowledged = position;
    this.#owesNewsSince = undefined;
    this.#effects.push({ type: 'ack', position });
  }

  #linkLost(reason: string, now: Millis): void {
    const state = this.#state;
    switch (state.kind) {
      case 'seeding':
      case 'ready':
      case 'protecting':
        if (this.#shutdownLogged) this.#end('poweredOff');
        else if (state.kind === 'protecting') this.#claimInTime(state.term, now);
        else this.#discard(reason, 'discarded');
        return;
      case 'connecting':
      case 'claiming':
      case 'withdrawing':
      case 'takingOver':
      case 'ended':
        return;
    }
  }

  #replicaFailed(reason: string): void {
    const state = this.#state;
    switch (state.kind) {
      case 'connecting':
      case 'seeding':
      case 'ready':
      case 'protecting':
        this.#discard(reason, 'discarded');
        return;
      case 'claiming':
        this.#effects.push({ type: 'discardReplica', reason });
        // Between two attempts no claim is on its way, but an earlier one may have been applied.
        if (state.retryAt !== undefined) this.#end('unproven');
        else this.#become({ kind: 'withdrawing', reason });
        return;
      case 'withdrawing':
      case 'takingOver':
      case 'ended':
        return;
    }
  }

  #termWon(term: Term): void {
    const state = this.#state;
    if (state.kind === 'withdrawing') this.#end('unproven');
    if (state.kind !== 'claiming') return;
    this.#become({ kind: 'takingOver', term });
    this.#effects.push({ type: 'takeOver', term });
  }

  /** At once, or when a copy that is behind had time to catch up (11). */
  #claimInTime(expected: Term, now: Millis): void {
    if (this.#lagMs < limits.claimLagMinMs) {
      this.#claim(expected);
      return;
    }
    const retryAt = (now + Math.min(this.#lagMs, limits.hardLagMs)) as Millis;
    this.#become({ kind: 'claiming', expected, retryAt });
  }

  #claim(expected: Term): void {
    this.#become({ kind: 'claiming', expected, retryAt: undefined });
    this.#effects.push({ type: 'claimTerm', expected });
  }

  #discard(reason: string, outcome: 'discarded' | 'unproven'): void {
    this.#effects.push({ type: 'discardReplica', reason });
    this.#end(outcome);
  }

  #end(outcome: 'poweredOff' | 'discarded' | 'unproven'): void {
    this.#become({ kind: 'ended' });
    this.#effects.push({ type: 'end', outcome });
  }

  #become(to: BackupState): void {
    const from = this.#state;
    this.#state = to;
    if (from.kind !== to.kind) this.#effects.push({ type: 'changed', from, to });
  }
}
