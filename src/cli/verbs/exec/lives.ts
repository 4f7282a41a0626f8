/**
 * A command from its start to its exit code, over as many lives of its machine as it takes: one
 * that fails is followed by one from the newest snapshot, or from an older one, without the log
 * behind it, which would repeat the failure.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../../base/errors.ts';
import { withResolvers } from '../../../base/with-resolvers.ts';
import type { KeptStream } from './kept-stream.ts';
import { Life, type Outcome } from './life.ts';
import {
  type Candidate,
  type ExecMachine,
  makeExecMachine,
  removeMachine,
  restoreExecMachine,
  storeIn,
} from './machine.ts';

export interface LivesOptions {
  /** A directory for each life is made in it. */
  readonly dir: string;
  readonly machine: Omit<ExecMachine, 'snapshots'>;
  readonly everyMs: number;
  readonly tries: number;
  readonly streams: readonly [KeptStream, KeptStream];
  /** A machine has failed: why, and what is done. */
  readonly tell: (text: string) => void;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface Ended {
  readonly code: number;
  readonly tries: number;
  readonly snapshots: number;
}

export class Lives {
  readonly #options: LivesOptions;
  readonly #name = `exec-${randomBytes(4).toString('hex')}`;
  readonly #signals: number[] = [];
  /** Oldest first. */
  readonly #candidates: Candidate[] = [];
  #life: Life | undefined;
  #isRunning = false;
  #snapshots = 0;

  constructor(options: LivesOptions) {
    this.#options = options;
  }

  /** The command has been started, so signals are for it. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  passSignal(number: number): void {
    this.#signals.push(number);
    this.#life?.signalled();
  }

  /** Throws `qemu` when the last try has failed. */
  async run(): Promise<Ended> {
    const { tries, tell, dir, streams } = this.#options;
    for (let number = 1; ; number += 1) {
      const of = path.join(dir, String(number));
      const outcome = await this.#live(of, number);
      if ('code' in outcome) return { ...outcome, tries: number, snapshots: this.#snapshots };
      const why = `The machine of the command has failed: ${outcome.failure}`;
      const next = this.#candidates.at(-1);
      const isLast = number === tries || (next === undefined && this.#hasPrinted);
      if (isLast) {
        // Nothing can take it back any more.
        for (const stream of streams) stream.printTo(stream.position);
        const none = number === tries ? '' : '; there is no snapshot left to go back to';
        const hint = 'what its nodes said is kept with --keep DIRECTORY';
        throw new UnderstudyError('qemu', `${why}${none}`, { hint });
      }
      removeMachine(of);
      const from = next === undefined ? 'from its start' : `from snapshot ${next.id}`;
      tell(`${why}; it goes on ${from}, try ${number + 1} of ${tries}`);
    }
  }

  get #hasPrinted(): boolean {
    return this.#options.streams.some(({ printed }) => printed > 0);
  }

  /** One life, from the newest snapshot that was not tried yet. */
  async #live(dir: string, number: number): Promise<Outcome> {
    const { streams, tries, everyMs, signal } = this.#options;
    fs.mkdirSync(dir, { mode: 0o700 });
    const candidate = this.#candidates.pop();
    const as = `${this.#name}-${number}`;
    const snapshots = tries > 1 ? tries : 0;
    let pairFile: string;
    if (candidate === undefined) {
      pairFile = await makeExecMachine(dir, { ...this.#options.machine, as, snapshots, signal });
    } else {
      try {
        pairFile = await restoreExecMachine(dir, candidate, { as, snapshots });
      } catch (thrown) {
        if (!(thrown instanceof UnderstudyError)) throw thrown;
        return { failure: `snapshot ${candidate.id} cannot be gone back to: ${thrown.message}` };
      }
    }
    const [out, err] = candidate?.said ?? [0, 0];
    streams[0].goBack(out);
    streams[1].goBack(err);
    signal.throwIfAborted();
    const over = withResolvers<Outcome>();
    const life = new Life({
      ...{ dir, pairFile, streams, signals: this.#signals, isPrepared: candidate !== undefined },
      everyMs: snapshots > 0 ? everyMs : undefined,
      onRunning: () => {
        this.#isRunning = true;
      },
      onKept: (id, said) => this.#kept({ id, store: storeIn(dir), said }),
      onOver: over.resolve,
    });
    this.#life = life;
    const abort = (): void => over.reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
    try {
      const outcome = await over.promise;
      if ('code' in outcome) for (const stream of streams) stream.printTo(stream.position);
      return outcome;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#life = undefined;
      await life.close();
    }
  }

  #kept(candidate: Candidate): void {
    const { streams, tries } = this.#options;
    this.#snapshots += 1;
    this.#candidates.push(candidate);
    while (this.#candidates.length > tries) this.#candidates.shift();
    const oldest = this.#candidates[0] as Candidate;
    for (const index of [0, 1] as const) {
      streams[index].printTo(candidate.said[index]);
      streams[index].forget(oldest.said[index]);
    }
  }
}
