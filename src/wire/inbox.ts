/**
 * The receiving half of a link: hands messages over and gives credit back.
 *
 * Intuition: credit is a promise of memory. It is given only once there is a handler, renewed only
 * for what the handler has taken, and a peer that overdraws it is refused. So a slow handler holds
 * back its peer, and never fills this process.
 *
 * Invariants
 *  1. Bytes received and not yet taken never exceed the window, for log and for bulk.
 *  2. Messages are handed over in the order they arrived, also those from before the handler.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import type { LinkCloseCode, LinkMessage, MessageHandler } from '../ports/link.ts';
import { Fifo } from './fifo.ts';
import { wireLimits } from './limits.ts';

/** What the peer may send, and what of it was taken, in bytes since the link began. */
class Allowance {
  readonly #window: number;
  readonly #step: number;
  #received = 0;
  #taken = 0;
  granted = 0;

  constructor(window: number, fraction: number) {
    this.#window = window;
    this.#step = Math.floor(window / fraction);
  }

  get pendingBytes(): number {
    return this.#received - this.#taken;
  }

  open(): void {
    this.granted = this.#window;
  }

  receive(bytes: number): boolean {
    this.#received += bytes;
    return this.#received <= this.granted;
  }

  /** True when it is time to tell the peer. */
  take(bytes: number): boolean {
    this.#taken += bytes;
    const due = this.#taken + this.#window;
    if (due - this.granted < this.#step) return false;
    this.granted = due;
    return true;
  }
}

export interface InboxOutputs {
  /** Tells the peer its totals. */
  grant(log: number, bulk: number): void;
  fail(code: LinkCloseCode, error: UnderstudyError): void;
}

interface Early {
  readonly message: LinkMessage;
  readonly bytes: number;
}

export class Inbox {
  readonly #outputs: InboxOutputs;
  readonly #log = new Allowance(wireLimits.logCreditBytes, wireLimits.logGrantFraction);
  readonly #bulk = new Allowance(wireLimits.bulkCreditBytes, wireLimits.bulkGrantFraction);
  readonly #early = new Fifo<Early>();
  #handler: MessageHandler | undefined;
  #stopped = false;

  constructor(outputs: InboxOutputs) {
    this.#outputs = outputs;
  }

  /** Received and not yet taken. */
  get pendingBytes(): number {
    return this.#log.pendingBytes + this.#bulk.pendingBytes;
  }

  setHandler(handler: MessageHandler): void {
    if (this.#handler !== undefined) {
      throw new UnderstudyError('link', 'Cannot set a second message handler on a link');
    }
    this.#handler = handler;
    this.#log.open();
    this.#bulk.open();
    this.#outputs.grant(this.#log.granted, this.#bulk.granted);
    queueMicrotask(() => this.#handOverEarly());
  }

  /** A message of `bytes` bytes on the wire arrived. */
  received(message: LinkMessage, bytes: number): void {
    if (this.#stopped) return;
    const allowance = this.#allowanceOf(message);
    if (allowance !== undefined && !allowance.receive(bytes)) {
      const what = `Cannot take a ${message.kind} frame of ${bytes} bytes: the peer had credit up to`;
      const error = new UnderstudyError('link', `${what} byte ${allowance.granted}`);
      this.#outputs.fail('credit', error);
      return;
    }
    if (this.#handler !== undefined && this.#early.length === 0) {
      this.#handOver(this.#handler, message, bytes);
      return;
    }
    if (this.#early.length >= wireLimits.earlyMessages) {
      const what = `more than ${wireLimits.earlyMessages} messages arrived before anyone listened`;
      this.#outputs.fail('overflow', new UnderstudyError('link', `Cannot keep a message: ${what}`));
      return;
    }
    this.#early.push({ message, bytes });
  }

  /** Nothing is handed over any more. */
  stop(): void {
    this.#stopped = true;
    this.#early.clear();
  }

  #handOverEarly(): void {
    for (let early = this.#early.first; early !== undefined; early = this.#early.first) {
      // Shifted only afterwards: what arrives meanwhile must queue up behind it.
      if (this.#handler !== undefined) this.#handOver(this.#handler, early.message, early.bytes);
      if (this.#stopped) return;
      this.#early.shift();
    }
  }

  #handOver(handler: MessageHandler, message: LinkMessage, bytes: number): void {
    let result: void | Promise<void>;
    try {
      result = handler(message);
    } catch (thrown) {
      this.#handlerFailed(message, thrown);
      return;
    }
    if (result === undefined) {
      this.#taken(message, bytes);
      return;
    }
    result.then(
      () => this.#taken(message, bytes),
      (thrown: unknown) => this.#handlerFailed(message, thrown),
    );
  }

  #taken(message: LinkMessage, bytes: number): void {
    if (this.#stopped || this.#allowanceOf(message)?.take(bytes) !== true) return;
    this.#outputs.grant(this.#log.granted, this.#bulk.granted);
  }

  #handlerFailed(message: LinkMessage, thrown: unknown): void {
    const what = message.kind === 'control' ? message.control.type : message.kind;
    const cause = asError(thrown);
    const error = new UnderstudyError('link', `The handler of a ${what} message failed`, { cause });
    this.#outputs.fail('handler', error);
  }

  #allowanceOf(message: LinkMessage): Allowance | undefined {
    switch (message.kind) {
      case 'log':
        return this.#log;
      case 'blob':
        return this.#bulk;
      case 'ack':
      case 'control':
        return undefined;
    }
  }
}
