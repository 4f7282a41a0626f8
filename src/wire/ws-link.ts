/**
 * Frames over a WebSocket: the pipe below a link between two hosts, and the settings both of its
 * ends share.
 */
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { UnderstudyError } from '../base/errors.ts';
import { isLoopback } from '../base/loopback.ts';
import { wireLimits } from './limits.ts';
import type { FramePipe, PipeHandlers } from './pipe.ts';
import type { LinkTls } from './tls.ts';

/** The path that links are opened on; anything else is refused before the upgrade. */
export const linkPath = '/link';

/** Compression would cost latency on frames that are packed already. */
export const sharedWsOptions = {
  perMessageDeflate: false,
  maxPayload: wireLimits.frameBytes,
  skipUTF8Validation: true,
  // A frame comes in one WebSocket fragment; a few more are tolerated.
  maxFragments: 4,
} as const;

/**
 * Masking protects plain-text proxies from scripts in browsers; here there is TLS or loopback and
 * no browser. A mask of zeros says "masked" and costs neither a copy nor a pass over the bytes.
 */
export const clientWsOptions: ClientOptions = {
  ...sharedWsOptions,
  generateMask: (mask) => void mask.fill(0),
  followRedirects: false,
  handshakeTimeout: wireLimits.helloMs,
};

/** Refuses plain text to anywhere but this machine. */
export function requireTlsOffLoopback(host: string, tls: LinkTls | undefined, verb: string): void {
  if (tls !== undefined || isLoopback(host)) return;
  throw new UnderstudyError(
    'link',
    `Cannot ${verb} '${host}' without TLS: plain links are for loopback addresses only`,
    { hint: 'Use wss with a shared secret or certificates (docs/security.md), or 127.0.0.1.' },
  );
}

/**
 * A pipe over an open or opening WebSocket. `ws` switches Nagle's algorithm off by itself. Every
 * event of the socket has a listener, so none can end the process.
 */
export class WsPipe implements FramePipe {
  readonly #ws: WebSocket;
  #handlers: PipeHandlers | undefined;
  #closeTimer: NodeJS.Timeout | undefined;

  constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.binaryType = 'nodebuffer';
    ws.on('message', (data: RawData) => this.#handlers?.onFrame(data as Buffer));
    ws.on('error', (error) => this.#failed(error));
    ws.on('close', (code, reason) => {
      clearTimeout(this.#closeTimer);
      this.#handlers?.onClose(code, reason.toString());
    });
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  attach(handlers: PipeHandlers): void {
    this.#handlers = handlers;
  }

  send(frame: Buffer): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(frame, this.#accepted);
  }

  close(code: number, reason: string): void {
    if (this.#ws.readyState === WebSocket.CLOSED || this.#closeTimer !== undefined) return;
    this.#ws.close(code, reason);
    // A peer that is gone never answers the close; it must not hold the socket.
    this.#closeTimer = setTimeout(() => this.#ws.terminate(), wireLimits.closeMs);
    this.#closeTimer.unref();
  }

  /** One function for all frames: a closure each would be garbage two thousand times a second. */
  readonly #accepted = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#handlers?.onDrain();
  };

  #failed(error: Error): void {
    // A broken connection is told by 'close'; only breaches of the protocol are told here.
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('WS_ERR_') === true) this.#handlers?.onError(error);
  }
}
