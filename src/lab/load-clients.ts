/**
 * The clients that ask over HTTP, each one request at a time until the signal ends it.
 *
 * A client that is ended lets its request under way finish: an acknowledgement that nobody reads
 * would be a value that nobody checks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './endpoint.ts';
import { nowMs } from './gap-watch.ts';
import { demoLimits } from './limits.ts';
import type { AcknowledgedValue } from './load-record.ts';
import type { RequestTally } from './load-requests.ts';
import { fetchText, RequestFailure } from './request.ts';

export interface ClientOptions {
  readonly endpoint: Endpoint;
  readonly tally: RequestTally;
  /** Ends the client after its present request. */
  readonly signal: AbortSignal;
  /** Between two requests. */
  readonly pauseMs?: number;
  readonly timeoutMs?: number;
}

const timeoutOf = (options: ClientOptions) =>
  options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs };

/** Reads the guest's state again and again; what it says may never go backwards. */
export async function runReader(options: ClientOptions): Promise<void> {
  const { endpoint, tally, signal, pauseMs = demoLimits.readerPauseMs } = options;
  let seen = { ledger: 0, counter: 0 };
  while (!signal.aborted) {
    await tally.run('reader', async () => {
      const now = parseRead(await fetchText(endpoint, '/read', timeoutOf(options)));
      if (now.ledger < seen.ledger || now.counter < seen.counter) {
        throw new RequestFailure(
          `the guest went back: ledger ${seen.ledger} to ${now.ledger}, ` +
            `counter ${seen.counter} to ${now.counter}`,
        );
      }
      seen = now;
    });
    await pause(pauseMs, signal);
  }
}

/** The answer of `GET /read`: lines `NAME VALUE`. */
export function parseRead(text: string): { ledger: number; counter: number } {
  const ledger = /^ledger (\d+)$/m.exec(text)?.[1];
  const counter = /^counter (\d+)$/m.exec(text)?.[1];
  if (ledger === undefined || counter === undefined) {
    throw new RequestFailure(`wrong answer: '${text.slice(0, 60)}'`);
  }
  return { ledger: Number(ledger), counter: Number(counter) };
}

/** Counts, with a token of its own for each count; hands over each acknowledged value. */
export async function runCounter(
  options: ClientOptions & {
    /** Begins each token; no two clients may share it. */
    readonly name: string;
    readonly acknowledged: (value: AcknowledgedValue) => void;
  },
): Promise<void> {
  const { endpoint, tally, signal, name, pauseMs = demoLimits.counterPauseMs } = options;
  for (let count = 1; !signal.aborted; count += 1) {
    const token = `${name}-${count}`;
    await tally.run('counter', async () => {
      const text = await fetchText(endpoint, `/counter?id=${token}`, {
        method: 'POST',
        ...timeoutOf(options),
      });
      if (!/^\d{1,15}\n?$/.test(text)) {
        throw new RequestFailure(`wrong answer: '${text.slice(0, 60)}'`);
      }
      options.acknowledged({ value: Number(text), token, atMs: nowMs() });
    });
    await pause(pauseMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
