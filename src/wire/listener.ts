/**
 * Listener: accepts links on one port.
 *
 * Before a hello a stranger can cost little: few connections at a time, small heads, one deadline, no
 * page in a browser (an Origin header is refused), and nothing is handed to the node.
 */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Millis } from '../base/units.ts';
import type { Link } from '../ports/link.ts';
import { greet, type Identity } from './hello.ts';
import { wireLimits } from './limits.ts';
import {
  type LinkTls,
  linkPath,
  requireTlsOffLoopback,
  sharedWsOptions,
  WsPipe,
} from './ws-link.ts';

export interface ListenOptions {
  /** An address, not a name. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Asked at each hello, as the term changes. */
  readonly identity: () => Identity;
  /** A link whose hello fits. Set its handlers before returning. */
  readonly onLink: (link: Link) => void;
  /** A connection that became no link, for the log. */
  readonly onRefused?: (error: UnderstudyError, remote: string) => void;
  /** Needed to listen anywhere but on loopback. */
  readonly tls?: LinkTls;
  /** @default performance.now */
  readonly now?: () => Millis;
}

export interface LinkListener {
  readonly host: string;
  readonly port: number;
  /** Frees the port and drops unfinished hellos. Links that are open live on. */
  close(): Promise<void>;
}

/** Rejects with `UnderstudyError` ('link', 'rights') when the port cannot be had. */
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
      : https.createServer({ ...httpOptions, ...tls, requestCert: true });
  server.maxConnections = wireLimits.connections;
  server.on('request', (_request, response) => {
    response.writeHead(426, { connection: 'close' }).end('This port is for links between nodes.\n');
  });
  const acceptor = new Acceptor(options);
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head));
  await bound(server, host, port);
  // An accept that fails later (no file descriptors left) costs a connection, not the node.
  server.on('error', (error) => acceptor.refused(error, 'unknown'));
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
  readonly #greeting = new Set<WebSocket>();
  #closed = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now() as Millis);
  }

  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
    socket.on('error', () => undefined);
    const objection = this.#objection(request);
    if (objection !== undefined) {
      socket.end(`HTTP/1.1 ${objection}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      this.refused(new Error(objection), remote);
      return;
    }
    this.#wsServer.handleUpgrade(request, socket, head, (ws) => void this.#greet(ws, remote));
  }

  refused(thrown: unknown, remote: string): void {
    const error =
      thrown instanceof UnderstudyError
        ? thrown
        : new UnderstudyError('link', `Refused a connection: ${asError(thrown).message}`);
    this.#options.onRefused?.(error, remote);
  }

  close(): void {
    this.#closed = true;
    for (const ws of this.#greeting) ws.terminate();
  }

  #objection(request: http.IncomingMessage): string | undefined {
    if (this.#closed) return '503 Closing';
    if (request.url !== linkPath) return '404 Not Found';
    if (request.headers.origin !== undefined) return '403 Not For Browsers';
    if (this.#greeting.size >= wireLimits.handshakes) return '503 Too Many Hellos';
    return undefined;
  }

  async #greet(ws: WebSocket, remote: string): Promise<void> {
    this.#greeting.add(ws);
    const identity = this.#options.identity();
    let link: Link;
    try {
      link = await greet(new WsPipe(ws), { role: 'listener', identity, now: this.#now });
    } catch (thrown) {
      this.refused(thrown, remote);
      return;
    } finally {
      this.#greeting.delete(ws);
    }
    this.#options.onLink(link);
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

function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): UnderstudyError {
  const where = `${host}:${port}`;
  if (cause.code === 'EADDRINUSE') {
    return new UnderstudyError('link', `Cannot listen on ${where}: the port is in use`, {
      cause,
      hint: 'Stop the program that uses it, or choose another port.',
    });
  }
  if (cause.code === 'EACCES') {
    return new UnderstudyError('rights', `Cannot listen on ${where}: not permitted`, {
      cause,
      hint: 'Choose a port above 1023.',
    });
  }
  return new UnderstudyError('link', `Cannot listen on ${where}: ${cause.message}`, { cause });
}
