/** Limits of keeping snapshots and the log between them, each with its reason. */
export const snapshotLimits = {
  /** What RAM is compared by, and what the storage daemon tells of disks by. */
  blockBytes: 64 * 1024,
  /** What is put when something in it changed: the chunk of the store. */
  chunkBytes: 16 * 1024,
  /** One `put`: some chunks, so that the event loop turns between two of them. */
  putBytes: 256 * 1024,
  /** Log that waits here for its piece to be written: a second of a busy machine's, unpacked. */
  logPieceBytes: 1024 * 1024,
  /** A piece is written at least this often: what a lost node and its peer would both not have. */
  logPieceMs: 1_000,
  /**
   * Log that waits for a store that is slow or away; past this it is given up up to the next cut.
   */
  logWaitingBytesMax: 64 * 1024 * 1024,
  /** One reading of the clock for so long: how exactly an instant can be named. */
  timeMarkMs: 50,
  /** The shortest `every`: a compare and storing what it found take up to a quarter of a second. */
  everyMsMin: 500,
  /** A day: a longer one is a mistake, and the log between two of them is a day of replay. */
  everyMsMax: 86_400_000,
  /** A host whose power came back with its peer's is up a minute later than that at most. */
  restartWaitMs: 60_000,
  /** A day: the machine is down meanwhile. */
  restartWaitMsMax: 86_400_000,
  /** Log fed to a replayer ahead of what it has executed: memory, and far more than it needs. */
  feedAheadBytes: 8 * 1024 * 1024,
  /** Between two looks whether a replayer has taken what it was fed. */
  feedPollMs: 2,
} as const;
