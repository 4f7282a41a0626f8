/**
 * A node's own share of a busy machine.
 *
 * A node needs little time, but at once: its heartbeats, acknowledgements and releases decide how
 * long outputs are held and whether the peer takes it for dead, while beside it a QEMU may use
 * every processor it gets. So the node asks to be served before its machines, which go on at the
 * priority that the node was started with (`spawnOwned`).
 *
 * A real-time priority is what keeps it from waiting: with two machines on two processors, an
 * acknowledgement took 1 ms and one in ten 8 ms at nice -10, and 0.3 and 0.5 ms at real time. The
 * kernel keeps a share of each second for everybody else (`sched_rt_runtime_us`).
 *
 * All threads that Node has by then are raised, not the first one alone: it waits for the others,
 * whoever is served before them. They collect its memory with it, and hold the lock of its address
 * space while they give memory back. Beside 40 programs that compute on two processors a thread
 * that did this alone stood still for 110 and 200 ms in 12 s, and 17 and 11 times for more than 40
 * ms; with all of them raised for 20 ms at most. Threads that are made later are not raised.
 */
import fs from 'node:fs';
import os from 'node:os';
import { scheduleRealTime } from './libc.ts';

/** Enough to be served first by far (a tenth of the others' time is never needed). */
const raiseBy = 10;

/** Raises this process's priority, where the rights allow it. Returns whether they did. */
export function raisePriority(): boolean {
  const threads = fs.readdirSync('/proc/self/task').map(Number);
  // One that has ended meanwhile is refused; the process itself has not.
  const raised = threads.filter((thread) => scheduleRealTime(thread));
  if (raised.includes(process.pid)) return true;
  try {
    const niceness = os.getPriority() - raiseBy;
    os.setPriority(niceness);
    for (const thread of threads) if (thread !== process.pid) os.setPriority(thread, niceness);
    return true;
  } catch {
    return false; // no CAP_SYS_NICE: it works without, only less well on a busy machine
  }
}
