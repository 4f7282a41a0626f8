/** Limits of the monitor, of device-state files and of processes, each with its reason. */
export const hypervisorLimits = {
  /** Commands answer in less than a millisecond; two loaded cores and a replay lock make seconds. */
  commandMs: 5_000,
  /** A socket appears some 100 ms after QEMU starts; looking costs about 0.1 ms. */
  monitorRetryMs: 5,
  /** The longest answer, query-qmp-schema, has 0.3 million characters. */
  monitorLineChars: 16 * 1024 * 1024,
  /** States were 13 to 105 KB; far more than a machine without a frame buffer can have. */
  deviceStateBytes: 64 * 1024 * 1024,
  /** Footers looked at: two a section are usual, and a machine with 8 disks and 8 cards has 50. */
  deviceStateSteps: 10_000,
  /** Differences that are listed one by one; more say nothing new. */
  deviceStateDifferences: 1000,
  /** What a process said last; its reason to end is among it. */
  stderrBytes: 16 * 1024,
  /** stderr may be held open by somebody else: do not wait for it longer after the exit. */
  stderrDrainMs: 100,
  /** A storage daemon flushes its images after SIGTERM; a stuck process gets SIGKILL then. */
  terminateMs: 5_000,
  /** After SIGKILL only a system call that cannot be interrupted keeps a process. */
  killMs: 10_000,
  /** Finer bitmaps cost memory (2 KiB a GiB now), coarser ones send more than was written. */
  dirtyBlockBytes: 64 * 1024,
  /** What is asked of a dirty bitmap at once; a request's length has 32 bits. */
  nbdStatusBytes: 1024 * 1024 * 1024,
  /** An answer about the above has 8 bytes for each run, and a run at least one block of 64 KiB. */
  nbdReplyBytes: 1024 * 1024,
  /** Of a memory dump that is read and written at once: what is zero in it stays a hole. */
  dumpPieceBytes: 256 * 1024,
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
  /** Between two looks whether a process that is not our child is gone. */
  killPollMs: 5,
} as const;
