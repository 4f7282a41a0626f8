/**
 * The one backup of a primary: its link, what is shipped to it, and how much it slows the primary
 * down.
 *
 * Contract
 *  1. Log is shipped from the cut of its seed on, everything in order, nothing before it.
 *  2. What has a place in the log (a cut, a pause that the copy has to mirror) is said right behind
 *     the log up to there.
 */
import type { LogPosition, Millis, Term } from '../base/units.ts';
import type { Control, LinkMessage } from '../ports/link.ts';
import type { RecordedRun } from '../ports/machine.ts';
import type { CutDesk } from './cut-desk.ts';
import type { Emit } from './effects.ts';
import { type FlowControl, type FlowEvent, spoolShare } from './flow-control.ts';
import type { LogPacking } from './log-packing.ts';
import { Peer, type PeerOptions } from './peer.ts';
import type { PrimaryEvent } from './primary-events.ts';

interface Appointment {
  readonly position: LogPosition;
  readonly say: () => void;
}

export interface ServedBackupOptions extends PeerOptions {
  readonly flow: FlowControl;
  readonly cuts: CutDesk;
  readonly packing: LogPacking;
}

export class ServedBackup {
  readonly peer: Peer;
  readonly #flow: FlowControl;
  readonly #cuts: CutDesk;
  readonly #packing: LogPacking;
  readonly #emit: Emit;
  #appointments: Appointment[] = [];
  #shippedTo: LogPosition | undefined;
  /** Shares of the time that its spool and its lag ask for. */
  #spoolShare = 0;
  #flowShare = 0;

  constructor(options: ServedBackupOptions, now: Millis) {
    this.peer = new Peer(options, now);
    this.#flow = options.flow;
    this.#cuts = options.cuts;
    this.#packing = options.packing;
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
    const isPlain = this.#packing.isPlain(this.peer.roundTripMs, now);
    this.#emit({ type: 'ship', link: this.peer.link, term, run, isPlain });
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

  /** The machine stood there and went on: the copy has to do the same. */
  wentOn(position: LogPosition): void {
    this.at(position, () => this.peer.tell({ type: 'resumed', position }));
  }

  /** What a message of it tells the primary's core, if it does. */
  take(message: LinkMessage, now: Millis): PrimaryEvent | undefined {
    if (!this.peer.admit(message, now)) return undefined;
    switch (message.kind) {
      case 'ack':
        this.#judge({ type: 'executed', icount: message.appliedIcount }, now);
        return { type: 'ack', position: message.received };
      case 'control':
        return this.#takeControl(message.control, message);
      case 'blob':
        this.#emit({ type: 'tellSeed', message });
        return undefined;
      case 'log':
        return { type: 'backupLost', reason: 'only a primary sends log' };
    }
  }

  granted(now: Millis): void {
    this.peer.seeded(now);
    this.#packing.seeded();
    this.#judge({ type: 'granted' }, now);
    this.peer.tell({ type: 'grant' });
  }

  /** Why it has to be given up, if it has to. */
  timer(now: Millis): string | undefined {
    this.peer.timer(now);
    if (this.#shippedTo === undefined) return undefined;
    return this.#judge({ type: 'timer', roundTripMs: this.peer.roundTripMs }, now);
  }

  #takeControl(control: Control, message: LinkMessage): PrimaryEvent | undefined {
    switch (control.type) {
      case 'seedHave':
        this.#emit({ type: 'tellSeed', message });
        return undefined;
      case 'seedSpool':
        this.#spoolShare = spoolShare(control.usedBytes, control.budgetBytes);
        return undefined;
      case 'seedReady':
        this.#spoolShare = 0;
        return { type: 'backupReady' };
      case 'seedFailed':
        return { type: 'backupLost', reason: control.reason };
      case 'cutResult':
        this.#cuts.found(control);
        return undefined;
      case 'kept':
        this.#cuts.kept(control);
        return undefined;
      case 'snapshotRequest':
        this.#cuts.requested(this.peer.link, control.requestId, control.label);
        return undefined;
      default:
        return undefined;
    }
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
