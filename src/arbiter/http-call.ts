/** One HTTP request with one deadline, from the first packet to the last byte of the answer. */
import http from 'node:http';
import https from 'node:https';
import type { TlsFiles } from './credentials.ts';
import { arbiterLimits } from './limits.ts';

export type HttpAgent = http.Agent | https.Agent;

export interface HttpCall {
  readonly url: string;
  readonly agent: HttpAgent;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * An agent whose connections serve one claim and its retries, and do not keep the process alive.
 */
export function createAgent(url: string, tls: TlsFiles | undefined): HttpAgent {
  const kept = { keepAlive: true, timeout: arbiterLimits.idleConnectionMs, maxFreeSockets: 2 };
  if (url.startsWith('http:')) return new http.Agent(kept);
  return new https.Agent({ ...kept, ...tls, minVersion: 'TLSv1.2' });
}

/** Resolves with any answer, whatever its status. Rejects when there is none: it may have acted. */
export function httpCall(call: HttpCall): Promise<HttpAnswer> {
  const { url, agent, method, body, deadlineMs, signal } = call;
  return new Promise<HttpAnswer>((resolve, reject) => {
    const headers = {
      ...call.headers,
      ...(body === undefined ? {} : { 'content-length': String(body.length) }),
    };
    const { request } = url.startsWith('https:') ? https : http;
    const sent = request(url, {
      agent,
      method,
      headers,
      ...(signal === undefined ? {} : { signal }),
    });
    const fail = (error: Error): void => {
      clearTimeout(deadline);
      reject(error);
    };
    const giveUp = (error: Error): void => {
      fail(error); // first: what the destroyed request says is less clear
      sent.destroy();
    };
    const deadline = setTimeout(() => {
      giveUp(Object.assign(new Error(`no answer within ${deadlineMs} ms`), { code: 'ETIMEDOUT' }));
    }, deadlineMs);
    sent.on('error', fail);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        const bytesMax = arbiterLimits.answerBytes;
        if (bytes > bytesMax) giveUp(new Error(`an answer of more than ${bytesMax} bytes`));
      });
      response.on('end', () => {
        clearTimeout(deadline);
        const { statusCode = 0, headers: answered } = response;
        resolve({ status: statusCode, headers: answered, body: Buffer.concat(chunks) });
      });
    });
    sent.end(body);
  });
}

/** Nobody there, no way there, or nobody knows the way now. Not: a wrong name, or a refused TLS. */
const passing = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Whether a call that failed so may succeed later, with nothing changed here. */
export function callMayPass(error: NodeJS.ErrnoException): boolean {
  return passing.has(error.code ?? '');
}

/** Whether a refusal is the server's own trouble, and not what it was asked. */
export function statusMayPass(status: number): boolean {
  return status >= 500;
}

/** What a server said, fit to stand in an error of ours: one line, of bounded length. */
export function quoted(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length <= arbiterLimits.quotedChars
    ? line
    : `${line.slice(0, arbiterLimits.quotedChars)}...`;
}
