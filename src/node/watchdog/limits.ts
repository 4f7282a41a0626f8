/** Bounds of the watchdog's policy, and its waits, each with its reason. */
export const watchdogLimits = {
  /** A guest that swaps, or whose host is busy, says nothing for seconds and is well. */
  silenceMsMin: 5_000,
  /** A day: a longer one is a mistake. */
  silenceMsMax: 86_400_000,
  restores: 3,
  /** Each goes further back than the one before: no store is so deep. */
  restoresMax: 100,
  withinMs: 3_600_000,
  /** A failure that comes back at once does so within a boot. */
  withinMsMin: 60_000,
  withinMsMax: 86_400_000,
  /** What a watchdog may take from a machine without being told a number. */
  losesMs: 3_600_000,
  losesMsMin: 1_000,
  /** A month. */
  losesMsMax: 30 * 86_400_000,
  /** A shorter text is in many a line. */
  textMin: 4,
  textMax: 200,
  textsMax: 16,
  /** Of a line of the console that is looked at: a kernel's are shorter. */
  lineBytesMax: 1_024,
  /** Behind a panic's line come the reasons for it: people are to see them. */
  settleMs: 1_000,
  /** A process that stood still has not listened meanwhile. */
  tickMsMax: 250,
  /** Snapshots that are tried for one failure when the newest ones are damaged. */
  damagedMax: 3,
  /** Between two attempts to let a machine go back that is being handed over, or claims. */
  againMs: 1_000,
  /** Pasts that were left and are known; older terms do not count then. */
  backsMax: 100,
} as const;
