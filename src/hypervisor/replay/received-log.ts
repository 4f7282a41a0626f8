/** Reads log as a backup gets it and as it is kept: without the markers' padding, from a cut on. */
import type { Icount, LogPosition } from '../../base/units.ts';
import type { RequestTracker } from '../../rrlog/inflight.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { LogTail } from '../../rrlog/log-tail.ts';
import { padNetId } from '../qemu/command-line.ts';

/** `requests`: who is told of the disk requests that the log completes. */
export function receivedLogTail(
  layout: Layout,
  { position, icount }: { readonly position: LogPosition; readonly icount: Icount },
  requests?: RequestTracker,
): LogTail {
  return new LogTail({
    layout,
    input: 'stripped',
    expectHeader: false,
    start: { position, icount },
    markerNetId: padNetId,
    ...(requests === undefined ? {} : { requests }),
  });
}
