/**
 * Keeps a replayer from a run of instructions until it is known what came of them.
 *
 * An instruction that writes to the serial port, or asks for a random number, is two events:
 * INSTRUCTION, of which it is the last one, and CHAR_WRITE or RANDOM. A replayer that executes the
 * first and finds anything but the second ends ("Missing character write event in the replay log",
 * replay/replay-char.c). A log ends anywhere, also between the two: with its primary, or with the
 * link. So a run that is the last event so far is held until there is another one.
 *
 * When none comes the run is left out, and a takeover goes on in front of it. Nobody has seen
 * anything of it: what the guest sends waits for a marker, which is an event behind.
 *
 * Contract
 *  1. What `push` returns, all of it so far, never ends with a run of instructions.
 *  2. Nothing else is held, and nothing is changed or moved.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { segmentReader } from '../../rrlog/reader.ts';

/** Kind and count. */
const runBytes = 5;
const noKind = new Uint8Array(256);

export class OpenRun {
  readonly #layout: Layout;
  #held: Buffer = Buffer.alloc(0);

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Takes whole events; returns what a replayer may be given. */
  push(events: Buffer): Buffer {
    if (events.length === 0) return events;
    const all = this.#held.length === 0 ? events : Buffer.concat([this.#held, events]);
    const end = this.#endsWithRun(events) ? all.length - runBytes : all.length;
    this.#held = all.subarray(end);
    return all.subarray(0, end);
  }

  /** The machine stood at the end of this run: nothing else came of it. */
  flush(): Buffer {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held;
  }

  /** The log ends here. Returns how many instructions are left out. */
  leaveOut(): number {
    const held = this.flush();
    return held.length === 0 ? 0 : held.readUInt32BE(1);
  }

  #endsWithRun(events: Buffer): boolean {
    const { instruction } = this.#layout.first;
    // Most stretches end with a marker: they need not be read for this.
    if (events[events.length - runBytes] !== instruction) return false;
    const reader = segmentReader(this.#layout);
    reader.push(events);
    while (reader.advance(noKind)) {
      // It stops at markers.
    }
    return reader.kind === instruction;
  }
}
