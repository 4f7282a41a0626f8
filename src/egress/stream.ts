/**
 * Egress over a stream socket with length-prefixed frames: passt, another QEMU, a switch.
 *
 * passt serves one client and closes a second one at once. So nothing is connected before `open`,
 * and a refused or broken connection is tried again for as long as the egress is open.
 *
 * States: idle -> opening -> connected <-> broken -> closed. A frame passes only when connected.
 */
import { connect, type Socket } from 'node:net';
import { asError, UnderstudyError } from '../base/errors.ts';
import {
  encodeStreamFrames,
  StreamFrameDecoder,
  streamFrameBytesMax,
} from '../base/stream-frames.ts';
import type { DownListener, Egress, EgressStats, FrameListener } from '../ports/egress.ts';
import { Announcer } from './announce.ts';
import { egressLimits } from './limits.ts';

export type StreamAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

export interface StreamEgressOptions {
  /** @default egressLimits.streamOpenMs */
  readonly openMs?: number;
  /** @default egressLimits.streamRetryMsMin */
  readonly retryMsMin?: number;
}

type State =
  | { readonly is: 'idle' }
  | { readonly is: 'opening'; readonly settle: (error?: UnderstudyError) => void }
  | { readonly is: 'connected'; readonly socket: Socket }
  | { readonly is: 'broken' }
  | { readonly is: 'closed' };

export class StreamEgress implements Egress {
  readonly #address: StreamAddress;
  readonly #openMs: number;
  readonly #retryMsMin: number;
  readonly #announcer = new Announcer((frames) => this.send(frames));
  #state: State = { is: 'idle' };
  /** The connection being tried or in use. */
  #socket: Socket | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryMs: number;
  #lastError: Error | undefined;
  #frameListener: FrameListener = () => {};
  #downListener: DownListener = () => {};
  #framesSent = 0;
  #framesReceived = 0;
  #framesDropped = 0;

  constructor(address: StreamAddress, options: StreamEgressOptions = {}) {
    this.#address = address;
    this.#openMs = options.openMs ?? egressLimits.streamOpenMs;
    this.#retryMsMin = options.retryMsMin ?? egressLimits.streamRetryMsMin;
    this.#retryMs = this.#retryMsMin;
  }

  /** Nothing: the peer serves one client, and that is the speaker of the present term. */
  prepare(): Promise<void> {
    return Promise.resolve();
  }

  open(): Promise<void> {
    if (this.#state.is !== 'idle') {
      return Promise.reject(
        new UnderstudyError('link', `Cannot open the egress to ${this.#where}: it was opened once`),
      );
    }
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(), this.#openMs);
      const settle = (error?: UnderstudyError): void => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#state = { is: 'opening', settle };
      this.#connect();
    });
  }

  send(frames: readonly Buffer[]): void {
    const state = this.#state;
    if (state.is !== 'connected' || state.socket.writableLength > egressLimits.streamBacklogBytes) {
      this.#framesDropped += frames.length;
      return;
    }
    const fitting = frames.filter(
      (frame) => frame.length > 0 && frame.length <= streamFrameBytesMax,
    );
    this.#framesDropped += frames.length - fitting.length;
    if (fitting.length === 0) return;
    this.#framesSent += fitting.length;
    state.socket.write(encodeStreamFrames(fitting));
  }

  onFrame(listener: FrameListener): void {
    this.#frameListener = listener;
  }

  announce(macs: readonly string[]): void {
    if (this.#state.is === 'connected' || this.#state.is === 'broken') this.#announcer.start(macs);
  }

  onDown(listener: DownListener): void {
    this.#downListener = listener;
  }

  stats(): EgressStats {
    return {
      connected: this.#state.is === 'connected',
      framesSent: this.#framesSent,
      framesReceived: this.#framesReceived,
      framesDropped: this.#framesDropped,
    };
  }

  close(): Promise<void> {
    const before = this.#state;
    this.#state = { is: 'closed' };
    this.#announcer.stop();
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (before.is === 'opening') {
      before.settle(new UnderstudyError('link', `The egress to ${this.#where} was closed`));
    }
    if (socket === undefined || socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      socket.once('close', () => resolve());
      socket.destroy();
    });
  }

  get #where(): string {
    return 'path' in this.#address
      ? this.#address.path
      : `${this.#address.host} port ${this.#address.port}`;
  }

  #connect(): void {
    const socket = connect(this.#address);
    this.#socket = socket;
    const decoder = new StreamFrameDecoder();
    socket.setNoDelay(true);
    socket.on('connect', () => this.#becomeConnected(socket));
    socket.on('data', (chunk) => {
      try {
        this.#deliver(decoder.push(chunk));
      } catch (thrown) {
        socket.destroy(asError(thrown));
      }
    });
    socket.on('error', (error) => {
      this.#lastError = error;
    });
    socket.on('close', () => this.#becomeBroken(socket));
  }

  #deliver(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      if (this.#state.is !== 'connected') return;
      this.#framesReceived += 1;
      this.#frameListener(frame);
    }
  }

  #becomeConnected(socket: Socket): void {
    const before = this.#state;
    if (before.is !== 'opening' && before.is !== 'broken') return;
    this.#lastError = undefined;
    this.#state = { is: 'connected', socket };
    if (before.is === 'opening') before.settle();
    else this.#announcer.repeat();
  }

  #becomeBroken(socket: Socket): void {
    if (this.#socket !== socket || this.#state.is === 'closed') return;
    const wasConnected = this.#state.is === 'connected';
    if (wasConnected) this.#state = { is: 'broken' };
    // A connection that carried something was a real one: begin with short waits again.
    if (socket.bytesRead > 0) this.#retryMs = this.#retryMsMin;
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, egressLimits.streamRetryMsMax);
    if (wasConnected) {
      this.#downListener(
        new UnderstudyError('link', `The egress to ${this.#where} lost its connection`, {
          cause: this.#lastError,
          hint: 'see whether the program behind that socket still runs, and serves nobody else',
        }),
        true,
      );
    }
  }

  #giveUp(): void {
    const state = this.#state;
    if (state.is !== 'opening') return;
    const error = new UnderstudyError(
      'link',
      `Cannot open the egress to ${this.#where}: nobody answered for ${this.#openMs} ms`,
      {
        cause: this.#lastError,
        hint: 'start the program that listens there (passt, for example) first',
      },
    );
    this.#state = { is: 'idle' };
    void this.close().then(() => state.settle(error));
  }
}
