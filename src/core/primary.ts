/**
 * The primary's half of the pair protocol, as a pure state machine.
 *
 * Purpose: decide when a marker is sent, when outputs leave, when a backup is seeded and trusted,
 * and when this node may speak alone. It sees numbers and messages; the node does the work.
 *
 * Contract
 *  1. Outputs follow the output rule (output-gate.ts) from the moment a backup may take over.
 *  2. A backup may take over only after it was sent a grant. Before a grant is sent the gate holds,
 *     and a marker sent after that moment has come back: so every output that left freely before
 *     lies in front of the grant on the link.
 *  3. Losing a granted backup closes nothing that was open and opens nothing: outputs stay held
 *     until the arbiter gave this node a new term. Losing the compare-and-set ends the machine.
 *  4. Losing a backup that has no grant needs no term: it could not have taken over.
 *  5. A backup is seeded one at a time; a second one is refused.
 *  6. A marker is sent at once when an output waits uncovered, and at least every `epochMs`.
 *  7. A guest that powered itself off ends the machine when its last outputs have left.
 *  8. After `ended` nothing is emitted any more.
 */
import { limits } from '../base/limits.ts';
import type { Epoch, LogPosition, Millis, Term } from '../base/units.ts';
import { epoch as toEpoch } from '../base/units.ts';
import { OutputGate } from './output-gate.ts';

export type PrimaryEvent =
  /** Outputs of the guest reached the gate, over all channels. */
  | { readonly type: 'outputs'; readonly count: number }
  /** A marker came back at this position; everything before it has been given to the link. */
  | { readonly type: 'markerSeen'; readonly epoch: Epoch; readonly position: LogPosition }
  | { readonly type: 'backupJoined'; readonly backup: string }
  /** The backup holds the state of a cut and the log after it, and executes. */
  | { readonly type: 'backupReady' }
  | { readonly type: 'ack'; readonly position: LogPosition }
  /** The link broke, was silent for too long, or the seed failed. */
  | { readonly type: 'backupLost'; readonly reason: string }
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string }
  /** The guest powered itself off: not a failure. */
  | { readonly type: 'guestPoweredOff'; readonly logEnd: LogPosition }
  | { readonly type: 'machineFailed'; readonly reason: string }
  | { readonly type: 'timer' };

export type PrimaryEffect =
  | { readonly type: 'sendMarker'; readonly epoch: Epoch }
  /** All outputs up to and including this number may leave. */
  | { readonly type: 'release'; readonly through: number }
  | { readonly type: 'seed'; readonly backup: string }
  | { readonly type: 'refuseBackup'; readonly backup: string; readonly reason: string }
  /** Tells the backup that it may take over from here on. */
  | { readonly type: 'grant' }
  | { readonly type: 'dropBackup'; readonly reason: string }
  /** Asks the arbiter for the term after `expected`. */
  | { readonly type: 'claimTerm'; readonly expected: Term }
  | { readonly type: 'changed'; readonly from: PrimaryState; readonly to: PrimaryState }
  | { readonly type: 'destroyMachine'; readonly reason: string }
  | { readonly type: 'end'; readonly outcome: 'poweredOff' | 'termLost' | 'failed' };

export type PrimaryState =
  | { readonly kind: 'alone' }
  | { readonly kind: 'seeding'; readonly backup: string }
  /** The backup is ready; the grant waits for this marker. */
  | { readonly kind: 'granting'; readonly backup: string; readonly marker: Epoch | undefined }
  | { readonly kind: 'protected'; readonly backup: string }
  /** A granted backup is gone; nothing leaves until a term is won. */
  | { readonly kind: 'claiming'; readonly retryAt: Millis | undefined }
  /** The guest is off; its last outputs wait for their acknowledgement. */
  | { readonly kind: 'poweringOff'; readonly since: Millis; readonly logEnd: LogPosition }
  | { readonly kind: 'ended' };

export interface PrimaryOptions {
  /** The term this node holds when it starts. */
  readonly term: Term;
  readonly epochMs: number;
  /** What happens when a granted backup is lost: claim a term and go on, or stay silent. */
  readonly onBackupLost: 'runAlone' | 'hold';
}

