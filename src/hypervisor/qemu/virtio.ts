/**
 * Disk requests in flight, as the virtio queues see them.
 *
 * A request is in flight from the moment QEMU takes it off the guest's queue until its completion
 * event has run, so a count of zero says that no block-layer request, no completion waiting in the
 * replay queue and no retry is left (`VirtQueue.inuse`, hw/virtio/virtio.c).
 */
import type { Monitor } from './monitor.ts';

/** Sum over the disks; the VM may be running, then it is the count of a moment ago. */
export async function requestsInFlight(
  monitor: Monitor,
  diskIds: readonly string[],
): Promise<number> {
  const counts = await Promise.all(
    diskIds.map(async (id) => {
      const status = await monitor.execute<{ inuse: number }>('x-query-virtio-queue-status', {
        path: `/machine/peripheral/dev-${id}/virtio-backend`,
        queue: 0,
      });
      return status.inuse;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
