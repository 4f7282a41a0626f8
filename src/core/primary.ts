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
 *     until the arbiter gave this node a new term. Losing the compare-and-set ends the machine, but
 *     for a term that is unproven (16).
 *  4. Losing a backup that has no grant needs no term: it could not have taken over.
 *  5. A backup is seeded one at a time; a second one is refused.
 *  6. A marker is sent at once when an output waits uncovered, and at least every `epochMs`, while
 *     there is a backup that could acknowledge it; every `idleEpochMs` if the guest is idle.
 *  7. A guest that powered itself off ends the machine when its last outputs have left; while a
 *     term is claimed they wait for that.
 *  8. After `ended` nothing is emitted any more.
 *  9. `onBackupLost: hold`: the term is claimed all the same, because it shuts out the backup that
 *     was lost, but the gate stays closed (`holding`) until a new backup was seeded and granted.
 *     What was held meanwhile leaves by its acknowledgements.
 * 10. A newer term that is only heard of stops the mouth and starts a claim; the arbiter's answer
 *     decides (terms.ts). A claim that wins goes on as before.
 * 11. A process that was away (`selfPauseMs`) trusts no acknowledgement that is older than its
 *     return.
 * 12. A drill stops the guest, waits until the whole log is acknowledged and all outputs have left,
 *     and only then tells the backup to take over. A drill that leads to nothing ends in a claim; a
 *     won one lets the guest go on here. A guest that cannot be stopped stays protected.
 * 13. A backup that works but is given up learns of it only when the new term is won: one that lost
 *     its link would claim the same term, and might win it although it is seconds behind.
 * 14. While more than `heldOutputsMax` outputs are held, until half of them are, the guest is
 *     slowed down (`heldShare`): memory is bounded. It creeps where a marker could release some,
 *     and stands where only a term or a backup can. To stop it would have to be mirrored by its
 *     copy (lockstep.md, R5).
 * 15. A machine that was taken over in an unproven term says nothing, whatever it does, until the
 *     term to speak in is won and remembered (`proving`).
 * 16. A claim that is lost to an unproven term leaves the machine as it is, silent (`yielding`),
 *     and is asked again. It is asked over the winner's head once `proofMs` have passed, or when
 *     the winner says that it gave up: whose machine runs must not wait for one that may not.
 * 17. A machine that is to go back to its past ends when a term was won for that, and not before:
 *     until then its backup may take it over. Nothing leaves meanwhile, nor is anybody seeded. A
 *     guest that switched itself off meanwhile is off.
 */
import { limits } from '../base/limits.ts';
import type { LogPosition, Millis, Term } from '../base/units.ts';
import { type Asking, type AskingEvent, afterwards, isAsking } from './asking.ts';
import { MarkerPace } from './marker-pace.ts';
import { OutputGate } from './output-gate.ts';
import type {
  AfterClaim,
  PrimaryEffect,
  PrimaryEvent,
  PrimaryOptions,
  PrimaryState,
} from './primary-events.ts';
import { mayGoBack } from './refusals.ts';

type Ending = Extract<PrimaryEffect, { type: 'end' }>;

/** States in which a backup executes the log and could acknowledge a marker. */
const marking: readonly PrimaryState['kind'][] = ['seeding', 'granting', 'protected'];

/** States in which an acknowledgement may release something. */
const acknowledging: readonly PrimaryState['kind'][] = [
  'granting',
  'protected',
  'handingOver',
  'poweringOff',
];

/** States in which a marker could release some of the outputs that wait. */
const creeping = [...marking, ...acknowledging];

/** The last outputs of a guest that is off are still on their way from QEMU for a moment. */
const isSilent = (passedMs: number, held: number): boolean =>
  passedMs >= limits.powerOffMs || (passedMs >= limits.powerOffCalmMs && held === 0);

/** What a state has waited for long enough, with so many outputs at the gate. */
function overdue(state: PrimaryState, held: number, now: Millis): 'off' | 'drill' | undefined {
  if (state.kind === 'poweringOff' && isSilent(now - state.since, held)) return 'off';
  return state.kind === 'handingOver' && now - state.since >= limits.drillMs ? 'drill' : undefined;
}

export class PrimaryCore {
  readonly #options: PrimaryOptions;
  readonly #gate = new OutputGate();
  readonly #pace: MarkerPace;
  readonly #afterLoss: 'alone' | 'holding';
  #state: PrimaryState = { kind: 'alone' };
  #term: Term;
  #lastStepAt = Number.POSITIVE_INFINITY;
  #releasedBefore = 0;
  /** For a drill. */
  #guestStands = false;
  /** It powered itself off while a term is claimed: its log ends there. */
  #offAt: LogPosition | undefined;
  #effects: PrimaryEffect[] = [];

  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#term = options.term;
    this.#pace = new MarkerPace(options.epochMs);
    this.#afterLoss = options.onBackupLost === 'runAlone' ? 'alone' : 'holding';
    if (options.isProven !== false) return;
    this.#state = { kind: 'proving', retryAt: 0 as Millis };
    this.#gate.setMode('holding');
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

