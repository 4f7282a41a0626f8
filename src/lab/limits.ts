/** Every size and wait of the demo, with its reason. A unit comes last in each name. */
export const demoLimits = {
  /** A request may be slow while a node dies; it may not fail. TCP itself would give up later. */
  requestTimeoutMs: 30_000,
  /** Between two requests of one reader: an emulated guest answers some hundred a second. */
  readerPauseMs: 20,
  /** Between two requests of one counter: each waits for the guest's disk. */
  counterPauseMs: 20,
  /** The echo connection sends a line this often. */
  echoLineMs: 20,
  /** At the end, how long no echo may come while some are under way. */
  echoDrainMs: 5000,
  /** Echoes that are long overdue would fill memory; a guest that far behind is dead anyway. */
  echoBacklogBytes: 1 << 20,
  /** Twice what `ping` of iputils can wait for: with less of a pause left it spins. */
  pingMs: 20,
  failuresKept: 100,
  /** Between two lines of statistics of the load program. */
  statsMs: 250,
  /** passt is ready when its socket exists; a loaded machine may need a while. */
  passtStartMs: 5000,
  /** What the hub in front of passt keeps while no node speaks: a takeover's worth. */
  hubKeptFrames: 512,
  hubKeptMs: 5000,
  /** Bytes waiting for a node that does not read; past it frames are dropped. */
  hubBacklogBytes: 4 << 20,
  /** A lost SYN is sent again like this, before passt gives the client up after ten seconds. */
  synRepeatMs: 1000,
  synRepeats: 8,
  /** Connection attempts watched at a time: far more than the load has clients. */
  synsKept: 1024,
  /** How long a child may take to end after a polite signal. */
  childEndMs: 2000,
  /** Largest answer that the demo reads from the guest (the guest's own files end at 64 MiB). */
  answerBytesMax: 80 << 20,
  /** A boot takes 5 s here, 10 with the machine loaded. */
  guestBootMs: 120_000,
  /** Seeding and takeover take a second; past this something is wrong. */
  nodeEventMs: 120_000,
  nodePollMs: 50,
  /** After a takeover, for the outside to notice what it would notice. */
  settleMs: 1000,
} as const;
