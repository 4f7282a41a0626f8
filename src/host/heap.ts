/**
 * How often the node's own memory is collected.
 *
 * V8 lets a small heap grow by 8 MB before it marks all of it again, and counts to these what
 * buffers take outside of it: a node that compares and packs fills them in a second. Marking takes
 * 20 ms of the node's thread, and as much again of others, for next to nothing
 * (docs/lockstep-notes.md, 36).
 */
import v8 from 'node:v8';

/**
 * By how much the heap, 25 MB, may grow before it is marked again, in percent: some 50 MB, which a
 * host of a machine has.
 */
const growingPercent = 200;

/** For this process, from its next collection on. */
export function collectSeldom(): void {
  v8.setFlagsFromString(`--heap-growing-percent=${growingPercent}`);
}
