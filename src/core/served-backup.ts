/**
 * The one backup of a primary: its link, what is shipped to it, and how much it slows the primary down.
 *
 * Contract
 *  1. Log is shipped from the cut of its seed on, everything in order, nothing before it.
 *  2. What has a place in the log (a cut, a pause that the copy has to mirror) is said right behind the
 *     log up to there.
 */
import type { Icount, LogPosition, Millis, Term } from '../base/units.ts';
import type { RecordedRun } from '../ports/machine.ts';
import type { Emit } from './effects.ts';
import { type FlowControl, type FlowEvent, spoolShare } from './flow-control.ts';
import { Peer, type PeerOptions } from './peer.ts';

interface Appointment {
  readonly position: LogPosition;
  readonly say: () => void;
}

export class ServedBackup {
  readonly peer: Peer;
  readonly #flow: FlowControl;
  readonly #emit: Emit;
  #appointments: Appointment[] = [];
  #shippedTo: LogPosition | undefined;
  /** Shares of the time that its spool and its lag ask for. */
  #spoolShare = 0;
  #flowShare = 0;

  constructor(options: PeerOptions & { readonly flow: FlowControl }, now: Millis) {
    this.peer = new Peer(options, now);
    this.#flow = options.flow;
    this.#emit = options.emit;
  }

  /** Share of the time that the primary is to stand still for it. */
  get share(): number {
    return this.#shippedTo === undefined ? 0 : Math.max(this.#spoolShare, this.#flowShare);
  }

  /** The cut of its seed was made here. */
  shipFrom(position: LogPosition): void {
    this.#shippedTo = position;
  }

  ship(run: RecordedRun, term: Term, now: Millis): void {
    if (this.#shippedTo === undefined || run.from < this.#shippedTo) return;
    this.#shippedTo = run.to;
    this.#emit({ type: 'ship', link: this.peer.link, term, run });
    const marker = run.markers.at(-1)?.icount;
    this.#judge({ type: 'shipped', bytes: run.bytes, marker }, now);
    this.#keepAppointments();
  }

  /** Says something right behind the log up to `position`, at which a run ends. */
  at(position: LogPosition, say: () => void): void {
    if (this.#shippedTo === undefined) return;
    this.#appointments.push({ position, say });
    this.#keepAppointments();
  }

  spooled(usedBytes: number, budgetBytes: number): void {
    this.#spoolShare = spoolShare(usedBytes, budgetBytes);
  }

  executed(icount: Icount, now: Millis): void {
    this.#judge({ type: 'executed', icount }, now);
  }

  /** It holds all of the seed, and executes. */
  seeded(): void {
    this.#spoolShare = 0;
  }

  granted(now: Millis): void {
    this.peer.seeded(now);
    this.#judge({ type: 'granted' }, now);
    this.peer.tell({ type: 'grant' });
  }

  /** Why it has to be given up, if it has to. */
  timer(now: Millis): string | undefined {
    this.peer.timer(now);
    if (this.#shippedTo === undefined) return undefined;
    return this.#judge({ type: 'timer', roundTripMs: this.peer.roundTripMs }, now);
  }

  #judge(event: FlowEvent, now: Millis): string | undefined {
    let whyGivenUp: string | undefined;
    for (const effect of this.#flow.step(event, now)) {
      if (effect.type === 'slowDown') this.#flowShare = effect.share;
      // Standing still as a process is invisible to record and replay; a stop is not (R5).
      else if (effect.type === 'stopGuest') this.#flowShare = 1;
      else if (effect.type === 'continueGuest') this.#flowShare = 0;
      else whyGivenUp = effect.reason;
    }
    return whyGivenUp;
  }

  #keepAppointments(): void {
    for (let next = this.#appointments[0]; next !== undefined; next = this.#appointments[0]) {
      const shippedTo = this.#shippedTo ?? next.position;
      if (next.position > shippedTo) return;
      if (next.position < shippedTo) {
        throw new Error(`log was shipped to ${shippedTo}, past position ${next.position}`);
      }
      this.#appointments.shift();
      next.say();
    }
  }
}
