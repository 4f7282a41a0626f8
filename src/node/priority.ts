/**
 * A node's own share of a busy machine.
 *
 * A node needs little time, but at once: its heartbeats, acknowledgements and releases decide how
 * long outputs are held and whether the peer takes it for dead, while beside it a QEMU may use
 * every processor it gets. So the node asks to be served before its machines, which go on at the
 * priority that the node was started with (`spawnOwned`).
 */
import os from 'node:os';

/** Enough to be served first by far (a tenth of the others' time is never needed). */
const raiseBy = 10;

/** Raises this process's priority, where the rights allow it. Returns whether they did. */
export function raisePriority(): boolean {
  try {
    os.setPriority(os.getPriority() - raiseBy);
    return true;
  } catch {
    return false; // no CAP_SYS_NICE: it works without, only less well on a busy machine
  }
}
