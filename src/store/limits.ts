/** Every size and wait of the snapshot store that has a limit, with its reason. Units come last. */

const KiB = 1024;
const MiB = 1024 * KiB;

export const storeLimits = {
  /**
   * An idle guest of 128 MiB changes 130 pages a second, all over its memory. Compressed that is 70
   * KB in chunks of 4 KiB, 170 KB of 16 KiB, 450 KB of 64 KiB; hashing and compressing takes 15, 5
   * and 11 ms. Small chunks make a large catalogue.
   */
  chunkBytes: 16 * KiB,
  /**
   * Hashes a node of an image's tree: 512 KiB of an image. Such an increment rewrites some 50
   * nodes.
   */
  nodeHashes: 32,
  /**
   * Nodes kept in memory, 1 KiB each: the trees of an increment and its parent several times over.
   */
  nodesCached: 8192,
  /** A device state is one chunk; states were 13 to 105 KB. */
  chunkBytesMax: 64 * MiB,
  /** An image: QEMU's own bound for memory and raw disks that anyone has. */
  imageBytesMax: 64 * 1024 * 1024 * MiB,
  /** A pack's offsets have 32 bits; smaller ones are rewritten at less cost. */
  packBytes: 128 * MiB,
  /** Packed chunks are written in pieces of this size. */
  packBufferBytes: 1 * MiB,
  /** An index of 48 bytes a chunk; the longest that a pack of our size can have is far below. */
  packIndexBytesMax: 256 * MiB,
  /** Packs kept open for reading, of the 1024 files that a process often may have. */
  packsOpen: 32,
  /**
   * Neighbouring chunks of a pack are read at once, up to this and over gaps of at most the next.
   */
  readBytes: 1 * MiB,
  readGapBytes: 64 * KiB,
  /** Chunks that are looked up, read and checked together when an image is written out. */
  readChunks: 128,
  /** Work between two turns of the event loop: outputs of the guest wait for it. */
  sliceMs: 2,
  /**
   * How far the thread of a store stands back: to a busy thread beside it, it is a third. So the 50
   * ms that a snapshot takes are there within a second also on a machine that has no time to spare;
   * at 10, a tenth, one of 25 took longer beside other work, and the next one was left out.
   */
  threadNiceness: 5,
  /**
   * A pack is rewritten when so much of it is needed by nobody: half of what is written is gained.
   */
  deadShare: 0.5,
  /** Packs smaller than this are joined, when there are so many: folders of thousands are slow. */
  smallPackBytes: 8 * MiB,
  smallPacks: 64,
  /** A manifest has the VM file in it, 10 KB; a piece's head less. */
  headBytesMax: 1 * MiB,
  /** The facts of a piece with the longest names. */
  pieceHeadBytes: 4 * KiB,
  /** Some seconds of a flooded machine's log; it is held in memory whole. */
  pieceBytesMax: 256 * MiB,
  /** Two processes that open at the same instant both give way once in a while. */
  ownerAttempts: 5,
  ownerRetryMs: 50,
  /**
   * A copy's packs are closed at this size: what one that is killed has to copy again, and below
   * what `collect` joins there is little.
   */
  copyPackBytes: 16 * MiB,
  /**
   * How far copying to another store stands back: behind the thread of the store, whose snapshots
   * it is of, and all that a node does.
   */
  copyNiceness: 10,
  /** A copying node looks for log that was kept since so often: as long as it may miss there. */
  copyLookMs: 5_000,
  /**
   * To look takes a share of the time at most: with weeks of log there are many pieces. Not less
   * often than every minute: what was copied meanwhile took time, too.
   */
  copyLookShare: 0.05,
  copyLookMsMax: 60_000,
  /** A step of a copy is one call of the system: one that takes longer is told to hang. */
  copyHangMs: 30_000,
  /** Between two words of progress of a copy. */
  copyProgressMs: 1_000,
  /** A start waits for the look at `copyTo` so long, and goes on without: a share may hang. */
  copyCheckMs: 5_000,
  /** A node that is stopped leaves copying so long to finish, and then again to stop. */
  copyEndMs: 1_500,
  /** After SIGKILL only a system call that cannot be interrupted keeps a process. */
  copyKillMs: 500,
  /** Between two attempts to copy, when it fails for long. */
  copyRetryMsMax: 60_000,
  /** Retention is applied this often at most: it reads the catalogue. */
  retentionMs: 10_000,
  /** Damages that are listed one by one; more say nothing new. */
  damagesMax: 1000,
} as const;
