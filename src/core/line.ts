/**
 * A member's line in a set of a group: the instant of its log that belongs to the set.
 *
 * Intuition: several machines are kept at one line when nothing that one of them heard in front of
 * its line was said behind another's: an effect without its cause is an orphan. A line is a marker.
 * From the moment when it is sent, nothing leaves but what it covers, until every member has passed
 * its own (`open`). What leaves is in front of the line then, and what was said behind it arrives
 * at machines that have passed theirs. No guest stands still for it. See docs/groups.md.
 *
 * It stands behind the primary's half of the protocol, whose word it is that an output may leave,
 * and lets some of them leave later.
 *
 * Contract
 *  1. A line is that of a protected machine. When the protection ends, so does the line.
 *  2. The ceiling lies where the marker was sent, not where it was seen: what arrives between the
 *     two was said behind it.
 *  3. Outputs are held for `holdMaxMs` at most (and never longer than `lineHoldMaxMs`), whatever
 *     becomes of who asked, and then for a round trip (7).
 *  4. `open` says whether the line held from its marker up to then. One that ran out, was lost, or
 *     is not known here, did not.
 *  5. One line at a time: another set's is refused.
 *  6. Everybody who asks gets one answer.
 *  7. What a line held although it was acknowledged leaves by a newer acknowledgement, or in a term
 *     that is won: the backup of then may have taken over since.
 *  8. Memory is bounded: a guest that says more meanwhile is slowed down (primary.ts, 14).
 *  9. The end of every line that held something is noted: for how long, and why if it was not
 *     opened.
 * 10. `release` is emitted with numbers that rise, and never beyond what the protocol released.
 */
import { limits } from '../base/limits.ts';
import type { Epoch, LogPosition, Millis, Term } from '../base/units.ts';
import type { Answer, LineWish } from './effects.ts';
import type { PrimaryCore } from './primary.ts';
import type { PrimaryEffect, PrimaryEvent, PrimaryOptions } from './primary-events.ts';

/** Outputs that may wait before the guest is slowed down. */
export type LineOptions = Pick<PrimaryOptions, 'heldOutputsMax'>;

interface Drawn {
  readonly set: string;
  readonly holdMaxMs: number;
  /** When it was asked for, then when its marker was sent. */
  since: Millis;
  /** Who waits to hear that it was passed. */
  ask: number | undefined;
  marker: Epoch | undefined;
}

/** States in which nothing can leave, and no marker helps. */
const mute: readonly PrimaryCore['state']['kind'][] = [
  'proving',
  'claiming',
  'yielding',
  'holding',
];

/** States in which the backup's word counts: one that is given up still speaks for a while. */
const acknowledging: readonly PrimaryCore['state']['kind'][] = [
  'protected',
  'handingOver',
  'poweringOff',
];

/** A word of the backup that is newer than a line: what was held leaves by it. */
interface Owed {
  marker: Epoch | undefined;
  position: LogPosition | undefined;
}

export class LinedPrimary {
  readonly #core: PrimaryCore;
  readonly #heldMax: number;
  #drawn: Drawn | undefined;
  /** Outputs by their arrival: all, those that the protocol lets leave, and those that left. */
  #arrived = 0;
  #free = 0;
  #released = 0;
  #ceiling = Number.POSITIVE_INFINITY;
  #owed: Owed | undefined;
  #effects: PrimaryEffect[] = [];

  constructor(core: PrimaryCore, { heldOutputsMax = limits.heldOutputsMax }: LineOptions) {
    this.#core = core;
    this.#heldMax = heldOutputsMax;
  }

  get state(): PrimaryCore['state'] {
    return this.#core.state;
  }

  get term(): Term {
    return this.#core.term;
  }

