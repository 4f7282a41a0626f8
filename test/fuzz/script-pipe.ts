/** A pipe whose other end is the fuzzer: it delivers what it likes, and sees what is sent. */
import type { FramePipe, PipeHandlers } from '../../src/wire/pipe.ts';
import { must } from './target.ts';

export class ScriptPipe implements FramePipe {
  readonly sent: Buffer[] = [];
  bufferedBytes = 0;
  closedWith: number | undefined;
  #handlers: PipeHandlers | undefined;
  #ended = false;

  attach(handlers: PipeHandlers): void {
    this.#handlers = handlers;
  }

  send(frame: Buffer): void {
    if (this.closedWith === undefined) this.sent.push(frame);
  }

  close(code: number, reason: string): void {
    must(Buffer.byteLength(reason) <= 123, 'a close reason is too long for a close frame');
    this.closedWith ??= code;
  }

  /** As a socket: frames that were on their way may still arrive after our `close`. */
  deliver(frame: Buffer): void {
    if (!this.#ended) this.#handlers?.onFrame(frame);
  }

  drain(): void {
    if (!this.#ended) this.#handlers?.onDrain();
  }

  fail(error: Error): void {
    if (!this.#ended) this.#handlers?.onError(error);
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers?.onClose(code, reason);
  }
}
