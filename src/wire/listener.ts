/**
 * Listener: accepts links on one port.
 *
 * Before a hello a stranger can cost little: few connections at a time (strangers.ts), small heads,
 * one deadline, no page in a browser (an Origin header is refused), few lines of log, and nothing
 * is handed to the node.
 */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Millis } from '../base/units.ts';
import type { Link } from '../ports/link.ts';
import { greet, HelloRefused, type Identity } from './hello.ts';
import { wireLimits } from './limits.ts';
import { LinkSecret } from './secret.ts';
import { remoteOf, Strangers } from './strangers.ts';
import { channelOf, hintOfTls, type LinkSecurity, type LinkTls, serverTls } from './tls.ts';
import { linkPath, requireTlsOffLoopback, sharedWsOptions, WsPipe } from './ws-link.ts';

export interface ListenOptions extends LinkSecurity {
  /** An address, not a name. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Asked at each hello, as the term changes. */
  readonly identity: () => Identity;
  /** A link whose hello fits. Set its handlers before returning. */
  readonly onLink: (link: Link) => void;
  /** A connection that became no link, for the log: a few a minute, and each cause by itself. */
  readonly onRefused?: (error: UnderstudyError, remote: string) => void;
  /** Two nodes refused each other: each time. Anybody who can dial may be the other one. */
  readonly onPeerRefused?: (error: HelloRefused) => void;
  /** @default performance.now */
  readonly now?: () => Millis;
}

export interface LinkListener {
  readonly host: string;
  readonly port: number;
  /** Frees the port and drops unfinished hellos. Links that are open live on. */
  close(): Promise<void>;
}

/** Rejects with `UnderstudyError` ('resources', 'rights', 'link') when the port cannot be had. */
export async function listen(options: ListenOptions): Promise<LinkListener> {
  const { host, port, tls } = options;
  requireTlsOffLoopback(host, tls, 'listen on');
  const httpOptions = {
    maxHeaderSize: wireLimits.helloPayloadBytes,
    headersTimeout: wireLimits.helloMs,
    requestTimeout: wireLimits.helloMs,
    connectionsCheckingInterval: wireLimits.helloMs,
  };
  const server =
    tls === undefined
      ? http.createServer(httpOptions)
      : https.createServer({ ...httpOptions, ...serverTls(tls) });
  server.maxConnections = wireLimits.connections;
  server.on('request', (_request, response) => {
    response.writeHead(426, { connection: 'close' }).end('This port is for links between nodes.\n');
  });
  const acceptor = new Acceptor(options);
  server.on('connection', (socket: Socket) => acceptor.strangers.admit(socket));
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    acceptor.refused(handshakeFailure(error, tls), { remote: remoteOf(socket) });
  });
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head));
  await bound(server, host, port);
  // An accept that fails later (no file descriptors left) costs a connection, not the node.
  server.on('error', (error) => acceptor.refused(error, { remote: 'unknown' }));
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: () => {
      acceptor.close();
      const closed = new Promise<void>((resolve) => setImmediate(resolve));
      server.close();
      server.closeIdleConnections();
      return closed;
    },
  };
}

class Acceptor {
  readonly #options: ListenOptions;
  readonly #now: () => Millis;
  readonly #wsServer = new WebSocketServer({
    ...sharedWsOptions,
    noServer: true,
    clientTracking: false,
  });
  readonly strangers = new Strangers();
  readonly #told = new Told();
  #closed = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now() as Millis);
  }

  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const remote = remoteOf(request.socket);
    socket.on('error', () => undefined);
    const objection = this.#objection(request);
    if (objection !== undefined) {
      socket.end(`HTTP/1.1 ${objection}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      this.refused(new Error(objection), { remote });
      return;
    }
    this.#wsServer.handleUpgrade(request, socket, head, (ws) => {
      void this.#greet(new WsPipe(ws), channelOf(request.socket), remote);
    });
  }

  refused(thrown: unknown, { remote }: { readonly remote: string }): void {
    if (this.#closed) return;
    const error =
      thrown instanceof UnderstudyError
        ? thrown
        : new UnderstudyError('link', `Refused a connection: ${asError(thrown).message}`);
    if (error instanceof HelloRefused) this.#options.onPeerRefused?.(error);
    if (this.#told.mayTell(error, this.#now())) this.#options.onRefused?.(error, remote);
  }

  close(): void {
    this.#closed = true;
    this.strangers.close();
  }

  #objection(request: http.IncomingMessage): string | undefined {
    if (this.#closed) return '503 Closing';
    if (request.url !== linkPath) return '404 Not Found';
    if (request.headers.origin !== undefined) return '403 Not For Browsers';
    return undefined;
  }

  async #greet(pipe: WsPipe, channel: Buffer, remote: string): Promise<void> {
    const { secret } = this.#options;
    let link: Link;
    try {
      link = await greet(pipe, {
        role: 'listener',
        identity: this.#options.identity(),
        now: this.#now,
        ...(secret === undefined ? {} : { auth: { secret, channel } }),
      });
    } catch (thrown) {
      this.refused(thrown, { remote });
      return;
    }
    this.strangers.becameLink(remote);
    this.#options.onLink(link);
  }
}

/** What was told in the present minute. */
class Told {
  readonly #causes = new Set<string>();
  #others = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** Of nodes that refuse each other each cause once; of all else only so much. */
  mayTell(error: Error, now: number): boolean {
    if (now - this.#since >= 60_000) {
      this.#since = now;
      this.#others = 0;
      this.#causes.clear();
    }
    if (error instanceof HelloRefused && this.#causes.has(error.message)) return false;
    if (error instanceof HelloRefused && this.#causes.size < wireLimits.refusalCauses) {
      this.#causes.add(error.message);
      return true;
    }
    this.#others += 1;
    return this.#others <= wireLimits.refusalsToldPerMinute;
  }
}

function bound(server: http.Server, host: string, port: number): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(cannotListen(host, port, error));
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener('error', failed);
      resolve();
    });
  });
}

function handshakeFailure(cause: NodeJS.ErrnoException, tls: LinkTls | undefined): Error {
  if (/HTTP_REQUEST|WRONG_VERSION/.test(cause.code ?? '')) {
    const message = 'The TLS handshake failed: who dialled does not speak TLS';
    return new UnderstudyError('link', message, { cause });
  }
  const lacks = tls instanceof LinkSecret ? 'the shared secret' : 'a certificate of our authority';
  const message = `The TLS handshake failed: who dialled did not show that it has ${lacks}`;
  const hint = hintOfTls(cause) ?? 'See the log of the other node.';
  return new HelloRefused(message, { refused: 'tls', hint, cause });
}

function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): UnderstudyError {
  const where = `${host}:${port}`;
  if (cause.code === 'EADDRINUSE') {
    return new UnderstudyError('resources', `Cannot listen on ${where}: the port is in use`, {
      cause,
      hint: `Stop the program that uses it (ss -ltnp 'sport = ${port}'), or choose another port.`,
    });
  }
  if (cause.code === 'EACCES') {
    return new UnderstudyError('rights', `Cannot listen on ${where}: not permitted`, {
      cause,
      hint: 'Choose a port above 1023.',
    });
  }
  if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND') {
    return new UnderstudyError('config', `Cannot listen on ${where}: it is not of this host`, {
      cause,
      hint: 'Write an address that this host has (ip address).',
    });
  }
  return new UnderstudyError('link', `Cannot listen on ${where}: ${cause.message}`, { cause });
}
