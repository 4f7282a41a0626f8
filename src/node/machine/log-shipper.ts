/**
 * Ships the recorder's log to one backup, from one cut on.
 *
 * Contract
 *  1. Everything from `from` on is sent, in order, nothing before it.
 *  2. What is to be said at a log position is said right behind the log up to there.
 */
import type { LogPosition, Term } from '../../base/units.ts';
import type { Link } from '../../ports/link.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { Segment } from '../../rrlog/log-tail.ts';
import { SegmentPacker } from '../../rrlog/packer.ts';

interface Appointment {
  readonly position: LogPosition;
  readonly say: () => void;
}

export class LogShipper {
  readonly #link: Link;
  readonly #packer: SegmentPacker;
  readonly #term: Term;
  readonly #from: LogPosition;
  readonly #appointments: Appointment[] = [];
  #shippedTo: LogPosition;
  #wireBytes = 0;

  constructor(link: Link, layout: Layout, term: Term, from: LogPosition) {
    this.#link = link;
    this.#packer = new SegmentPacker(layout);
    this.#term = term;
    this.#from = from;
    this.#shippedTo = from;
  }

  /** Packed bytes given to the link. */
  get wireBytes(): number {
    return this.#wireBytes;
  }

  ship(segment: Segment): void {
    if (segment.from < this.#from) return;
    const payload = this.#packer.pack(segment.bytes);
    this.#wireBytes += payload.length;
    this.#link.send({
      kind: 'log',
      term: this.#term,
      from: segment.from,
      to: segment.to,
      icount: segment.icount,
      rawBytes: segment.bytes.length,
      codec: 0,
      payload,
    });
    this.#shippedTo = segment.to;
    this.#keepAppointments();
  }

  /** Says something right behind the log up to `position`, which must be a segment boundary. */
  at(position: LogPosition, say: () => void): void {
    this.#appointments.push({ position, say });
    this.#keepAppointments();
  }

  #keepAppointments(): void {
    for (let next = this.#appointments[0]; next !== undefined; next = this.#appointments[0]) {
      if (next.position > this.#shippedTo) return;
      if (next.position < this.#shippedTo) {
        throw new Error(`log was shipped to ${this.#shippedTo}, past position ${next.position}`);
      }
      this.#appointments.shift();
      next.say();
    }
  }
}
