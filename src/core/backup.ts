/**
 * The backup's half of the pair protocol, as a pure state machine.
 *
 * Purpose: decide when this node may take over, and what becomes of its copy of the machine.
 *
 * Contract
 *  1. A takeover starts only after a grant of the present primary, and only in a term that the
 *     arbiter gave to this node by compare-and-set against the primary's term.
 *  2. A copy that was never granted is discarded when its primary is lost.
 *  3. A copy that stalled or diverged is discarded, never taken over from.
 *  4. A takeover executes all log that was acknowledged: no log is discarded between the loss of
 *     the primary and `takeOver`.
 *  5. When the arbiter does not answer, the copy is kept and asking goes on; nothing speaks.
 *  6. A machine that its guest powered off is followed, not taken over.
 */
import { limits } from '../base/limits.ts';
import type { LogPosition, Millis, Term } from '../base/units.ts';

export type BackupEvent =
  | { readonly type: 'connected'; readonly primary: string; readonly term: Term }
  /** State loaded, log flowing: the copy executes. */
  | { readonly type: 'replicaReady' }
  | { readonly type: 'granted' }
  | { readonly type: 'log'; readonly to: LogPosition }
  | { readonly type: 'linkLost'; readonly reason: string }
  | { readonly type: 'replicaFailed'; readonly reason: string }
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string }
  | { readonly type: 'guestPoweredOff' }
  | { readonly type: 'timer' };

export type BackupEffect =
  | { readonly type: 'ack'; readonly position: LogPosition }
  | { readonly type: 'reportReady' }
  | { readonly type: 'claimTerm'; readonly expected: Term }
  | { readonly type: 'takeOver'; readonly term: Term }
  /** Destroy the copy and everything of it; then connect again for a new seed. */
  | { readonly type: 'discardReplica'; readonly reason: string }
  | { readonly type: 'changed'; readonly from: BackupState; readonly to: BackupState }
  | { readonly type: 'end'; readonly outcome: 'poweredOff' };

export type BackupState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'seeding'; readonly primary: string; readonly term: Term }
  | { readonly kind: 'ready'; readonly primary: string; readonly term: Term }
  /** Granted: this node protects the machine. */
  | { readonly kind: 'protecting'; readonly primary: string; readonly term: Term }
  | { readonly kind: 'claiming'; readonly expected: Term; readonly retryAt: Millis | undefined }
  | { readonly kind: 'takingOver'; readonly term: Term }
  | { readonly kind: 'ended' };

export class BackupCore {
  #state: BackupState = { kind: 'connecting' };
  #effects: BackupEffect[] = [];

  get state(): BackupState {
    return this.#state;
  }

  step(event: BackupEvent, now: Millis): BackupEffect[] {
    this.#effects = [];
    this.#take(event, now);
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
        this.#become({ ...state, kind: 'ready' });
        this.#effects.push({ type: 'reportReady' });
        return;
      case 'granted':
        if (state.kind === 'ready') this.#become({ ...state, kind: 'protecting' });
        return;
      case 'log':
        // In memory is received; the promise that it will be executed is kept by obligation 4.
        if (state.kind === 'ready' || state.kind === 'protecting') {
          this.#effects.push({ type: 'ack', position: event.to });
        }
        return;
      case 'linkLost':
        this.#linkLost(event.reason);
        return;
      case 'replicaFailed':
        if (state.kind === 'takingOver' || state.kind === 'ended') return;
        this.#discard(event.reason);
        return;
      case 'termWon':
        if (state.kind !== 'claiming') return;
        this.#become({ kind: 'takingOver', term: event.term });
        this.#effects.push({ type: 'takeOver', term: event.term });
        return;
      case 'termLost':
        if (state.kind === 'claiming') this.#discard(`node ${event.holder} won the term`);
        return;
      case 'arbiterUnreachable':
        if (state.kind !== 'claiming') return;
        this.#become({ ...state, retryAt: (now + limits.arbiterRetryMs) as Millis });
        return;
      case 'guestPoweredOff':
        if (state.kind === 'takingOver' || state.kind === 'ended') return;
        this.#become({ kind: 'ended' });
        this.#effects.push({ type: 'end', outcome: 'poweredOff' });
        return;
      case 'timer':
        if (state.kind === 'claiming' && state.retryAt !== undefined && now >= state.retryAt) {
          this.#claim(state.expected);
        }
        return;
    }
  }

  #linkLost(reason: string): void {
    const state = this.#state;
    switch (state.kind) {
      case 'protecting':
        this.#claim(state.term);
        return;
      case 'seeding':
      case 'ready':
        this.#discard(reason);
        return;
      case 'connecting':
      case 'claiming':
      case 'takingOver':
      case 'ended':
        return;
    }
  }

  #claim(expected: Term): void {
    this.#become({ kind: 'claiming', expected, retryAt: undefined });
    this.#effects.push({ type: 'claimTerm', expected });
  }

  #discard(reason: string): void {
    this.#become({ kind: 'connecting' });
    this.#effects.push({ type: 'discardReplica', reason });
  }

  #become(to: BackupState): void {
    const from = this.#state;
    this.#state = to;
    if (from.kind !== to.kind) this.#effects.push({ type: 'changed', from, to });
  }
}
