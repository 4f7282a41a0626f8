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
 *     covered by the next one. A marker is on its way until it comes back, whoever it was sent for.
 *  7. The end of the log covers every output, whenever it arrives, and needs no marker before it.
 *  8. After `distrust`, acknowledgements release nothing until one of them reaches a marker that
 *     was sent after it, or the end of the log. So what an acknowledgement says is never older than
 *     that.
 *  9. At most `markersWaitingMax` markers are remembered, however long none is acknowledged. One
 *     that is forgotten delays what it covers until the next one is acknowledged, and releases
 *     nothing.
 */
import { limits } from '../base/limits.ts';
import type { Epoch, LogPosition } from '../base/units.ts';

export type GateMode = 'open' | 'holding' | 'shut';

interface MarkerInFlight {
  /** `undefined`: the end of the log does a marker's work. */
  readonly epoch: Epoch | undefined;
  /** Outputs that had arrived when the marker was sent: what its acknowledgement covers. */
  readonly covers: number;
  /** Start of the marker's event in the log, once it came back. */
  position: LogPosition | undefined;
  /** Sent before a `distrust`: alone it releases nothing. */
  isStale: boolean;
}

export class OutputGate {
  #mode: GateMode = 'open';
  #arrived = 0;
  #released = 0;
  #covered = 0;
  #acknowledged = 0;
  #isFull = false;
  #markers: MarkerInFlight[] = [];

  get mode(): GateMode {
    return this.#mode;
  }

  /** Outputs that have reached the gate so far. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Outputs that wait at the gate. */
  get held(): number {
    return this.#arrived - this.#released;
  }

  /** More outputs than that wait, or did and not half of them have left. */
  isFull(max: number): boolean {
    if (this.held > max) this.#isFull = true;
    else if (this.held <= max / 2) this.#isFull = false;
    return this.#isFull;
  }

  /** Outputs released so far, which is also the number of the last one. */
  get released(): number {
    return this.#released;
  }

  /** The backup holds the log up to here. */
  get acknowledgedTo(): number {
    return this.#acknowledged;
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
    if (this.#markers.length >= limits.markersWaitingMax) this.#thinOut();
    this.#markers.push({ epoch, covers: this.#arrived, position: undefined, isStale: false });
    this.#covered = this.#arrived;
  }

  /** This process was away: what waits to be read may have been said by a backup of the past. */
  distrust(): void {
    // The end of the log stays the end of the log.
    for (const marker of this.#markers) marker.isStale = marker.epoch !== undefined;
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
    this.#markers = this.#markers.filter(
      (marker) => marker.position !== undefined && marker.epoch !== undefined,
    );
    this.#markers.push({ epoch: undefined, covers: this.#arrived, position, isStale: false });
    this.#covered = this.#arrived;
    this.#advance();
  }

  /** The backup that gave the acknowledgements is gone: a new one starts from nothing. */
  forgetAcknowledgements(): void {
    this.#acknowledged = 0;
    // What is on its way still takes room in QEMU (6), and covers nothing any more.
    this.#markers = this.#markers
      .filter(({ position }) => position === undefined)
      .map((marker) => ({ ...marker, covers: 0, isStale: true }));
    this.#covered = this.#released;
  }

  #advance(): void {
    if (this.#mode === 'open') {
      this.#released = this.#arrived;
      // What was seen covers what has left; what is on its way must still be counted.
      this.#markers = this.#markers.filter(({ position }) => position === undefined);
      return;
    }
    const last = this.#markers.findLastIndex(
      ({ position, isStale }) =>
        !isStale && position !== undefined && position <= this.#acknowledged,
    );
    if (last < 0) return;
    // Positions rise along the list, so all before the last one are acknowledged, too.
    const covers = this.#markers[last]?.covers ?? 0;
    this.#markers.splice(0, last + 1);
    if (this.#mode === 'holding') this.#released = Math.max(this.#released, covers);
  }

  /** Forgets every other marker that was seen, never the last of them. */
  #thinOut(): void {
    const seen = this.#markers.filter(({ position }) => position !== undefined).length;
    this.#markers = this.#markers.filter((_, index) => index >= seen - 1 || index % 2 === 1);
  }
}
