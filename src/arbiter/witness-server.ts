/**
 * The witness: a third vote over HTTP. It keeps {term, holder} for each pair that was set up, and
 * changes it by compare-and-set only. What it says is in witness-protocol.ts, how it keeps it in
 * witness-store.ts.
 *
 * Contract
 *  1. A win is answered only after it is on the disk.
 *  2. It listens off loopback only with a proof of who asks: a shared secret, or TLS with client
 *     certificates.
 *  3. Path, method, size and the form of the proof are judged before a body is read, the proof
 *     before a body is parsed.
 *  4. Whatever a client does, others are served: every wait and size has a limit.
 */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { asError, reasonOf, UnderstudyError } from '../base/errors.ts';
import { isLoopback } from '../base/loopback.ts';
import type { TlsFiles } from './credentials.ts';
import { NeverSetUp } from './identity.ts';
import { arbiterLimits } from './limits.ts';
import { checkNext } from './state.ts';
import {
  answerMac,
  claimSchema,
  isMac,
  isNonce,
  macHeader,
  macsEqual,
  neverSetUpStatus,
  nonceHeader,
  pairOfPath,
  parseBody,
  requestMac,
  setUpSchema,
} from './witness-protocol.ts';
import { WitnessStore } from './witness-store.ts';

export interface WitnessOptions {
  /** An address, or 'localhost'. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Where the terms are kept; made if it does not exist. */
  readonly directory: string;
  readonly secret?: Buffer;
  /** `cert` and `key` encrypt; `ca` asks clients for a certificate that it signed. */
  readonly tls?: TlsFiles;
  /** A claim that could not be judged, for the log of the witness. */
  readonly onProblem?: (error: UnderstudyError) => void;
}

/**
 * Starts a witness. Rejects with `UnderstudyError` ('config', 'rights', 'resources', 'arbiter').
 */
export async function startWitness(options: WitnessOptions): Promise<Witness> {
  requireProofOffLoopback(options);
  const store = await WitnessStore.open(options.directory);
  const witness = new Witness(options, store);
  try {
    await witness.listen();
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
  return witness;
}

/** An answer that is not about a term. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class Witness {
  readonly #options: WitnessOptions;
  readonly #store: WitnessStore;
  readonly #server: http.Server | https.Server;
  #closing = false;

  /** Use `startWitness`. */
  constructor(options: WitnessOptions, store: WitnessStore) {
    this.#options = options;
    this.#store = store;
    const { tls } = options;
    this.#server =
      tls === undefined
        ? http.createServer(serverLimits)
        : https.createServer({
            ...serverLimits,
            ...tls,
            minVersion: 'TLSv1.2',
            handshakeTimeout: arbiterLimits.requestMs,
            requestCert: tls.ca !== undefined,
            rejectUnauthorized: tls.ca !== undefined,
          });
    this.#server.maxConnections = arbiterLimits.witnessConnections;
    this.#server.on('request', (request, response) => void this.#serve(request, response));
  }

  /** http://HOST:PORT as it is bound. */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  }

  /** Pairs that it keeps terms of. */
  get pairs(): number {
    return this.#store.pairs;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    const server = this.#server;
    return new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => reject(cannotListen(`${host}:${port}`, error));
      server.once('error', failed);
      server.listen({ host, port, exclusive: true }, () => {
        server.removeListener('error', failed);
        // An accept that fails later (no file descriptors left) costs a connection, not the
        // witness.
        server.on('error', (error) => this.#tell(error));
        resolve();
      });
    });
  }

  /** Frees the port, and answers what was asked already. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const deadline = setTimeout(() => this.#server.closeAllConnections(), arbiterLimits.requestMs);
    await closed;
    clearTimeout(deadline);
    await this.#store.close();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    // Known once the request is proven: an answer to a stranger proves nothing.
    let proven: string | undefined;
    const answer = (status: number, value: object): void => {
      const body = Buffer.from(`${JSON.stringify(value)}\n`);
      const { secret } = this.#options;
      if (secret !== undefined && proven !== undefined) {
        response.setHeader(macHeader, answerMac(secret, { requestMac: proven, status, body }));
      }
      // After a refusal the rest of a body may still come; it is not waited for.
      if (status >= 400 || this.#closing) response.setHeader('connection', 'close');
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': body.length,
      });
      response.end(body);
    };
    try {
      const pair = judgeHead(request);
      const mac = this.#macOf(request);
      const body = await readBody(request);
      proven = this.#prove(request, mac, body);
      answer(200, await this.#act(request, pair, body));
    } catch (thrown) {
      if (thrown instanceof Refusal) answer(thrown.status, { error: thrown.message });
      else if (thrown instanceof NeverSetUp) {
        answer(neverSetUpStatus, { error: thrown.message });
      } else answer(this.#tell(thrown), { error: reasonOf(thrown) });
    }
  }

  async #act(request: http.IncomingMessage, pair: string, body: Buffer): Promise<object> {
    if (request.method === 'GET') {
      const { identity, state } = await this.#store.look(pair);
      return { identity: identity ?? null, state: state ?? null };
    }
    if (parseBody(setUpSchema, body) !== undefined) return await this.#store.setUp(pair);
    const claim = parseBody(claimSchema, body);
    if (claim === undefined) {
      throw new Refusal(400, 'the body must be {"expected": .., "next": ..} or {"setUp": true}');
    }
    const expected = claim.expected ?? undefined;
    try {
      checkNext(expected, claim.next);
    } catch (thrown) {
      throw new Refusal(400, asError(thrown).message);
    }
    const result = await this.#store.compareAndSet(pair, expected, claim.next);
    return result.won ? result : { won: false, current: result.current ?? null };
  }

  /** The form of the proof, before the body is read. `undefined` when there is no secret. */
  #macOf(request: http.IncomingMessage): string | undefined {
    if (this.#options.secret === undefined) return undefined;
    const mac = request.headers[macHeader];
    if (isNonce(request.headers[nonceHeader]) && isMac(mac)) return mac;
    throw new Refusal(401, 'this witness asks for a secret, and the request proves none');
  }

  #prove(
    request: http.IncomingMessage,
    given: string | undefined,
    body: Buffer,
  ): string | undefined {
    const { secret } = this.#options;
    if (secret === undefined || given === undefined) return undefined;
    const { method = '', url: path = '' } = request;
    const nonce = request.headers[nonceHeader] as string;
    if (macsEqual(given, requestMac(secret, { method, path, nonce, body }))) return given;
    throw new Refusal(401, 'the request was made with another secret');
  }

  /** Tells the operator of an operating error; returns the status that the client gets. */
  #tell(thrown: unknown): number {
    const error =
      thrown instanceof UnderstudyError
        ? thrown
        : new UnderstudyError('arbiter', 'The witness failed', { cause: asError(thrown) });
    this.#options.onProblem?.(error);
    return error.code === 'resources' ? 507 : 500;
  }
}

