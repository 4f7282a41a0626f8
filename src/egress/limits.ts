/** Every size and wait of the egress layer, with its reason. A unit comes last in each name. */
export const egressLimits = {
  /** Send again after these waits: a switch port may still be coming up, a frame may be lost. */
  announceAfterMs: [50, 150, 250],
  /** A guest has a handful of cards; more is a mistake of the caller. */
  announceMacsMax: 32,
  /**
   * A thread waits in poll(2) at most this long. It cannot be interrupted when the process exits
   * without `close`, so this is also the longest an exit is delayed.
   */
  tapPollMs: 100,
  /** Frames read from a tap before other work of the process gets its turn. */
  tapBatchFrames: 256,
  /** What a prepared tap keeps for its opening: as much as came during a takeover, no more. */
  tapKeptFrames: 512,
  tapKeptMs: 1000,
  /** `ip` needs milliseconds; past this the machine is stuck. */
  ipCommandMs: 10_000,
  /** Bytes waiting for a slow stream peer; past it frames are dropped like in a full switch. */
  streamBacklogBytes: 4 << 20,
  /** How long `open` tries to reach its stream peer before it gives up. */
  streamOpenMs: 5000,
  /** passt closes a second client at once: try again soon, then less often. */
  streamRetryMsMin: 10,
  streamRetryMsMax: 1000,
} as const;