export class PrimaryCore {
  readonly #options: PrimaryOptions;
  readonly #gate = new OutputGate();
  #state: PrimaryState = { kind: 'alone' };
  #term: Term;
  #nextEpoch = 1;
  #lastMarkerAt = Number.NEGATIVE_INFINITY;
  #releasedBefore = 0;
  #effects: PrimaryEffect[] = [];

  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#term = options.term;
  }

  get state(): PrimaryState {
    return this.#state;
  }

  get term(): Term {
    return this.#term;
  }

  /** Outputs that wait for an acknowledgement. */
  get held(): number {
    return this.#gate.held;
  }

  step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    this.#effects = [];
    if (this.#state.kind !== 'ended') {
      this.#take(event, now);
      this.#sendMarkers(now);
      this.#emitRelease();
    }
    return this.#effects;
  }

  #take(event: PrimaryEvent, now: Millis): void {
    const state = this.#state;
    switch (event.type) {
      case 'outputs':
        this.#gate.outputsArrived(event.count);
        // QEMU is gone, its last outputs still arrive: what led to them is in the log, too.
        if (state.kind === 'poweringOff') this.#gate.logEnded(state.logEnd);
        return;
      case 'markerSeen':
        this.#gate.markerSeen(event.epoch, event.position);
        if (state.kind === 'granting' && event.epoch === state.marker) {
          this.#become({ kind: 'protected', backup: state.backup });
          this.#effects.push({ type: 'grant' });
        }
        return;
      case 'backupJoined':
        if (state.kind === 'alone') {
          this.#become({ kind: 'seeding', backup: event.backup });
          this.#effects.push({ type: 'seed', backup: event.backup });
        } else {
          const reason = `this primary is ${state.kind} already`;
          this.#effects.push({ type: 'refuseBackup', backup: event.backup, reason });
        }
        return;
      case 'backupReady':
        if (state.kind !== 'seeding') return;
        this.#gate.forgetAcknowledgements();
        this.#gate.setMode('holding');
        this.#become({ kind: 'granting', backup: state.backup, marker: undefined });
        return;
      case 'ack':
        this.#gate.acknowledged(event.position);
        return;
      case 'backupLost':
        this.#backupLost(event.reason);
        return;
      case 'termWon':
        this.#termWon(event.term);
        return;
      case 'termLost':
        this.#end('termLost', `node ${event.holder} holds a newer term`);
        return;
      case 'arbiterUnreachable':
        if (state.kind !== 'claiming') return;
        this.#become({
          kind: 'claiming',
          retryAt: (now + limits.arbiterRetryMs) as Millis,
        });
        return;
      case 'guestPoweredOff':
        if (state.kind === 'poweringOff') return;
        this.#gate.logEnded(event.logEnd);
        this.#become({ kind: 'poweringOff', since: now, logEnd: event.logEnd });
        return;
      case 'machineFailed':
        this.#end('failed', event.reason);
        return;
      case 'timer':
        if (state.kind === 'claiming' && state.retryAt !== undefined && now >= state.retryAt) {
          this.#claim();
        }
        if (state.kind === 'poweringOff') this.#finishPowerOff(now - state.since);
        return;
    }
  }

  #termWon(term: Term): void {
    const { kind } = this.#state;
    if (kind !== 'claiming' && kind !== 'poweringOff') return;
    this.#term = term;
    if (kind === 'claiming') this.#openAlone();
    // The guest went off while the claim was on its way: its last outputs may leave now.
    else this.#gate.setMode('open');
  }

  /** The last outputs are still on their way from QEMU for a moment. */
  #finishPowerOff(passedMs: number): void {
    const calm = passedMs >= limits.powerOffCalmMs && this.#gate.held === 0;
    if (calm || passedMs >= limits.powerOffMs) this.#end('poweredOff', 'the guest is off');
  }

  #backupLost(reason: string): void {
    const state = this.#state;
    switch (state.kind) {
      case 'seeding':
      case 'granting':
        this.#effects.push({ type: 'dropBackup', reason });
        this.#openAlone();
        return;
      case 'protected':
        this.#effects.push({ type: 'dropBackup', reason });
        if (this.#options.onBackupLost === 'runAlone') this.#claim();
        else this.#become({ kind: 'claiming', retryAt: undefined });
        return;
      case 'poweringOff':
        this.#end('poweredOff', 'the guest is off, and the backup is gone');
        return;
      case 'alone':
      case 'claiming':
      case 'ended':
        return;
    }
  }

  #claim(): void {
    this.#become({ kind: 'claiming', retryAt: undefined });
    this.#effects.push({ type: 'claimTerm', expected: this.#term });
  }

  #openAlone(): void {
    this.#gate.forgetAcknowledgements();
    this.#gate.setMode('open');
    this.#become({ kind: 'alone' });
  }

  #end(outcome: 'poweredOff' | 'termLost' | 'failed', reason: string): void {
    if (outcome !== 'poweredOff') this.#gate.setMode('shut');
    this.#become({ kind: 'ended' });
    this.#effects.push({ type: 'destroyMachine', reason }, { type: 'end', outcome });
  }

  #sendMarkers(now: Millis): void {
    const state = this.#state;
    if (['alone', 'poweringOff', 'ended'].includes(state.kind)) return;
    const wantsGrant = state.kind === 'granting' && state.marker === undefined;
    const due = now - this.#lastMarkerAt >= this.#options.epochMs;
    const room = this.#gate.markersUnseen < limits.markersInFlightMax;
    const held = this.#gate.mode === 'holding' && this.#gate.needsMarker;
    if (!(wantsGrant || (room && (due || held)))) return;
    const epoch = toEpoch(this.#nextEpoch);
    this.#nextEpoch += 1;
    this.#lastMarkerAt = now;
    this.#gate.markerSent(epoch);
    this.#effects.push({ type: 'sendMarker', epoch });
    if (wantsGrant) this.#become({ ...state, marker: epoch });
  }

  #emitRelease(): void {
    if (this.#gate.released === this.#releasedBefore) return;
    this.#releasedBefore = this.#gate.released;
    this.#effects.push({ type: 'release', through: this.#gate.released });
  }

  #become(to: PrimaryState): void {
    const from = this.#state;
    this.#state = to;
    if (from.kind !== to.kind) this.#effects.push({ type: 'changed', from, to });
  }
}
