/**
 * Cuts off what QEMU itself adds when it ends a recording in order: SHUTDOWN by the host, then END
 * (`replay_finish`, replay/replay.c). They are not the guest's, and a backup must not execute them.
 */
import { logPosition } from '../../base/units.ts';
import type { Segment } from '../../rrlog/log-tail.ts';

/** Neither event has a field, so each is the one byte of its kind. */
const endBytes = 1;
const shutdownBytes = 1;

/**
 * The segment without its end; it may have no bytes left then. A segment may begin with END, when
 * the file was read between the two bytes: SHUTDOWN is gone already then, which does no harm, as
 * the backup knows by the guest's own SHUTDOWN that the machine goes off.
 */
export function withoutEnd(segment: Segment): Segment {
  if (!segment.ended) return segment;
  const cut = Math.min(shutdownBytes + endBytes, segment.bytes.length);
  const kept = segment.bytes.length - cut;
  return {
    ...segment,
    to: logPosition(segment.to - cut),
    bytes: segment.bytes.subarray(0, kept),
    events: segment.events - cut,
    shutdowns: segment.shutdowns.filter(({ position }) => position < segment.to - cut),
    ended: false,
  };
}
