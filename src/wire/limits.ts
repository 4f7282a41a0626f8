/**
 * Every size, window and wait of the wire that has a limit, with its reason. Units come last.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

export const wireLimits = {
  /** A guest's largest event is a 64 KiB network frame; this leaves room for a packed batch. */
  logPayloadBytes: 1 * MiB,
  /** One piece of bulk: at 1 Gbit/s a log frame waits at most 2 ms for the piece before it. */
  blobPayloadBytes: 256 * KiB,
  /** The largest control message is a cut: 5 bytes for each 256 KiB of RAM, so 32 GiB fit. */
  controlPayloadBytes: 1 * MiB,
  /** A hello comes from someone not yet known: a few names and a digest, no more. */
  helloPayloadBytes: 8 * KiB,
  /** What the WebSocket layer may assemble: the largest of the above and its head. */
  frameBytes: 1 * MiB + 64,
  /** A log frame once unpacked: 16 times the packed limit. More is a packing bomb. */
  logRawBytes: 16 * MiB,
  /** Nesting of a control message: a cut has 3 levels. */
  controlDepth: 8,
  /** Values in a control message: a cut's checksums and the rest of it. An empty map is a byte on
   *  the wire and sixty in memory, so this bounds what 1 MiB can become. */
  controlValues: 132_000,

  /** Log sent and not taken. At 20 ms round trip this still allows 400 MB/s. */
  logCreditBytes: 8 * MiB,
  /** Bulk sent and not taken. It bounds what can sit in kernel buffers in front of a log frame:
   *  8 ms at 1 Gbit/s, and still 100 MB/s at 10 ms round trip. */
  bulkCreditBytes: 1 * MiB,
  /** Log credit goes back in sixteenths of the window: few messages, and what is in flight is known
   *  to 512 KiB. */
  logGrantFraction: 16,
  /** Bulk credit goes back by the piece: the window holds only four. */
  bulkGrantFraction: 4,

  /** Log that waits for credit: far beyond the core's hard bound on lag, which acts first. */
  logQueueBytes: 64 * MiB,
  /** Control messages and acks that wait: a peer this far behind does not read at all. */
  controlQueueBytes: 8 * MiB,
  /** `ready()` holds callers back beyond this: two pieces keep the connection busy. */
  bulkQueueBytes: 512 * KiB,
  /** A caller that ignores `ready()` is stopped here: 16 pieces. */
  bulkQueueHardBytes: 4 * MiB,

  /** Given to the socket and not yet accepted by the kernel. More only makes queues invisible. */
  pipeBytes: 1 * MiB,
  /** Bulk is given to the socket only below this, so that log finds it almost empty. */
  pipeBulkBytes: 64 * KiB,

  /** Control messages kept for a handler that is not set yet; log and bulk have no credit then. */
  earlyMessages: 64,
  /** From the first packet to the hello of the other side. A takeover waits for nobody. */
  helloMs: 2000,
  /** From our close to the end of the connection, should the peer not answer. */
  closeMs: 1000,
  /** From a connection's first packet to its hello: TLS, HTTP and the exchange, none of them at its
   *  limit. A stranger keeps a place no longer. */
  strangerMs: 4000,
  /** Connections that have not said hello yet; the oldest makes room. A pair needs one. */
  strangers: 24,
  /** Connections in all, links included. A pair needs two, while a link takes another's place. */
  connections: 32,
  /** Refusals told in a minute: whoever scans the port must not fill the disk with log. What two
   *  nodes refuse each other for is not among them: each cause is told once a minute. */
  refusalsToldPerMinute: 20,
  /** Causes of which that is known; more are of somebody who makes them up. */
  refusalCauses: 32,

  /** A WebSocket close reason is at most 123 bytes of UTF-8. */
  closeReasonBytes: 123,
  /** Words in control messages: identifiers, and sentences for people. */
  nameChars: 200,
  sentenceChars: 2000,
  /** Parts of a machine that a hello names; there are some ten, and one for each disk. */
  machineParts: 64,
  /** Disks of a machine; QEMU's PCI bus ends before this. */
  disks: 32,
  /** Differences named in a cut result: more help nobody. */
  differences: 64,
  /** RAM checksums in a cut: 32 GiB in blocks of 256 KiB. */
  ramDigestBlocks: 131_072,
} as const;
