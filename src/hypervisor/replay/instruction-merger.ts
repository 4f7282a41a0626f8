/**
 * Joins runs of instructions that a replayer need not interrupt.
 *
 * Each time its vCPU leaves the execution loop the recorder writes how many instructions it has
 * executed and, before it enters again, the checkpoint CLOCK_WARP_ACCOUNT. A guest that polls a
 * port does so every ten instructions: a boot is a million such pairs, and each of them makes a
 * replayer hand its locks from one thread to the other and back.
 *
 * That checkpoint matters only when it ends a warp, and then a clock is read behind it
 * (`icount_warp_rt`, softmmu/icount.c). Without one it may be left out, because a replayer that
 * finds another event in its place goes on (`icount_account_warp_timer`). So
 *
 *     CLOCK_WARP_ACCOUNT, INSTRUCTION n, CLOCK_WARP_ACCOUNT, INSTRUCTION m
 *
 * becomes CLOCK_WARP_ACCOUNT, INSTRUCTION n + m. Nothing else could have happened in between: a
 * timer, an interrupt or a frame would be in the log. The first checkpoint stays, so that no warp
 * is under way in the replayer either, whatever it took for the start of one.
 *
 * Contract
 *  1. The instructions between any two other events add up to what they were.
 *  2. No event but these two kinds is left out, changed or moved, and the first checkpoint behind
 *     any other event stays.
 *  3. Nothing is held back from one call to the next.
 */
import { encodeEvent } from '../../rrlog/events.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../../rrlog/reader.ts';

/** A replayer answers nobody while it executes one event: this many take some 10 ms. */
const mergedInstructionsMax = 2_000_000;

/** INSTRUCTION events with nothing between them that matters: from the first one's place on. */
interface Run {
  from: number;
  /** Behind the last INSTRUCTION. */
  to: number;
  /** Behind the last event that belongs to it. */
  end: number;
  count: number;
  events: number;
}

export class InstructionMerger {
  readonly #layout: Layout;
  readonly #reader: EventLogReader;
  readonly #wanted = new Uint8Array(256);
  readonly #instruction: number;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#instruction = layout.names.indexOf('instruction');
    this.#wanted[this.#instruction] = 1;
    this.#wanted[layout.names.indexOf('checkpoint:clock-warp-account')] = 1;
    this.#reader = segmentReader(layout);
  }

  /** Takes whole events; returns what a replayer is to be fed instead. */
  push(bytes: Buffer): Buffer {
    const reader = this.#reader;
    const out: Buffer[] = [];
    let copied = 0;
    let run: Run | undefined;
    /** End of the last checkpoint: a run begins right behind one. */
    let accountedTo = -1;
    const finish = (): void => {
      if (run !== undefined && run.events > 1) {
        const merged = encodeEvent(this.#layout, { kind: 'instruction', count: run.count });
        out.push(bytes.subarray(copied, run.from), merged);
        copied = run.to;
      }
      run = undefined;
    };
    reader.push(bytes);
    while (reader.advance(this.#wanted)) {
      const { eventOffset, nextOffset, kind } = reader;
      // Whatever lies between two events that were asked for is another event.
      if (run !== undefined && run.end !== eventOffset) finish();
      if (kind !== this.#instruction) {
        if (run !== undefined) run.end = nextOffset;
        accountedTo = nextOffset;
        continue;
      }
      const count = reader.instructionCount;
      if (run !== undefined && run.count + count > mergedInstructionsMax) finish();
      if (run === undefined && accountedTo !== eventOffset) continue;
      run ??= { from: eventOffset, to: nextOffset, end: nextOffset, count: 0, events: 0 };
      run.count += count;
      run.events += 1;
      run.to = nextOffset;
      run.end = nextOffset;
    }
    finish();
    if (out.length === 0) return bytes;
    out.push(bytes.subarray(copied));
    return Buffer.concat(out);
  }
}
