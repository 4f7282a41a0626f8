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

/** An agent whose connections serve one claim and its retries, and do not keep the process alive. */
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
    const giveUp = (reason: string): void => {
      fail(new Error(reason)); // first: what the destroyed request says is less clear
      sent.destroy();
    };
    const deadline = setTimeout(() => giveUp(`no answer within ${deadlineMs} ms`), deadlineMs);
    sent.on('error', fail);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        const bytesMax = arbiterLimits.answerBytes;
        if (bytes > bytesMax) giveUp(`an answer of more than ${bytesMax} bytes`);
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

/** What a server said, fit to stand in an error of ours: one line, of bounded length. */
export function quoted(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length <= arbiterLimits.quotedChars
    ? line
    : `${line.slice(0, arbiterLimits.quotedChars)}...`;
}
