/**
 * The limits of the event log, with their reasons. A unit comes last in each name.
 *
 * They are deliberately close to what QEMU can write: a length beyond them means that the bytes
 * are not an event log, and it is better to say so at once than to wait for megabytes that will
 * never come.
 */
export const bounds = {
  /**
   * An INSTRUCTION count is the difference of two icounts as a positive C int (replay-internal.c).
   */
  instructionCountMax: 0x7fff_ffff,
  /** QEMU's largest packet buffer is NET_BUFSIZE = 69632 bytes (net.h); twice that, rounded. */
  netBytesMax: 131_072,
  /** Character backends hand over at most a few KiB at once; a whole clipboard is the outlier. */
  charBytesMax: 1_048_576,
  /** A virtio-rng guest chooses the size of its request; QEMU logs it in one RANDOM event. */
  randomBytesMax: 16_777_216,
  /** Samples of one AUDIO_IN event (16 bytes each): a capture ring is a few thousand samples. */
  audioSamplesMax: 65_536,
  /** What a packed segment may unpack to: one push of a tail plus one largest event. */
  unpackedBytesMax: 33_554_432,
  /** Below this many bytes deflate saves less than it costs; the segment goes as it is. */
  deflateFromBytes: 96,
  /**
   * Up to this size a segment is packed hard: it is short, and latency is its packet's, not ours.
   */
  deflateHardBytesMax: 8192,
  /** What deflate may refer back to in earlier segments: more costs time and wins little. */
  dictionaryBytes: 4096,
  /**
   * Disk requests completed out of order: a queue of 1024 on each of 64 disks. A wider gap between
   * two ids means a misread log.
   */
  requestWindowMax: 65_536,
  /** Completions remembered while a cut is being judged: seconds of a very busy disk. */
  cutCompletionsMax: 262_144,
} as const;
