/** Every size and wait of the benchmark, with its reason. A unit comes last in each name. */
export const benchLimits = {
  /** The slowest arrangement does the longest job in half a minute; past this it hangs. */
  jobMs: 300_000,
  /** A protected guest of 2 GiB is up in 30 s on a busy machine. */
  bootMs: 180_000,
  /** A guest is up in KVM in two seconds; past this it hangs in there. */
  kvmBootMs: 30_000,
  /** An answer of a guest that is still booting never comes: ask again soon. */
  bootAnswerMs: 2_000,
  bootPollMs: 50,
  /** CONFIG_HZ of Debian's kernels. */
  tickHz: 250,
  pingEveryMs: 20,
  /** Requests of the HTTP job at a time: what the guest's server takes without queueing long. */
  httpConnections: 4,
  /** The first measure of a job's size: short, and long enough to be a hundred clock ticks. */
  jobProbeMs: 150,
  /** Load between a pair's protection and its takeover. */
  takeoverLoadMs: 1_500,
  /** After a guest's boot, and between jobs, for what it still has to do. */
  settleMs: 300,
  /**
   * Until a guest is idle after its boot, and its nodes have compiled what they do all the time.
   */
  idleSettleMs: 5_000,
  /** Log that is parsed and packed to see how fast that is: a second of work. */
  parseBytes: 64_000_000,
  packBytes: 8_000_000,
  throughputRuns: 3,
  /** One read of the log file, as a follower's. */
  readBytes: 65_536,
  /** What a busy guest records in a millisecond. */
  wireFrameBytes: 4_096,
  wireBytes: 64 * 1024 * 1024,
  wireQueueBytes: 4 * 1024 * 1024,
} as const;
