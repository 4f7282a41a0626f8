/** Dial: opens a link to a node that listens. */
import { performance } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Millis } from '../base/units.ts';
import type { Link } from '../ports/link.ts';
import { greet, HelloRefused, type Identity } from './hello.ts';
import { wireLimits } from './limits.ts';
import { channelOf, clientTls, hintOfTls, type LinkSecurity } from './tls.ts';
import { clientWsOptions, linkPath, requireTlsOffLoopback, WsPipe } from './ws-link.ts';

export interface DialOptions extends LinkSecurity {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
  readonly signal?: AbortSignal;
  /** @default performance.now */
  readonly now?: () => Millis;
}

/**
 * Connects and exchanges hellos, within `helloMs` each. One attempt: when to try again is the
 * caller's. Rejects with `UnderstudyError` ('link').
 */
export async function dial(options: DialOptions): Promise<Link> {
  const { host, port, identity, tls, secret, signal } = options;
  const now = options.now ?? (() => performance.now() as Millis);
  requireTlsOffLoopback(host, tls, 'dial');
  const where = `${host}:${port}`;
  const literal = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const url = `${tls === undefined ? 'ws' : 'wss'}://${literal}:${port}${linkPath}`;
  const ws = new WebSocket(url, {
    ...clientWsOptions,
    // ws hands these to node:tls as they are, and declares only some of them.
    ...(tls === undefined ? {} : (clientTls(tls) as object)),
  });
  const abort = (): void => ws.terminate();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted === true) abort();
    const channel = await opened(ws, where);
    const auth = secret === undefined ? {} : { auth: { secret, channel } };
    return await greet(new WsPipe(ws), { role: 'dialer', identity, now, ...auth });
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Resolves with the binding of the channel, in the turn that the connection opens: the listener
 * stays silent until our hello.
 */
function opened(ws: WebSocket, where: string): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    let channel: Buffer = Buffer.alloc(0);
    ws.once('upgrade', ({ socket }) => (channel = channelOf(socket)));
    ws.once('open', () => resolve(channel));
    // Stays: a socket that is terminated while it connects tells an error once more.
    ws.on('error', (thrown) => reject(cannotDial(where, thrown)));
    ws.once('close', () => reject(cannotDial(where, new Error('the connection was closed'))));
  });
}

function cannotDial(where: string, thrown: unknown): UnderstudyError {
  const cause = asError(thrown);
  const { code } = cause as NodeJS.ErrnoException;
  const tlsHint = hintOfTls(cause);
  if (tlsHint !== undefined) {
    const message = `Cannot connect to ${where}: the TLS handshake failed`;
    return new HelloRefused(message, { refused: 'tls', hint: tlsHint, cause });
  }
  const hint =
    code === 'ECONNREFUSED'
      ? 'Start the other node, or check the address and port.'
      : `Check that the address is a node's link port and answers within ${wireLimits.helloMs} ms.`;
  return new UnderstudyError('link', `Cannot connect to ${where}: ${cause.message}`, {
    cause,
    hint,
  });
}
