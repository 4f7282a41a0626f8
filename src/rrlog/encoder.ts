/**
 * The pieces of a log that Understudy writes itself: what a replayer is given before and after the
 * recorded events. A whole event as a value is encoded by `encodeEvent` in events.ts.
 */
import { encodeEvent } from './events.ts';
import { headerBytes, type Layout } from './layouts.ts';

/** A 12-byte header with the version word, as a clean exit leaves it. */
export function encodeHeader({ version }: Layout): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(version);
  return header;
}

/**
 * What a replayer that reads from a FIFO must be given first. At start-up it reads the version word
 * and one event kind (`replay_enable` in replay.c); its seeks to position 12 fail and are ignored.
 *
 * - Replay from power-on: the word alone; that kind is the first event's.
 * - Loading a state (`stateFollows`): the word and one byte END, a kind without payload. The state
 *   says that nothing is unread, so after the load the next byte is taken as a kind again.
 */
export function encodeFifoPreamble(layout: Layout, stateFollows: boolean): Buffer {
  const word = encodeHeader(layout).subarray(0, 4);
  return stateFollows ? Buffer.concat([word, encodeEnd(layout)]) : word;
}

/** END: the replayer's vCPU stands still and its monitor answers (recipe R8). */
export function encodeEnd(layout: Layout): Buffer {
  return encodeEvent(layout, { kind: 'end' });
}

/** BLOCK: completes the disk request with this id (recipe R8). */
export function encodeBlockCompletion(layout: Layout, id: number): Buffer {
  return encodeEvent(layout, { kind: 'block', id });
}

/** BH_ONESHOT: runs the bottom half that was scheduled at this icount. */
export function encodeBottomHalf(layout: Layout, scheduledAt: number): Buffer {
  return encodeEvent(layout, { kind: 'bh-oneshot', scheduledAt });
}
