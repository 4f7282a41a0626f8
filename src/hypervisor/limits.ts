/** Limits of the monitor, of device-state files and of disks, each with its reason. */
export const hypervisorLimits = {
  /**
   * Commands answer in less than a millisecond; two loaded cores and a replay lock make seconds.
   */
  commandMs: 5_000,
  /** A socket appears some 100 ms after QEMU starts; looking costs about 0.1 ms. */
  monitorRetryMs: 5,
  /** A process whose monitor broke off is gone within this, if it ends at all. */
  lastWordsMs: 500,
  /** Between two looks whether a process answers: an answer costs it some 0.1 ms. */
  beatMs: 1_000,
  /** Looks without an answer that make a process that is stopped (SIGSTOP) one that hangs. */
  stoppedBeats: 3,
  /** The same for one that may wait for a processor: on two loaded ones seconds were measured. */
  silentBeats: 10,
  /** A question that only asks for an answer waits as long as its process lives. */
  beatAnswerMs: 2 ** 31 - 1,
  /** A storage daemon that does not answer is ended, and another one started, after so many. */
  daemonEndMs: 15_000,
  /** Between two attempts to start a storage daemon in the place of one that has ended. */
  daemonRetryMs: 1_000,
  daemonRetryMaxMs: 10_000,
  /** A machine that went on after an error of a disk and met none for so long works again. */
  diskCalmMs: 2_000,
  /** The longest answer, query-qmp-schema, has 0.3 million characters. */
  monitorLineChars: 16 * 1024 * 1024,
  /** States were 13 to 105 KB; far more than a machine without a frame buffer can have. */
  deviceStateBytes: 64 * 1024 * 1024,
  /** Footers looked at: two a section are usual, and a machine with 8 disks and 8 cards has 50. */
  deviceStateSteps: 10_000,
  /** Differences that are listed one by one; more say nothing new. */
  deviceStateDifferences: 1000,
  /** Finer bitmaps cost memory (2 KiB a GiB now), coarser ones send more than was written. */
  dirtyBlockBytes: 64 * 1024,
  /** What is asked of a dirty bitmap at once; a request's length has 32 bits. */
  nbdStatusBytes: 1024 * 1024 * 1024,
  /** An answer about the above has 8 bytes for each run, and a run at least one block of 64 KiB. */
  nbdReplyBytes: 1024 * 1024,
  /** Of a memory dump that is read and written at once: what is zero in it stays a hole. */
  dumpPieceBytes: 256 * 1024,
} as const;
