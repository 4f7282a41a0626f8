/**
 * Every size, window, retry and wait of the system that has a limit, with its reason.
 * A unit comes last in each name.
 */
export const limits = {
  /** A marker frame must exceed QEMU's 4 KiB stdio buffer to push what is before it out (R2). */
  markerFrameBytes: 4200,
  /**
   * Epoch boundaries at least this often: bounds what a takeover may have to re-execute blindly.
   */
  epochMs: 20,
  /**
   * The same for a guest that does nothing: its log is not worth fifty wake-ups a second on four
   * processes.
   */
  idleEpochMs: 60,
  /**
   * Below this a guest does nothing: an idle Linux executes 0.3 million a second, a busy one 100
   * and more.
   */
  idleInstructionsPerMs: 2_000,
  /** Guest-invisible tick on both sides (R3): shorter costs log, longer delays markers at idle. */
  tickUs: 6000,
  /** Markers on their way through QEMU: one covers what waits, one what arrives meanwhile. */
  markersInFlightMax: 2,
  /**
   * Markers that were seen and wait for their acknowledgement: 5 s of epochs. Past this every other
   * one is forgotten: its outputs then wait for the next one.
   */
  markersWaitingMax: 256,
  /** Outputs held, above which the guest is slowed down; it runs freely again at half of it. */
  heldOutputsMax: 4096,
  /** The longest that a group may hold outputs for a line: past it clients give up. */
  lineHoldMaxMs: 2_000,
  /**
   * A step this late means that this process was away. The quickest takeover measured took 48 ms:
   * acknowledgements that waited here for longer may be those of a backup that has taken over.
   */
  selfPauseMs: 40,
  /**
   * Silence that is suspicious. Pauses of garbage collection and cuts were measured up to 100 ms.
   */
  silenceMs: 300,
  /** Round trips that must fit into a silence: one for the beat, one lost, one for jitter. */
  roundTripsMin: 3,
  /**
   * A raised silence is told again from so many times the last one that was told: not at each
   * millisecond.
   */
  silenceRaisedAgain: 1.1,
  /** Round trips whose least one counts, about a second of heartbeats. */
  roundTripSamples: 8,
  /** Of a link that has room for log as it is: within a building. */
  nearRoundTripMs: 3,
  /** After a piece of log, until which the next one travels plain on such a link. */
  plainWithinMs: 20,
  /** Both nodes copy gigabytes while they seed: 3 s at the default silence. */
  seedPatience: 10,
  /** A drill takes as long as a takeover; past this the primary takes its machine back. */
  drillMs: 5_000,
  /**
   * Between two attempts to let a guest go on, and how many there are: one that stands is no
   * machine.
   */
  continueRetryMs: 500,
  continueTriesMax: 4,
  /** Between two attempts to let a machine go on that stands because a disk failed. */
  hurtRetryMs: 1_000,
  hurtRetryMaxMs: 10_000,
  /** Snapshots that a backup has asked its primary for at once: people and scripts ask for one. */
  snapshotRequestsMax: 8,
  /** A node that is told to stop ends its machine and its storage daemons first. */
  nodeStopMs: 10_000,
  /** One that ends waits for its parts no longer: a disk that hangs must not keep it. */
  nodeCloseMs: 30_000,
  /** The same for a start that failed: it is over within a second. */
  failedStartMs: 800,
  /**
   * Between two attempts to reach an arbiter that did not answer, at first; then up to the next.
   */
  arbiterRetryMs: 100,
  arbiterRetryMsMax: 1_000,
  /** Between two looks at an arbiter that is needed for nothing yet, and after one that failed. */
  arbiterLookMs: 5_000,
  /** A newer term that was seen is noted on the disk so much later: a takeover needs it first. */
  arbiterSaveAfterMs: 1_000,
  arbiterLookAgainMs: 1_000,
  /** A question that has waited for so long is worth a word. */
  arbiterSilentMs: 1_000,
  /** Of the time that something has failed for, before the next attempt. */
  retryShare: 0.1,
  /**
   * A takeover that is not proved by then is not waited for by whoever has the machine, too. The
   * longest that one takes is that of a copy which is behind by `hardLagMs`.
   */
  proofMs: 5000,
  /** A copy that is behind by less claims at once. */
  claimLagMinMs: 100,
  /** inotify tells of log growth; this only covers a notification that was lost. */
  logPollMs: 20,
  /** One read of the log: far more than arrives between two notifications. */
  logChunkBytes: 256 * 1024,
  /** The log on tmpfs is memory: give it back in steps that make the system call worth it. */
  logReclaimBytes: 8 * 1024 * 1024,
  /**
   * Room for log that is kept ahead of QEMU, in steps of `logReclaimBytes`: seconds of a flooded
   * machine's log.
   */
  logReserveBytes: 16 * 1024 * 1024,
  /** Between two looks whether there is room for the log again. */
  logRoomMs: 1_000,
  /** The largest pipe an unprivileged process may have: log in here needs no timer of ours. */
  feedPipeBytes: 1024 * 1024,
  /**
   * The largest pipe, too: a node that stands still for a minute does not fill it at 115200 baud.
   */
  serialPipeBytes: 1024 * 1024,
  /** How soon it is looked whether QEMU has taken what was typed: it does in some 0.1 ms. */
  serialLookMs: 1,
  /** The same while the guest's serial port is full. */
  serialLookMsMax: 50,
  /** A full feed pipe means the replayer is behind by far more than this. */
  feedRetryMs: 1,
  /** A digest of 128 MiB is then 512 numbers, and a difference is named to 256 KiB. */
  ramDigestBlockBytes: 256 * 1024,
  /** Of RAM that is digested between two turns of the event loop: 5 ms. */
  digestSliceBytes: 8 * 1024 * 1024,
  /**
   * Of RAM that a kept cut reads while the guest stands still, to compare it: 2 ms, beside 5 ms for
   * all else.
   */
  quickDigestBytes: 4 * 1024 * 1024,
  /** What changed in RAM is told by the page: the guest's writes are scattered. */
  ramPageBytes: 4096,
  /** QEMU starts in 0.2 s here; ten hogs beside it make that a few seconds. */
  qemuStartMs: 20_000,
  /** Loading a device state takes 10 ms (R7); past this QEMU will not do it. */
  stateLoadMs: 5_000,
  /** Under heavy direct I/O every other attempt meets a request; 200 never fail by chance. */
  cutAttempts: 200,
  /** Between two attempts, so that the guest gets on. */
  cutRetryMs: 2,
  /** How long one attempt waits for a moment without a request before it takes its chance. */
  cutQuietWaitMs: 50,
  /** A virtio queue holds 256 requests; each disk has one. */
  completionsMax: 256,
  /**
   * A replayer that stands still for so long while log waits is let go of its processor. On a busy
   * machine 0.2 s pass by themselves.
   */
  standingMs: 300,
  /** No instruction executed for so long although log is waiting: the replayer has stalled. */
  stallMs: 3_000,
  /** How long what a stalled replayer's threads do is looked at. */
  stallLookMs: 200,
  /** Reads of icount and requests in flight that must agree before a halted machine is stopped. */
  haltSteadyReads: 3,
  /** How often one that still executes is asked how far it is: seldom, as it costs it time. */
  haltLookMs: 20,
  /** How long a marker or a frame may wait in QEMU before its vCPU is woken to record it. */
  wakeMs: 1,
  /**
   * A vCPU that sleeps longer than the tick is behind a clock that is ahead: what waits for it is
   * unknown.
   */
  vcpuSleepMs: 8,
  /**
   * A vCPU that is stopped and continued has run for less of the time if it was asleep: each time
   * takes it 14 us of 8 ms.
   */
  vcpuRanShare: 0.02,
  /** Looks at a vCPU after a frame: QEMU may not have read it at the first one. */
  wakesForFrame: 2,
  /**
   * Each poke makes QEMU hand its locks over once: measured, every 4-20 ms is faster than every 1.
   */
  pokeMs: 5,
  /** QEMU works for a moment on what it has read already. */
  pokesAfterFeed: 3,
  /** One piece of RAM or disk on the link; the wire's own bound for a piece. */
  bulkPieceBytes: 256 * 1024,
  /** What a seed compares, digests and tracks: one guest write costs at most this much to send. */
  seedBlockBytes: 64 * 1024,
  /** Digests of one stream: 16 MiB on either side. A larger stream (64 GiB) has larger blocks. */
  seedBlocksMax: 1024 * 1024,
  /** One read of an image: its blocks are digested side by side. */
  seedReadBytes: 1024 * 1024,
  /** How often a watched disk image is looked at, and in what time all of it. */
  imageLookMs: 60_000,
  imageAllMs: 86_400_000,
  /** Blocks that were written since are read so often, up to so many. */
  imageWrittenBlocks: 1024,
  /** A pair of which no cut is made compares itself so often. */
  compareEveryMs: 600_000,
  /** Blocks of each disk that a kept cut compares, and those that a backup reads for it. */
  cutBlocks: 4096,
  cutBlockReads: 64,
  /** Of an image between two questions to its storage daemon, which take some 10 ms. */
  imageLookBytes: 16 * 1024 * 1024,
  /** Between two of those while nobody waits: 64 MiB a second leave a disk to its machine. */
  imagePauseMs: 250,
  /** A write that has put its bytes into the image has ended by then, on a busy disk, too. */
  imageSettleMs: 5_000,
  /**
   * Work of a seed between two turns of the event loop: outputs wait for it, and 2 ms are felt by
   * nobody.
   */
  seedSliceMs: 2,
  /** A round this small is copied in the pause in 1 ms; another one would find as much again. */
  seedSmallRoundBytes: 2 * 1024 * 1024,
  /**
   * A round above this share of the one before will not end: the guest writes as fast as we send.
   */
  seedShrink: 0.8,
  /** Rounds of RAM, and of a disk, before the cut is made anyhow. */
  seedRoundsMax: 8,
  /**
   * The RAM of a copy that was given up is memory: a link that drops is back by then, or it is not
   * a matter of minutes.
   */
  seedKeepMs: 120_000,
  /** Slower than this a guest writes more than a seed can send. Bytes per second. */
  seedBandwidthMin: 1_000_000,
  /** A second of a busy machine's log. */
  spoolBudgetMinBytes: 1_000_000,
  /**
   * Log since the cut that waits for a copy: minutes of a busy machine, seconds of a flooded one.
   */
  spoolBudgetBytes: 1024 * 1024 * 1024,
  /** Log since the cut on the backup's disk: eight hours of a busy machine's, packed. */
  durableLogBudgetBytes: 16 * 1024 * 1024 * 1024,
  /** Far above a segment: a longer record is damage. */
  spoolRecordBytesMax: 64 * 1024 * 1024,
  /** From the spool to the replayer at once: more would be memory, less would let it run dry. */
  spoolFeedBytes: 4 * 1024 * 1024,
  /**
   * Above this share of the spool the primary is slowed down, at the next one as much as it may be.
   */
  spoolSoftShare: 0.5,
  spoolHardShare: 0.9,
  /**
   * After a seed that was given up because the spool was full; doubled each time up to the next.
   */
  seedPauseMs: 2_000,
  seedPauseMaxMs: 120_000,
  /** What may be sent at once under `seedBandwidth`: 10 ms at 1 Gbit/s. */
  seedBurstBytes: 1024 * 1024,
  /**
   * How often the core is told the time: half of the usual epoch; each time is a wake-up of the
   * node.
   */
  coreTimerMs: 10,
  /** How often a node that waits for its peer looks into the snapshot store. */
  restartLookMs: 1_000,
  /** Figures for people and the demo; not on any path of the protocol. */
  reportMs: 250,
  /** How often the backup asks its replayer how far it is. */
  lagPollMs: 50,
  /** Log received and not executed, above which the backup takes no more from the link. */
  backlogBytesMax: 256 * 1024 * 1024,
  /** A disk that is full or away: somebody has to make room, which takes longer than this. */
  rememberRetryMs: 1_000,
  /** Between two attempts to reach the peer: a pair is unprotected meanwhile. At first; then up to
   *  the next, for one that is started by a person. */
  dialRetryMs: 100,
  dialRetryMsMax: 1_000,
  /** Between two attempts to give a machine that runs its network; at first, then up to that. */
  egressRetryMs: 100,
  egressRetryMsMax: 5_000,
  /** Between two copies that come to nothing: each costs a seed, and a cut of the machine. */
  copyRetryMsMax: 10_000,
  /** Two nodes that refuse each other try at least so often. */
  refusalLastsMs: 10_000,
  /** Causes of that which are told in a minute: a stranger may make them up. */
  refusalsToldPerMinute: 20,
  /** How long a node looks for its peer before it boots a machine that it owned when it died. */
  ownTermWaitMs: 3_000,
  /** The last bytes of a guest that powers off arrive within this. */
  powerOffCalmMs: 50,
  /** Past this its last outputs are given up: the backup is as good as gone. */
  powerOffMs: 2_000,
  /** A console attached by a person gets so much of what was printed before. */
  serialHistoryBytes: 64 * 1024,
  /**
   * How long QEMU waits for a storage daemon that is gone before its requests fail: until somebody
   * has ended the machine or started the daemon again.
   */
  diskReconnectSeconds: 7 * 24 * 60 * 60,
  /** An answer of a halted replayer's monitor takes 0.2 ms; a loaded machine is given this. */
  haltAnswerMs: 500,
  /** Between two looks at a machine that a debugger holds, for as long as a person thinks. */
  heldPollMs: 20,
  /**
   * Up to this lag a takeover is as quick as the load of a state; the primary runs freely. A copy
   * counts as ready when it has caught up to here.
   */
  softLagMs: 60,
  /** At this lag the primary gives all that it may give. */
  fullThrottleLagMs: 150,
  /**
   * A busy primary's next log comes before, and its acknowledgement tells what was executed; a
   * third of the lag at which anybody is slowed down.
   */
  newsAfterMs: 20,
  /** A lag that slowing down did not cure: what is behind is then some seconds of takeover. */
  hardLagMs: 2_000,
  /** A disk or a neighbour may keep a backup busy; a new seed costs more than to wait so long. */
  hardLagHoldMs: 5_000,
  /** Log that is shipped and not executed: half of what the backup takes from the link. */
  hardBacklogBytes: 128 * 1024 * 1024,
  /** Some minutes of shipped segments; past this neighbours are counted as one. */
  backlogEntriesMax: 16_384,
  /** A replayer is at least half as fast as its recorder: this much always lets it catch up. */
  throttleShareMax: 0.85,
  /** Short enough that no client notices, long enough that Node's timers keep it. */
  throttlePeriodMs: 8,
  /** A copy that lags by a whole seed needs some seconds; one that never gets there is given up. */
  catchUpMs: 60_000,
  /** A replayer that has no log does not answer; that may be as long as its primary has none. */
  replayerContMs: 600_000,
} as const;