const serverLimits = {
  maxHeaderSize: arbiterLimits.witnessHeaderBytes,
  headersTimeout: arbiterLimits.requestMs,
  requestTimeout: arbiterLimits.requestMs,
  connectionsCheckingInterval: arbiterLimits.requestMs,
  keepAliveTimeout: arbiterLimits.witnessIdleMs,
} as const;

/** The pair that is asked about, when all that can be judged before the body is as it should be. */
function judgeHead({ method, url = '', headers }: http.IncomingMessage): string {
  const pair = pairOfPath(url);
  if (pair === undefined) {
    throw new Refusal(404, 'only /v1/pairs/NAME is here; a name is 1-32 letters, digits, _ or -');
  }
  // A page in a browser could otherwise reach a witness on its machine.
  if (headers.origin !== undefined) throw new Refusal(403, 'a witness is not for browsers');
  if (method !== 'GET' && method !== 'POST') throw new Refusal(405, 'GET and POST only');
  if (headers['transfer-encoding'] !== undefined) throw new Refusal(411, 'a length is needed');
  const length = headers['content-length'];
  if (method === 'POST' && length === undefined) throw new Refusal(411, 'a length is needed');
  const bytesMax = method === 'POST' ? arbiterLimits.bodyBytes : 0;
  if (Number(length ?? 0) > bytesMax) throw new Refusal(413, `at most ${bytesMax} bytes`);
  return pair;
}

/** The length was judged already, and HTTP delivers no more than it. */
async function readBody(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    throw new Refusal(400, 'the body ended early');
  }
  return Buffer.concat(chunks);
}

function requireProofOffLoopback({ host, secret, tls }: WitnessOptions): void {
  if (isLoopback(host) || secret !== undefined || tls?.ca !== undefined) return;
  throw new UnderstudyError(
    'config',
    `Cannot listen on '${host}' as anyone who can reach it could claim terms`,
    { hint: 'Give --secret, or --tls-ca for client certificates, or listen on 127.0.0.1.' },
  );
}

function cannotListen(where: string, cause: NodeJS.ErrnoException): UnderstudyError {
  const message = `Cannot listen on ${where}`;
  switch (cause.code) {
    case 'EADDRINUSE': {
      const hint = 'Stop the program that uses the port, or choose another one.';
      return new UnderstudyError('resources', message, { cause, hint });
    }
    case 'EACCES': {
      const hint = 'Choose a port above 1023.';
      return new UnderstudyError('rights', message, { cause, hint });
    }
    default: {
      const hint = 'Name an address of this machine.';
      return new UnderstudyError('config', message, { cause, hint });
    }
  }
}
