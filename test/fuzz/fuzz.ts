/**
 * The fuzzer: plays cases on each target in turn until the time is over, and stops at the first
 * finding.
 *
 * A case is made from three numbers, the seed, the target and the number of the case, so one case
 * can be played again alone. (Challenges are fresh at each play; what was sent is saved with the
 * finding.)
 */
import vm from 'node:vm';
import { controlTarget, frameTarget } from './decoder-targets.ts';
import { helloTarget } from './hello-target.ts';
import { linkTarget } from './link-target.ts';
import { listenerTarget } from './listener-target.ts';
import { Random } from './random.ts';
import type { FuzzTarget } from './target.ts';

export const fuzzTargets: readonly FuzzTarget[] = [
  frameTarget,
  controlTarget,
  helloTarget,
  linkTarget,
  listenerTarget,
];

export interface FoundCase {
  readonly target: string;
  readonly seed: number;
  readonly case: number;
  readonly problem: string;
  /** What was sent, in hexadecimal. */
  readonly sent: readonly string[];
}

export interface FuzzReport {
  readonly seed: number;
  readonly seconds: number;
  readonly executions: Readonly<Record<string, number>>;
  readonly executionsPerSecond: Readonly<Record<string, number>>;
  readonly found?: FoundCase;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly forMs: number;
  /** @default all */
  readonly targets?: readonly FuzzTarget[];
  /** The first case of each target. @default 0 */
  readonly from?: number;
  /** Cases of each target at most. @default no limit */
  readonly cases?: number;
}

/** A turn of one target. */
const turnMs = 100;
/** Synchronous work of one batch past this is a hang: a batch takes some 20 ms. */
const hangMs = 10_000;
/** What must settle has settled by then. */
const settleMs = 10_000;
/** Over what was there at the beginning: the buffers of a listener and of a batch. */
const growthBytesMax = 768 * 1024 * 1024;

interface Playing {
  readonly target: FuzzTarget;
  readonly index: number;
  next: number;
  ms: number;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const {
    seed,
    forMs,
    targets = fuzzTargets,
    from = 0,
    cases = Number.POSITIVE_INFINITY,
  } = options;
  const playing: Playing[] = targets.map((target) => ({
    target,
    index: fuzzTargets.indexOf(target),
    next: from,
    ms: 0,
  }));
  const began = performance.now();
  const stray = new StrayErrors();
  const before = usedBytes();
  let found: FoundCase | undefined;
  for (const { target } of playing) await target.open?.();
  try {
    while (found === undefined && performance.now() - began < forMs) {
      const left = playing.filter(({ next }) => next < from + cases);
      if (left.length === 0) break;
      for (const one of left) {
        found = await turn(one, seed, from + cases, stray);
        if (found === undefined && usedBytes() - before > growthBytesMax) {
          found = report(one, seed, one.next - 1, 'memory grows and grows', []);
        }
        if (found !== undefined) break;
      }
    }
  } finally {
    for (const { target } of playing) await target.close?.();
    stray.stop();
  }
  const perTarget = (of: (one: Playing) => number): Record<string, number> =>
    Object.fromEntries(playing.map((one) => [one.target.name, of(one)]));
  return {
    seed,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    executions: perTarget(({ next }) => next - from),
    executionsPerSecond: perTarget(({ next, ms }) => Math.round(((next - from) / ms) * 1000) || 0),
    ...(found === undefined ? {} : { found }),
  };
}

/** Plays batches for a while. */
async function turn(
  one: Playing,
  seed: number,
  end: number,
  stray: StrayErrors,
): Promise<FoundCase | undefined> {
  const began = performance.now();
  try {
    while (performance.now() - began < turnMs && one.next < end) {
      const first = one.next;
      const count = Math.min(one.target.batch, end - first);
      const batch = new Batch(one, seed, first, count);
      const problem = (await batch.play()) ?? stray.take();
      one.next = first + count;
      if (problem !== undefined) return batch.found(problem);
    }
    return undefined;
  } finally {
    one.ms += performance.now() - began;
  }
}

/** Some cases of one target: played one after the other, then waited for together. */
class Batch {
  readonly #one: Playing;
  readonly #seed: number;
  readonly #end: number;
  #case: number;
  #sent: string[] = [];

  constructor(one: Playing, seed: number, first: number, count: number) {
    this.#one = one;
    this.#seed = seed;
    this.#case = first;
    this.#end = first + count;
  }

  /** Resolves with what is wrong, if anything is. */
  async play(): Promise<string | undefined> {
    const { target, index } = this.#one;
    for (;;) {
      const pending: { number: number; sent: string[]; done: Promise<void> }[] = [];
      const problem = withoutHang(() => {
        for (; this.#case < this.#end; this.#case += 1) {
          const sent: string[] = [];
          this.#sent = sent;
          const random = new Random(this.#seed, index + 1, this.#case);
          const done = target.play(random, (bytes) => {
            sent.push(Buffer.from(bytes).toString('latin1'));
          });
          done?.catch(() => undefined); // looked at below
          if (done !== undefined) pending.push({ number: this.#case, sent, done });
        }
      });
      if (problem !== undefined) return problem;
      for (const { number, sent, done } of pending) {
        const failed = await settles(done);
        if (failed === undefined) continue;
        [this.#case, this.#sent] = [number, sent];
        return failed;
      }
      return undefined;
    }
  }

  found(problem: string): FoundCase {
    const number = Math.min(this.#case, this.#end - 1);
    return report(this.#one, this.#seed, number, problem, this.#sent);
  }
}

function report(
  one: Playing,
  seed: number,
  number: number,
  problem: string,
  sent: readonly string[],
): FoundCase {
  const hex = sent.map((text) => Buffer.from(text, 'latin1').toString('hex'));
  return { target: one.target.name, seed, case: number, problem, sent: hex };
}

/** Runs synchronous work that ends by force after `hangMs`. Returns what it threw. */
function withoutHang(work: () => void): string | undefined {
  const shared = globalThis as { fuzzWork?: () => void };
  shared.fuzzWork = work;
  try {
    hangScript.runInThisContext({ timeout: hangMs });
    return undefined;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return `it hangs: no end within ${hangMs} ms`;
    return textOf(thrown);
  } finally {
    delete shared.fuzzWork;
  }
}

/** A script is the one thing that Node can end in the middle. */
const hangScript = new vm.Script('fuzzWork()');

async function settles(done: Promise<void>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`it does not settle within ${settleMs} ms`), settleMs);
  });
  const failed = done.then(
    () => undefined,
    (thrown: unknown) => textOf(thrown),
  );
  try {
    return await Promise.race([failed, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Errors that nobody caught: they would end a node. */
class StrayErrors {
  #first: string | undefined;
  readonly #take = (thrown: unknown): void => {
    this.#first ??= `nobody caught: ${textOf(thrown)}`;
  };

  constructor() {
    process.on('uncaughtException', this.#take);
    process.on('unhandledRejection', this.#take);
  }

  take(): string | undefined {
    const first = this.#first;
    this.#first = undefined;
    return first;
  }

  stop(): void {
    process.off('uncaughtException', this.#take);
    process.off('unhandledRejection', this.#take);
  }
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
