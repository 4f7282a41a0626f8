/**
 * FramedLink: the port `Link` over any pipe that carries frames.
 *
 * Purpose: join the sending half (outbox.ts), the receiving half (inbox.ts) and the frame formats,
 * and end all of them together, once, with a reason. Whatever arrives, valid or not, ends in a
 * message, in credit or in `closed`; nothing escapes as an exception.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Millis, Term } from '../base/units.ts';
import type {
  Hello,
  Link,
  LinkCloseCode,
  LinkClosed,
  LinkMessage,
  LinkStatus,
  MessageHandler,
} from '../ports/link.ts';
import { closeCodeOfNumber, fitCloseReason, numberOfCloseCode } from './close-codes.ts';
import { isLinkControl, type LinkControl, packControl, unpackControl } from './control.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { FramePipe, PipeHandlers } from './pipe.ts';

export interface FramedLinkOptions {
  readonly pipe: FramePipe;
  readonly peer: Hello;
  /** The term of this node, for the link's own messages until a message is sent. */
  readonly term: Term;
  /** A monotonic clock. */
  readonly now: () => Millis;
}

type State = { readonly kind: 'open' } | { readonly kind: 'closed'; readonly closed: LinkClosed };

export class FramedLink implements Link {
  readonly peer: Hello;
  readonly #pipe: FramePipe;
  readonly #now: () => Millis;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #closeHandlers: ((closed: LinkClosed) => void)[] = [];
  #state: State = { kind: 'open' };
  #term: Term;
  #lastReceivedAt: Millis;
  #receivedBytes = 0;

