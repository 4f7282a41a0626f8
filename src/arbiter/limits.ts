/** Every size and wait of the arbiters that has a limit, with its reason. Units come last. */

const KiB = 1024;

export const arbiterLimits = {
  /** A name and what tells one life of a node from the next. */
  holderChars: 200,
  /** From writing a temporary file to its link are milliseconds; a minute forgives a stuck disk. */
  temporaryFileMs: 60_000,

  /**
   * One question to an arbiter over the network. A flush on a busy disk and the election of a new
   * etcd leader take up to a second; past that, asking again costs less than waiting.
   */
  requestMs: 1_500,
  /**
   * A connection lives from the read of a claim to its compare-and-set, and to the next attempt.
   * One that idled for hours may be dead without a word, and a takeover is no time to find out.
   */
  idleConnectionMs: 1_000,
  /** Two states with a holder of 200 characters each, which JSON may write in six bytes each. */
  bodyBytes: 4 * KiB,
  /** A state in base64, headers, and room for what a newer etcd adds. */
  answerBytes: 16 * KiB,
  /** A cluster of etcd has 3, 5 or 7 members. */
  endpoints: 7,
  /** Words of a server that are repeated in our errors. */
  quotedChars: 300,

  /** Of random hex digits 128 bits; `head -c 32 /dev/urandom | base64` gives 44 bytes. */
  secretBytesMin: 32,
  /** More is no secret but the wrong file. */
  secretBytesMax: 1 * KiB,
  /** Certificates and keys: a chain of a dozen. */
  credentialBytesMax: 64 * KiB,

  /** Pairs of one witness. Each keeps a directory open, of the 1024 files a process often may. */
  witnessPairs: 256,
  /** Request line and headers; ours have 300 bytes. */
  witnessHeaderBytes: 4 * KiB,
  /** Two nodes a pair ask seldom and briefly; beyond this a new connection is closed at once. */
  witnessConnections: 128,
  /** Longer than a client keeps one, so that it is never the witness who closes under a request. */
  witnessIdleMs: 5_000,
} as const;
