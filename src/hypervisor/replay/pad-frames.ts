/**
 * Frames for the pad that are put into a replayer's log: the pad leads nowhere, so the guest sees
 * nothing of them, and what comes back at its echo was executed.
 */
import { encodeEvent } from '../../rrlog/events.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { padNetId } from '../qemu/command-line.ts';

/**
 * A frame for the pad, where it vanishes, as the first event behind a loaded state.
 *
 * Between the load and `cont` QEMU's main loop already takes clock checkpoints from the log, some
 * of which the primary met only after its own `cont`: a timer that expires there does nothing in a
 * machine that is still stopped (`icount_warp_rt`), and the replay leaves lockstep. Frames are
 * taken by a running machine only (`icount_account_warp_timer`), so this one holds the log back.
 */
export function encodeStartGate(layout: Layout): Buffer {
  return encodePadFrame(layout, Buffer.alloc(60));
}

/**
 * A frame for the pad, behind a marker that is the last event so far. QEMU executes an event when
 * it has read the kind of the next one (`replay_finish_event`), which may come much later: without
 * this the echo of a marker would tell of the epoch behind it, and a copy that only waits for log
 * would look as if it lagged.
 */
export function encodeBehindMarker(layout: Layout): Buffer {
  return encodePadFrame(layout, Buffer.alloc(60));
}

function encodePadFrame(layout: Layout, data: Buffer): Buffer {
  return encodeEvent(layout, { kind: 'net', id: padNetId, flags: 0, data });
}

/** A frame for the pad, behind the last event: its echo says that all before it was executed. */
export function encodeLastFrame(layout: Layout): Buffer {
  const data = Buffer.alloc(60);
  lastFrameMagic.copy(data);
  return encodePadFrame(layout, data);
}

/** Whether a frame that came back is that one. */
export function isLastFrame(frame: Buffer): boolean {
  return frame.subarray(0, lastFrameMagic.length).equals(lastFrameMagic);
}

const lastFrameMagic = Buffer.from('understudy:last');