  /** Share of the time, 0 to 1, that the guest is to stand still for the outputs that wait. */
  get heldShare(): number {
    if (!this.#gate.isFull(this.#options.heldOutputsMax ?? limits.heldOutputsMax)) return 0;
    return creeping.includes(this.#state.kind) ? limits.throttleShareMax : 1;
  }

  step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    this.#effects = [];
    if (this.#state.kind !== 'ended') {
      const wasAway = now - this.#lastStepAt > limits.selfPauseMs;
      this.#lastStepAt = now;
      if (wasAway) this.#gate.distrust();
      // No marker comes out of a guest that stands.
      const wasDrilling = wasAway && this.#state.kind === 'handingOver';
      if (wasDrilling) this.#backupLost('this node was away during a drill');
      this.#take(event, now);
      this.#sendMarkers(event.type === 'markerWanted', now);
      this.#emitRelease();
    }
    return this.#effects;
  }

  #take(event: PrimaryEvent, now: Millis): void {
    const state = this.#state;
    switch (event.type) {
      case 'outputs':
        this.#gate.outputsArrived(event.count);
        this.#pace.outputsArrived();
        // The guest stands or is off; what led to its last outputs is in the log, too.
        if ('logEnd' in state && state.logEnd !== undefined) this.#gate.logEnded(state.logEnd);
        return;
      case 'markerSeen':
        this.#gate.markerSeen(event.epoch, event.position);
        this.#pace.seen(event.icount, now);
        if (state.kind === 'granting' && event.epoch === state.marker) {
          this.#become({ kind: 'protected', backup: state.backup });
          this.#effects.push({ type: 'grant' });
        }
        return;
      case 'backupJoined':
        this.#backupJoined(event.backup);
        return;
      case 'backupReady':
        if (state.kind !== 'seeding') return;
        this.#gate.forgetAcknowledgements();
        this.#gate.setMode('holding');
        this.#become({ ...state, kind: 'granting', marker: undefined });
        return;
      case 'ack':
        if (!acknowledging.includes(state.kind)) return;
        this.#gate.acknowledged(event.position);
        this.#handOver();
        return;
      case 'backupLost':
        this.#backupLost(event.reason);
        return;
      case 'backupTooSlow':
        if (state.kind === 'protected') this.#claim(this.#afterLoss, event.reason);
        else this.#backupLost(event.reason);
        return;
      case 'termWon':
        this.#termWon(event.term, now);
        return;
      case 'termContested':
      case 'winnerGaveUp':
      case 'arbiterUnreachable':
        if (isAsking(state)) this.#ask(state, event, now);
        return;
      case 'termLost':
        this.#end('termLost', `node ${event.holder} holds a newer term`);
        return;
      case 'termHeard':
        if (event.term > this.#term) this.#termHeard(event.term);
        return;
      case 'drill':
        if (state.kind !== 'protected') return;
        this.#become({ ...state, kind: 'handingOver', since: now, logEnd: undefined, told: false });
        this.#guestStands = true;
        this.#effects.push({ type: 'stopGuest' });
        return;
      case 'goBack':
        if (!mayGoBack(state.kind)) return;
        this.#gate.setMode('holding');
        this.#claim('back', 'backup' in state ? event.reason : undefined);
        return;
      case 'guestStopped':
        if (state.kind !== 'handingOver') return;
        this.#gate.logEnded(event.logEnd);
        this.#become({ ...state, logEnd: event.logEnd });
        this.#handOver();
        return;
      case 'guestNotStopped':
        if (state.kind !== 'handingOver') return;
        this.#guestStands = false;
        this.#become({ kind: 'protected', backup: state.backup });
        return;
      case 'guestPoweredOff':
        this.#guestPoweredOff(event.logEnd, now);
        return;
      case 'machineFailed':
        this.#end('failed', event.reason);
        return;
      case 'markerWanted':
      case 'timer':
        this.#timer(now);
        return;
    }
  }

  #timer(now: Millis): void {
    const state = this.#state;
    if (isAsking(state)) this.#ask(state, { type: 'timer' }, now);
    const late = overdue(state, this.#gate.held, now);
    if (late === 'off') this.#end('poweredOff', 'the guest is off');
    if (late !== 'drill') return;
    this.#backupLost(`the backup did not take over within ${limits.drillMs} ms`);
  }

  #backupJoined(backup: string): void {
    const { kind } = this.#state;
    if (kind === 'alone' || kind === 'holding') {
      this.#become({ kind: 'seeding', backup, silent: kind === 'holding' });
      this.#effects.push({ type: 'seed', backup });
      return;
    }
    this.#effects.push({ type: 'refuseBackup', backup, reason: `this primary is ${kind} already` });
  }

