/**
 * Egress: the wire between the guest's network card and the outside world.
 *
 * Intuition: a network cable that is plugged in only in a node's own term. Like any cable it may
 * lose a frame (the guests' protocols send again), so nothing here waits, and nothing is kept for
 * a peer that is not there. Frames are whole Ethernet frames, without checksum.
 *
 * What an egress owes to its node:
 * 1. **Silent until told.** Before `open` resolves and from the moment `close` is called, not one
 *    frame reaches the outside, and none comes from it to the listener.
 * 2. `prepare` may be called before the term is won: it does the slow work of `open` (devices,
 *    namespaces) so that `open` is short in a takeover. It says nothing to the outside. `open`
 *    prepares by itself if nobody did.
 * 3. What reached a prepared egress shortly before `open` may be handed to the listener after it:
 *    a client's frame that came between two speakers is not lost.
 * 4. `send` never throws, never blocks and takes frames in order. The caller must not change the
 *    buffers afterwards. What cannot leave at once is dropped and counted.
 * 5. The listener gets each frame in its own memory, in order of arrival, never from inside a call
 *    of `send`.
 * 6. `announce` makes switches learn where the guest's addresses are now: one RARP broadcast for
 *    each, at once and a few times more, because one may be lost. A later call replaces the series;
 *    `close` ends it. Only while open; otherwise it does nothing.
 * 7. When frames cannot pass any more the `onDown` listener is told once, with the reason and
 *    whether the egress tries to come back by itself. If it does, it is silent about succeeding
 *    except in `stats().connected`, and it repeats the last announcement.
 * 8. `open` rejects with an `UnderstudyError` that says what is missing and leaves nothing behind.
 * 9. `close` is final, may be called at any time and any number of times, and resolves when devices
 *    and sockets are gone. A process that dies without it leaves nothing behind either.
 */
import type { UnderstudyError } from '../base/errors.ts';

export interface EgressStats {
  /** Whether a frame sent now would leave. */
  readonly connected: boolean;
  /** Frames that left for the outside. */
  readonly framesSent: number;
  /** Frames that came from the outside and were handed to the listener. */
  readonly framesReceived: number;
  /** Frames of the guest that could not leave: no peer, no room, or the device refused. */
  readonly framesDropped: number;
}

export type FrameListener = (frame: Buffer) => void;
export type DownListener = (reason: UnderstudyError, recovering: boolean) => void;

export interface Egress {
  prepare(): Promise<void>;
  open(): Promise<void>;
  send(frames: readonly Buffer[]): void;
  /** Sets the one listener; set it before `open`. */
  onFrame(listener: FrameListener): void;
  /** MAC addresses as `52:54:00:12:34:56`. */
  announce(macs: readonly string[]): void;
  /** Sets the one listener. */
  onDown(listener: DownListener): void;
  stats(): EgressStats;
  close(): Promise<void>;
}
