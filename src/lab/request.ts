/** One HTTP request on a connection of its own, with one way to succeed and named ways to fail. */
import { request } from 'node:http';
import { asError } from '../base/errors.ts';
import type { Endpoint } from './endpoint.ts';
import { demoLimits } from './limits.ts';

export interface RequestOptions {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST';
  /** @default demoLimits.requestTimeoutMs */
  readonly timeoutMs?: number;
}

/** Whatever made a request fail; `message` is a short reason that reads well in a list. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';
}

/** Resolves with the body of an answer 200; rejects with a `RequestFailure` for everything else. */
export function fetchText(
  endpoint: Endpoint,
  path: string,
  options: RequestOptions = {},
): Promise<string> {
  const { method = 'GET', timeoutMs = demoLimits.requestTimeoutMs } = options;
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(new RequestFailure(reason, { cause }));
    };
    const outgoing = request({
      ...endpoint,
      path,
      method,
      agent: false, // a connection for each request: a takeover must carry new ones, too
      headers: { connection: 'close', 'content-length': 0 },
    });
    const timer = setTimeout(() => fail(`no answer for ${timeoutMs} ms`), timeoutMs);
    outgoing.on('error', (error) => fail(reasonOf(error), error));
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > demoLimits.answerBytesMax) fail('answer too long');
        else chunks.push(chunk);
      });
      incoming.on('error', (error) => fail(reasonOf(error), error));
      incoming.on('end', () => {
        if (incoming.statusCode !== 200) return fail(`status ${incoming.statusCode}`);
        clearTimeout(timer);
        resolve(Buffer.concat(chunks).toString('latin1'));
      });
    });
    outgoing.end();
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
};

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? asError(error).message;
}