  constructor(options: FramedLinkOptions) {
    this.peer = options.peer;
    this.#pipe = options.pipe;
    this.#now = options.now;
    this.#term = options.term;
    this.#lastReceivedAt = options.now();
    this.#outbox = new Outbox(options.pipe, (what) =>
      this.#fail('overflow', new UnderstudyError('link', `Cannot send: ${what}`)),
    );
    this.#inbox = new Inbox({
      grant: (log, bulk) => this.#sendOwn({ type: 'credit', log, bulk }),
      fail: (code, error) => this.#fail(code, error),
    });
    options.pipe.attach(this.#pipeHandlers());
  }

  send(message: LinkMessage): void {
    if (this.#state.kind === 'closed') return;
    this.#term = message.term;
    switch (message.kind) {
      case 'log':
      case 'ack':
        this.#outbox.pushOrdered(message.kind, encodeFrame(message));
        return;
      case 'blob':
        this.#outbox.pushBulk(encodeFrame(message));
        return;
      case 'control': {
        const { kind, term, control } = message;
        const frame = encodeFrame({ kind, term, payload: packControl(control) });
        if (control.type === 'heartbeat') this.#outbox.pushUrgent(frame);
        else this.#outbox.pushOrdered('control', frame);
        return;
      }
    }
  }

  ready(): Promise<void> {
    return this.#outbox.ready();
  }

  onMessage(handler: MessageHandler): void {
    this.#inbox.setHandler(handler);
  }

  onClose(handler: (closed: LinkClosed) => void): void {
    this.#closeHandlers.push(handler);
    const state = this.#state;
    if (state.kind === 'closed') queueMicrotask(() => this.#tell(handler, state.closed));
  }

  close(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#inbox.stop();
    this.#outbox.flushAndClose(closedError(reason));
    this.#pipe.close(numberOfCloseCode('closed'), fitCloseReason(reason));
    this.#becomeClosed({ by: 'us', code: 'closed', message: reason });
  }

  status(): LinkStatus {
    const outbox = this.#outbox;
    return {
      open: this.#state.kind === 'open',
      logInFlightBytes: outbox.logInFlightBytes,
      logQueuedBytes: outbox.logQueuedBytes,
      bulkInFlightBytes: outbox.bulkInFlightBytes,
      bulkQueuedBytes: outbox.bulkQueuedBytes,
      lastReceivedAt: this.#lastReceivedAt,
      sentBytes: outbox.sentBytes,
      receivedBytes: this.#receivedBytes,
    };
  }

  #pipeHandlers(): PipeHandlers {
    return {
      onFrame: (frame) => this.#received(frame),
      onDrain: () => this.#outbox.pump(),
      onError: (cause) =>
        this.#fail('bad-frame', new UnderstudyError('link', 'The transport failed', { cause })),
      onClose: (number, reason) => this.#pipeClosed(number, reason),
    };
  }

  #received(bytes: Buffer): void {
    if (this.#state.kind === 'closed') return;
    this.#lastReceivedAt = this.#now();
    this.#receivedBytes += bytes.length;
    let message: LinkMessage | LinkControl;
    try {
      message = decodeMessage(bytes);
    } catch (thrown) {
      this.#fail('bad-frame', asLinkError(thrown));
      return;
    }
    if ('kind' in message) this.#inbox.received(message, bytes.length);
    else this.#receivedOwn(message);
  }

  #receivedOwn(control: LinkControl): void {
    switch (control.type) {
      case 'credit':
        this.#outbox.granted(control.log, control.bulk);
        return;
      case 'helloRefused': {
        const message = `Node '${this.peer.node}' refused the link: ${control.message}`;
        const error = new UnderstudyError('link', message);
        this.#becomeClosed({ by: 'peer', code: 'refused', message, error });
        this.#pipe.close(numberOfCloseCode('closed'), '');
        return;
      }
      case 'hello':
      case 'proof':
        this.#fail('bad-frame', new UnderstudyError('link', `A second ${control.type} arrived`));
        return;
    }
  }

  #sendOwn(control: LinkControl): void {
    const payload = packControl(control);
    this.#outbox.pushUrgent(encodeFrame({ kind: 'control', term: this.#term, payload }));
  }

  #fail(code: LinkCloseCode, error: UnderstudyError): void {
    if (this.#state.kind === 'closed') return;
    this.#becomeClosed({ by: 'us', code, message: error.message, error });
    this.#pipe.close(numberOfCloseCode(code), fitCloseReason(error.message));
  }

  #pipeClosed(number: number, reason: string): void {
    const code = closeCodeOfNumber(number);
    const by = code === 'vanished' ? 'network' : 'peer';
    const message = reason !== '' ? reason : describeSilentClose(code, number);
    this.#becomeClosed({ by, code, message });
  }

  #becomeClosed(closed: LinkClosed): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed', closed };
    if (closed.by === 'us') this.#inbox.stop();
    this.#outbox.close(closed.error ?? closedError(closed.message));
    // Later, so that nobody is called back from within their own `send` or `close`.
    queueMicrotask(() => {
      for (const handler of this.#closeHandlers.splice(0)) handler(closed);
    });
  }

  #tell(handler: (closed: LinkClosed) => void, closed: LinkClosed): void {
    const index = this.#closeHandlers.indexOf(handler);
    if (index < 0) return;
    this.#closeHandlers.splice(index, 1);
    handler(closed);
  }
}

function decodeMessage(bytes: Buffer): LinkMessage | LinkControl {
  const frame = decodeFrame(bytes);
  if (frame.kind !== 'control') return frame;
  const control = unpackControl(frame.payload);
  return isLinkControl(control) ? control : { kind: 'control', term: frame.term, control };
}

function asLinkError(thrown: unknown): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  return new UnderstudyError('link', 'Cannot read a frame', { cause: asError(thrown) });
}

function closedError(reason: string): UnderstudyError {
  return new UnderstudyError('link', `The link is closed: ${reason}`);
}

function describeSilentClose(code: LinkCloseCode, number: number): string {
  if (code === 'vanished') return 'the connection broke without a word';
  return `the peer closed the link with code ${number} and no reason`;
}