  #termWon(term: Term, now: Millis): void {
    const state = this.#state;
    if (!isAsking(state)) return;
    this.#term = term;
    if (state.kind === 'claiming') this.#drop(state.dropping);
    const then = 'then' in state ? state.then : 'alone';
    if (then === 'back' && this.#offAt === undefined) this.#end('wentBack', 'it goes back');
    else this.#withoutBackup(then === 'holding');
    if (this.#offAt !== undefined) this.#guestPoweredOff(this.#offAt, now);
  }

  /** Asks the arbiter when it is time to. */
  #ask(state: Asking, event: AskingEvent, now: Millis): void {
    const next = afterwards(state, event, now);
    if (next === undefined) {
      this.#end('termLost', 'another node is going on with the machine');
      return;
    }
    if (next.kind === 'yielding' && state.kind === 'claiming') this.#drop(state.dropping);
    this.#become(next);
    if (next.retryAt !== undefined || state.retryAt === undefined) return;
    const overtakes = next.kind === 'yielding' && next.overtakes;
    this.#effects.push({ type: 'claimTerm', expected: this.#term, overtakes });
  }

  #termHeard(term: Term): void {
    const state = this.#state;
    if (isAsking(state) || state.kind === 'poweringOff') return;
    const silent = state.kind === 'holding' || ('silent' in state && state.silent);
    const hadGranted = state.kind === 'protected' || state.kind === 'handingOver';
    if ('backup' in state) this.#drop(`a newer term, ${term}, was heard of`);
    this.#gate.setMode('holding');
    this.#claim(hadGranted ? this.#afterLoss : silent ? 'holding' : 'alone');
  }

  #guestPoweredOff(logEnd: LogPosition, now: Millis): void {
    const state = this.#state;
    if (state.kind === 'poweringOff') return;
    this.#gate.logEnded(logEnd);
    if (isAsking(state)) {
      this.#offAt = logEnd;
      return;
    }
    // The term is ours and there is nothing left to protect: last words may leave.
    if (state.kind === 'holding') this.#gate.setMode('open');
    this.#become({ kind: 'poweringOff', since: now, logEnd });
  }

  #backupLost(reason: string): void {
    const state = this.#state;
    switch (state.kind) {
      case 'seeding':
      case 'granting':
        this.#drop(reason);
        this.#withoutBackup(state.silent);
        return;
      case 'protected':
      case 'handingOver':
        this.#drop(reason);
        this.#claim(this.#afterLoss);
        return;
      case 'poweringOff':
        this.#end('poweredOff', 'the guest is off, and the backup is gone');
        return;
      case 'claiming':
        this.#drop(state.dropping);
        this.#become({ ...state, dropping: undefined });
        return;
      default:
        return; // there is none
    }
  }

  /** Everything is with the backup and every output has left: it may take over. */
  #handOver(): void {
    const state = this.#state;
    if (state.kind !== 'handingOver' || state.told || state.logEnd === undefined) return;
    if (this.#gate.acknowledgedTo < state.logEnd || this.#gate.held > 0) return;
    this.#become({ ...state, told: true });
    // In this order: whoever dies between the two has said the last word, and handed nothing over.
    this.#emitRelease();
    this.#effects.push({ type: 'handOver' });
  }

  /** Not even an old acknowledgement releases anything now, whatever marker still comes back. */
  #claim(then: AfterClaim, dropping?: string): void {
    const now = this.#lastStepAt as Millis;
    this.#gate.forgetAcknowledgements();
    this.#ask({ kind: 'claiming', retryAt: now, then, dropping }, { type: 'timer' }, now);
  }

  #withoutBackup(silent: boolean): void {
    this.#gate.forgetAcknowledgements();
    this.#gate.setMode(silent ? 'holding' : 'open');
    this.#become({ kind: silent ? 'holding' : 'alone' });
    if (!this.#guestStands) return;
    this.#guestStands = false;
    this.#effects.push({ type: 'continueGuest' });
  }

  #end(outcome: Ending['outcome'], reason: string): void {
    if (outcome !== 'poweredOff') this.#gate.setMode('shut');
    this.#become({ kind: 'ended' });
    this.#effects.push({ type: 'destroyMachine', reason }, { type: 'end', outcome });
  }

  #sendMarkers(isWanted: boolean, now: Millis): void {
    const state = this.#state;
    if (!marking.includes(state.kind)) return;
    const wantsGrant = state.kind === 'granting' && state.marker === undefined;
    const wants = { wantsOne: wantsGrant || isWanted, mayBeSeldom: state.kind === 'protected' };
    const marker = this.#pace.next(this.#gate, wants, now);
    if (marker === undefined) return;
    this.#effects.push({ type: 'sendMarker', ...marker });
    if (state.kind === 'granting' && wantsGrant) this.#become({ ...state, marker: marker.epoch });
  }

  #emitRelease(): void {
    const through = this.#gate.released;
    if (through !== this.#releasedBefore) this.#effects.push({ type: 'release', through });
    this.#releasedBefore = through;
  }

  #drop(reason: string | undefined): void {
    if (reason !== undefined) this.#effects.push({ type: 'dropBackup', reason });
  }

  #become(to: PrimaryState): void {
    const from = this.#state;
    this.#state = to;
    if (from.kind !== to.kind) this.#effects.push({ type: 'changed', from, to });
  }
}
