/** The client program inside a world, as calls. */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { PingWatch } from '../../lab/load-ping.ts';
import type { World, WorldChild } from '../../lab/world.ts';
import { spawnProgram } from '../../lab/world-program.ts';
import { benchLimits } from './limits.ts';

export interface ClientRequest {
  readonly id: number;
  readonly path: string;
  readonly count: number;
  readonly connections: number;
  readonly timeoutMs: number;
}

export interface ClientAnswer {
  readonly id: number;
  /** All of it, milliseconds. */
  readonly ms: number;
  readonly latenciesMs: readonly number[];
  /** Of the last answer. */
  readonly body: string;
  readonly error?: string;
}

export interface PingFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
}

export class Client {
  readonly #world: World;
  readonly #child: WorldChild;
  readonly #waiting = new Map<number, (answer: ClientAnswer) => void>();
  #nextId = 1;
  #ended = '';

  constructor(world: World) {
    this.#world = world;
    const { host, port } = world.http;
    this.#child = spawnProgram(world, import.meta.url, 'client-main', [`${host}:${port}`]);
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as ClientAnswer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    let said = '';
    this.#child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-500);
    });
    this.#child.stdin.on('error', () => undefined); // it ended; `close` tells
    this.#child.once('close', () => {
      this.#ended = said.trim() || 'it ended';
      for (const [id, settle] of this.#waiting) {
        settle({ id, ms: 0, latenciesMs: [], body: '', error: this.#ended });
      }
    });
  }

  /**
   * Asks for a page `count` times, `connections` at a time. Throws `environment` when one answer
   * fails or takes longer than `timeoutMs`.
   */
  async ask(
    path: string,
    { count = 1, connections = 1, timeoutMs = benchLimits.jobMs as number } = {},
  ): Promise<ClientAnswer> {
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = await new Promise<ClientAnswer>((resolve) => {
      if (this.#ended !== '') {
        resolve({ id, ms: 0, latenciesMs: [], body: '', error: this.#ended });
        return;
      }
      this.#waiting.set(id, resolve);
      const request: ClientRequest = { id, path, count, connections, timeoutMs };
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if (answer.error === undefined) return answer;
    throw new UnderstudyError('environment', `The guest did not answer ${path}: ${answer.error}`);
  }

  /** Waits until the guest's services answer. Throws `environment` when they do not in time. */
  async untilUp(deadlineMs: number = benchLimits.bootMs): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      try {
        await this.ask('/read', { timeoutMs: benchLimits.bootAnswerMs });
        return;
      } catch (thrown) {
        // A client that is gone, as after Ctrl-C, gets no answer however long one waits.
        if (this.#ended !== '' || performance.now() > deadline) throw thrown;
        await sleep(benchLimits.bootPollMs);
      }
    }
  }

  /** Pings the guest for a while; `undefined` where it cannot be pinged. */
  async ping(ms: number): Promise<PingFigures | undefined> {
    const { pingHost } = this.#world;
    if (pingHost === undefined) return undefined;
    const every = String(benchLimits.pingEveryMs / 1000);
    const child = this.#world.spawn('ping', ['-n', '-i', every, pingHost]);
    const watch = new PingWatch();
    child.on('error', () => undefined); // no ping here: nothing is received
    createInterface({ input: child.stdout }).on('line', (line) => watch.takeLine(line));
    await sleep(ms);
    child.kill();
    const record = watch.record();
    if (record === undefined) return undefined;
    return { p50Ms: record.rttMs.p50, p99Ms: record.rttMs.p99, count: record.received };
  }

  close(): void {
    this.#child.stdin.end();
  }
}
