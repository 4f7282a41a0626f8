/**
 * FramePipe: what a link needs of a transport. Ordered, reliable while it lives, one frame a call.
 *
 * Contract
 *  1. `send` never blocks; what it could not pass on yet counts in `bufferedBytes`, and `onDrain`
 *     is called some time after that number fell.
 *  2. `onFrame` is called in the order of the other side's `send`, never after `onClose`.
 *  3. `onClose` is called once, also after `close`. Code 1006 means that no reason was given.
 *  4. `close` passes on what was sent before, then the code and the reason, and ends within
 *     `closeMs`.
 */
export interface PipeHandlers {
  onFrame(frame: Buffer): void;
  onDrain(): void;
  /** The other side broke the rules of the transport; the pipe is about to close. */
  onError(error: Error): void;
  onClose(code: number, reason: string): void;
}

export interface FramePipe {
  readonly bufferedBytes: number;
  /** Sets the handlers, in the place of earlier ones. */
  attach(handlers: PipeHandlers): void;
  send(frame: Buffer): void;
  close(code: number, reason: string): void;
}
