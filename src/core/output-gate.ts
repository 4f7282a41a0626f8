/**
 * The output gate: what the guest sends leaves only when the backup can repeat it.
 *
 * Intuition (Bressoud and Schneider 1996, section 2.2): the outside world must never see the effect
 * of an instruction that a takeover would not re-execute. Every instruction that led to an output
 * was logged before the output reached the gate, so a marker sent *after* that moment comes back
 * *behind* those events in the log. An acknowledgement up to the marker therefore covers them.
 *
 * Outputs are numbered by their arrival, over all channels together. The gate handles numbers
 * only; the node keeps the bytes in a queue of the same order.
 *
 * Contract
 *  1. `release(n)` is emitted with n never decreasing, and never beyond the outputs that arrived.
 *  2. While holding, an output is released only when a marker that was sent after its arrival was
 *     seen in the log at some position, and that position is acknowledged.
 *  3. While open, every output is released at once.
 *  4. Changing from open to holding takes nothing back; changing from holding to open releases all.
 *  5. While shut, nothing is released, whatever is acknowledged.
 *  6. At most `markersInFlightMax` markers are unseen at once; outputs that arrive meanwhile are
 *     covered by the next one.
 *  7. The end of the log covers every output, whenever it arrives, and needs no marker before it.
 */
import type { Epoch, LogPosition } from '../base/units.ts';

export type GateMode = 'open' | 'holding' | 'shut';

interface MarkerInFlight {
  /** `undefined`: the end of the log does a marker's work. */
  readonly epoch: Epoch | undefined;
  /** Outputs that had arrived when the marker was sent: what its acknowledgement covers. */
  readonly covers: number;
  /** Start of the marker's event in the log, once it came back. */
  position: LogPosition | undefined;
}

export class OutputGate {
  #mode: GateMode = 'open';
  #arrived = 0;
  #released = 0;
  #covered = 0;
  #acknowledged = 0;
  #markers: MarkerInFlight[] = [];

  get mode(): GateMode {
    return this.#mode;
  }

  /** Outputs that wait at the gate. */
  get held(): number {
    return this.#arrived - this.#released;
  }

  /** Outputs released so far, which is also the number of the last one. */
  get released(): number {
    return this.#released;
  }

  /** True when an output waits that no marker covers yet. */
  get needsMarker(): boolean {
    return this.#arrived > this.#covered;
  }

  /** Markers sent and not yet seen in the log. */
  get markersUnseen(): number {
    let unseen = 0;
    for (const marker of this.#markers) if (marker.position === undefined) unseen += 1;
    return unseen;
  }

  setMode(mode: GateMode): void {
    this.#mode = mode;
    this.#advance();
  }

  outputsArrived(count: number): void {
    this.#arrived += count;
    this.#advance();
  }

  markerSent(epoch: Epoch): void {
    this.#markers.push({ epoch, covers: this.#arrived, position: undefined });
    this.#covered = this.#arrived;
  }

  /** A marker came back in the log; markers come back in the order they were sent. */
  markerSeen(epoch: Epoch, position: LogPosition): void {
    const marker = this.#markers.find((candidate) => candidate.epoch === epoch);
    if (marker !== undefined) marker.position = position;
    this.#advance();
  }

  /** The backup holds the log up to `position`. Older and repeated positions change nothing. */
  acknowledged(position: LogPosition): void {
    if (position <= this.#acknowledged) return;
    this.#acknowledged = position;
    this.#advance();
  }

  /**
   * The log ends here, and with it everything that led to the outputs that have arrived. Markers
   * that were not seen will never be. Called again, it covers the outputs that arrived since.
   */
  logEnded(position: LogPosition): void {
    this.#markers = this.#markers.filter((marker) => marker.position !== undefined);
    this.#markers.push({ epoch: undefined, covers: this.#arrived, position });
    this.#covered = this.#arrived;
    this.#advance();
  }

  /** The backup that gave the acknowledgements is gone: a new one starts from nothing. */
  forgetAcknowledgements(): void {
    this.#acknowledged = 0;
    this.#markers = [];
    this.#covered = this.#released;
  }

  #advance(): void {
    if (this.#mode === 'open') {
      this.#released = this.#arrived;
      return;
    }
    for (let marker = this.#markers[0]; marker !== undefined; marker = this.#markers[0]) {
      if (marker.position === undefined || marker.position > this.#acknowledged) return;
      this.#markers.shift();
      if (this.#mode === 'holding') this.#released = Math.max(this.#released, marker.covers);
    }
  }
}
