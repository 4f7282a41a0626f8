/** Every size and wait of `understudy exec`, with its reason. A unit comes last in each name. */

const MiB = 1024 * 1024;

export const execLimits = {
  /** It is in the machine's memory for as long as that runs, and goes into each snapshot. */
  inputBytesMax: 16 * MiB,
  /** What of a stream can be said again: a second of what a serial port carries, and more. */
  windowBytes: 1 * MiB,
  /** With so much held back a snapshot is due sooner, or the command would wait for it. */
  heldBytes: 512 * 1024,
  /** As the pair file has it for `every`. */
  everyMsMin: 500,
  everyMsMax: 24 * 3600_000,
  /** Each keeps a snapshot of the machine, and its bytes of output in memory. */
  triesMax: 16,
  /** A boot takes 5 s, on a busy host 20. */
  bootMs: 120_000,
  /** A machine that has just been taken over may not have its ports yet: said again, less often. */
  helloMs: 1_000,
  helloMsMax: 10_000,
  /** A machine that answers none of them does not answer any more. */
  helloTries: 12,
  /** Without a node that has the machine: a takeover takes a second, a boot after it no longer. */
  silenceMs: 60_000,
  /** A backup that is not there yet, or stores still, keeps nothing. */
  keepAgainMs: 1_000,
  /** A guest that is busy answers late; one that booted anew meanwhile never does. */
  keptMs: 30_000,
  /** A node that has the machine and did not take it over has booted it, unless it says so now. */
  takeoverMs: 5_000,
  /** A node that has ended is started again as backup, but not at once: something is wrong. */
  nodeAgainMs: 1_000,
} as const;