  /** Share of the time, 0 to 1, that the guest is to stand still for the outputs that wait. */
  get heldShare(): number {
    const isFull = this.#arrived - this.#released > this.#heldMax;
    // What waits for the protocol's word is the protocol's affair.
    if (!isFull || this.#free === this.#released) return this.#core.heldShare;
    const own = mute.includes(this.state.kind) ? 1 : limits.throttleShareMax;
    return Math.max(own, this.#core.heldShare);
  }

  step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    this.#effects = [];
    // Before anything else is taken: a node that stood still holds nothing longer.
    const drawn = this.#drawn;
    if (drawn !== undefined && now - drawn.since >= drawn.holdMaxMs) {
      this.#end(`the line was held for ${drawn.holdMaxMs} ms, and not opened`, now);
    }
    if (event.type === 'outputs') this.#arrived += event.count;
    const before = this.state.kind;
    this.#stepCore(event, now);
    const { kind } = this.state;
    if (kind !== 'protected') this.#end(`the machine is ${kind}`, now);
    if (event.type === 'markerSeen') this.#seen(event);
    if (event.type === 'ack') this.#acknowledged(event.position);
    if (this.#owed !== undefined) {
      if (kind === 'alone') this.#settle();
      else if (kind === 'protected' && before !== 'protected') this.#owe(now);
    }
    return this.#effects;
  }

  /** A group's coordinator asks. */
  asked(ask: number, wish: LineWish, now: Millis): PrimaryEffect[] {
    this.step({ type: 'timer' }, now);
    if (wish.wish === 'open') {
      this.#open(ask, wish.set, now);
      return this.#effects;
    }
    const { set } = wish;
    const holdMaxMs = Math.min(wish.holdMaxMs, limits.lineHoldMaxMs);
    if (this.state.kind !== 'protected') {
      this.#refuse(ask, `There is no backup to keep a line: state is ${this.state.kind}`);
    } else if (this.#drawn !== undefined) {
      this.#refuse(ask, `Set '${this.#drawn.set}' is being taken`);
    } else {
      this.#drawn = { set, holdMaxMs, since: now, ask, marker: undefined };
      this.#stepCore({ type: 'markerWanted' }, now);
    }
    return this.#effects;
  }

  /** The line that is being kept. For the simulator, which keeps lines in other ways. */
  protected get drawn(): Drawn | undefined {
    return this.#drawn;
  }

  /** Whether what was held waits for a newer word of the backup. */
  protected get isPatient(): boolean {
    return true;
  }

  /** What arrives from now on stays, until the line ends. */
  protected lower(): void {
    this.#ceiling = this.#arrived;
  }

  #stepCore(event: PrimaryEvent, now: Millis): void {
    for (const effect of this.#core.step(event, now)) this.#pass(effect, now);
  }

  #pass(effect: PrimaryEffect, now: Millis): void {
    if (effect.type === 'release') {
      this.#free = effect.through;
      this.#settle();
      return;
    }
    // The last word before it: all was acknowledged just now.
    if (effect.type === 'handOver') this.#settle();
    this.#effects.push(effect);
    if (effect.type === 'sendMarker') this.#sent(effect.epoch, now);
  }

  /** It covers all that has arrived. */
  #sent(marker: Epoch, now: Millis): void {
    if (this.#owed !== undefined) this.#owed.marker ??= marker;
    const drawn = this.#drawn;
    if (drawn === undefined || drawn.marker !== undefined) return;
    drawn.marker = marker;
    drawn.since = now;
    this.lower();
  }

  /** Nothing older is waited for any more. */
  #settle(): void {
    this.#owed = undefined;
    const through = Math.min(this.#free, this.#ceiling);
    if (through <= this.#released) return;
    this.#released = through;
    this.#effects.push({ type: 'release', through });
  }

  #owe(now: Millis): void {
    this.#owed = { marker: undefined, position: undefined };
    if (this.state.kind === 'protected') this.#stepCore({ type: 'markerWanted' }, now);
  }

  #acknowledged(position: LogPosition): void {
    const { state } = this;
    if (this.#owed === undefined || !acknowledging.includes(state.kind)) return;
    const logEnd = 'logEnd' in state ? state.logEnd : undefined;
    const wanted = this.#owed.position ?? logEnd;
    if (wanted !== undefined && position >= wanted) this.#settle();
  }

  #seen({ epoch, position, icount }: Extract<PrimaryEvent, { type: 'markerSeen' }>): void {
    if (this.#owed?.marker === epoch) this.#owed.position = position;
    const drawn = this.#drawn;
    if (drawn?.ask === undefined || drawn.marker !== epoch) return;
    this.#answer(drawn.ask, { type: 'passed', term: this.term, epoch, position, icount });
    drawn.ask = undefined;
  }

  #open(ask: number, set: string, now: Millis): void {
    const drawn = this.#drawn?.set === set ? this.#drawn : undefined;
    const isHeld = drawn?.marker !== undefined;
    const heldMs = isHeld ? now - drawn.since : 0;
    if (drawn !== undefined) this.#end(undefined, now);
    this.#answer(ask, { type: 'opened', term: this.term, isHeld, heldMs });
  }

  /** `why`: nobody has opened it. */
  #end(why: string | undefined, now: Millis): void {
    const drawn = this.#drawn;
    this.#drawn = undefined;
    if (drawn === undefined) return;
    this.#ceiling = Number.POSITIVE_INFINITY;
    if (!this.isPatient) this.#settle();
    else if (this.#free > this.#released) this.#owe(now);
    if (drawn.marker !== undefined) {
      const { set, since } = drawn;
      this.#effects.push({
        type: 'noted',
        what: { type: 'lineEnded', set, heldMs: now - since, why },
      });
    }
    if (drawn.ask === undefined) return;
    const reason = why ?? 'it was opened before it was passed';
    this.#refuse(drawn.ask, `Set '${drawn.set}' is over: ${reason}`);
  }

  #refuse(ask: number, problem: string): void {
    this.#answer(ask, { type: 'refused', code: 'cut', problem });
  }

  #answer(ask: number, answer: Answer): void {
    this.#effects.push({ type: 'answer', ask, answer });
  }
}
