/** The whole load on a guest: readers, counters, the one echo connection and the ping. */
import type { Endpoint } from './endpoint.ts';
import { nowMs } from './gap-watch.ts';
import { runCounter, runReader } from './load-clients.ts';
import { EchoClient } from './load-echo.ts';
import { PingClient } from './load-ping.ts';
import {
  type AcknowledgedValue,
  type LoadFailure,
  type LoadRecord,
  type LoadStats,
  longestGapMs,
} from './load-record.ts';
import { RequestTally } from './load-requests.ts';

export interface LoadOptions {
  readonly http: Endpoint;
  readonly echo?: Endpoint;
  readonly pingHost?: string;
  /** @default 4 */
  readonly readers?: number;
  /** @default 2 */
  readonly counters?: number;
  /** Between two requests of a reader or a counter, ms. @default 20 */
  readonly pauseMs?: number;
  /** Begins the tokens of the counters: a new one for each run against the same guest. */
  readonly runName: string;
  readonly onFailure?: (failure: LoadFailure) => void;
}

export class Load {
  readonly #startedAtMs = nowMs();
  readonly #end = new AbortController();
  readonly #tally: RequestTally;
  readonly #acknowledged: AcknowledgedValue[] = [];
  readonly #clients: Promise<void>[] = [];
  readonly #echo: EchoClient | undefined;
  readonly #ping: PingClient | undefined;

  constructor(options: LoadOptions) {
    const { http: endpoint, echo, pingHost, readers = 4, counters = 2, runName } = options;
    const pace = options.pauseMs === undefined ? {} : { pauseMs: options.pauseMs };
    const tally = new RequestTally(options.onFailure);
    this.#tally = tally;
    const { signal } = this.#end;
    for (let n = 0; n < readers; n += 1) {
      this.#clients.push(runReader({ endpoint, tally, signal, ...pace }));
    }
    for (let n = 0; n < counters; n += 1) {
      const name = `${runName}.${n}`;
      const acknowledged = (value: AcknowledgedValue) => void this.#acknowledged.push(value);
      this.#clients.push(runCounter({ endpoint, tally, signal, name, acknowledged, ...pace }));
    }
    if (echo !== undefined) {
      this.#echo = new EchoClient({
        endpoint: echo,
        onBroken: (reason) => {
          const atMs = nowMs();
          tally.fail({ client: 'echo', atMs, afterMs: atMs - this.#startedAtMs, reason });
        },
      });
    }
    if (pingHost !== undefined) this.#ping = new PingClient(pingHost);
  }

  stats(): LoadStats {
    const echo = this.#echo?.record();
    return {
      type: 'stats',
      atMs: nowMs(),
      requestsOk: this.#tally.ok,
      requestsFailed: this.#tally.failed,
      slowestRequestMs: this.#tally.latencyMs.max,
      countersAcknowledged: this.#acknowledged.length,
      echoLines: echo?.received ?? 0,
      longestGapMs: longestGapMs({ echo, ping: this.#ping?.record() }),
    };
  }

  /** Lets the requests under way finish, then says what happened. */
  async stop(): Promise<LoadRecord> {
    this.#end.abort();
    const [echo, ping] = await Promise.all([
      this.#echo?.stop(),
      this.#ping?.stop(),
      ...this.#clients,
    ]);
    const { latencyMs } = this.#tally;
    return {
      type: 'record',
      startedAtMs: this.#startedAtMs,
      endedAtMs: nowMs(),
      requestsOk: this.#tally.ok,
      requestsFailed: this.#tally.failed,
      requestMs: { p50: latencyMs.p(0.5), p99: latencyMs.p(0.99), max: latencyMs.max },
      failures: this.#tally.failures,
      acknowledged: this.#acknowledged,
      echo,
      ping,
    };
  }
}
