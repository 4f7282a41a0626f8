/** Limits of processes and of what is read of this host, each with its reason. */
export const hostLimits = {
  /** What a process said last; its reason to end is among it. */
  stderrBytes: 16 * 1024,
  /** stderr may be held open by somebody else: do not wait for it longer after the exit. */
  stderrDrainMs: 100,
  /** A storage daemon flushes its images after SIGTERM; a stuck process gets SIGKILL then. */
  terminateMs: 5_000,
  /** After SIGKILL only a system call that cannot be interrupted keeps a process. */
  killMs: 10_000,
  /** Between two looks at the processors: ticks of 10 ms make a share of it exact to 2 %. */
  roomLookMs: 500,
  /** A move pays from this share of a processor on: what was cached stays behind. */
  roomGain: 0.2,
  /** One that got nowhere on its processor is left to the kernel for so long. */
  roomFreeMs: 5_000,
  /** The beginning of /proc/stat: a line of some 60 bytes for each processor. */
  machineStatBytes: 64 * 1024,
  /** /proc/PID/stat: 52 numbers of up to 20 digits, and a name. */
  processStatBytes: 1536,
  /** Lines for a log that nobody takes: an hour of a node that has little to say, a minute of one
   *  that says much. */
  outputQueueBytes: 1024 * 1024,
  /** Offered at once: what a pipe holds. */
  outputBatchBytes: 64 * 1024,
  /** A log that was not taken is offered again so soon, then less and less often. */
  outputRetryMsMin: 10,
  outputRetryMsMax: 1_000,
  /** A reader may pause for so long before anybody is told. */
  outputTroubleMs: 1_000,
  /** A process that ends gives its log so long to be taken. */
  outputFlushMs: 500,
  /** Between two looks whether a process that is not our child is gone. */
  killPollMs: 5,
} as const;
