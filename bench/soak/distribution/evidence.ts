/**
 * What a stall was, as far as a machine can tell: a copy that was not served, one that left
 * lockstep while its log can be executed, or a log that nobody can execute.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { asError } from '../../../src/base/errors.ts';
import { ownProgram } from '../../../src/host/own-program.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';

export type Verdict =
  /** A thread of its QEMU wanted a processor and did not get one. */
  | 'not served'
  /** A fresh copy executed the same log from the last snapshot on, past the event. */
  | 'left lockstep'
  /** A fresh copy stops there, too. */
  | 'the log cannot be executed'
  /** There is no snapshot of that copy, or it was not found out. */
  | 'unknown';

export interface Stall {
  readonly node: string;
  readonly atMs: number;
  readonly reason: string;
  /** What a fresh copy did with the same log; filled in later. */
  again?: string;
  verdict?: Verdict;
}

/** What the keeper of a copy that is gone still writes. */
const keeperMs = 5_000;
const replayMs = 600_000;
/** Copies of the store that are kept, some hundred MiB each. */
const storesKept = 3;

/** Judges by what the node said of the threads (host/threads.ts). */
function wasServed(reason: string): boolean {
  const waits = [...reason.matchAll(/ran (\d+) ms, waited (\d+) ms/g)];
  return !waits.some(([, ran, waited]) => Number(waited) > 50 && Number(waited) > Number(ran));
}

/** `again`: what a replay of the kept log said, or `undefined` without one. */
export function verdictOf(
  reason: string,
  again: { readonly icount: number } | { readonly problem: string } | undefined,
): Verdict {
  const at = stoodAt(reason);
  // Whatever its threads did: nobody gets past the same event.
  if (at !== undefined && again !== undefined && 'problem' in again) {
    if (stoodAt(again.problem) === at) return 'the log cannot be executed';
  }
  if (!wasServed(reason)) return 'not served';
  if (again === undefined || at === undefined || 'problem' in again) return 'unknown';
  return again.icount > at ? 'left lockstep' : 'unknown';
}

/** The icount that a replayer does not get past. */
function stoodAt(problem: string): number | undefined {
  const text = /(?:stands|not consumed) at icount (\d+)/.exec(problem)?.[1];
  return text === undefined ? undefined : Number(text);
}

export class Evidence {
  readonly #store: string;
  readonly #last = new Map<string, string>();
  #looking: Promise<unknown> = Promise.resolve();
  #stores = 0;

  /** `store`: where both nodes keep snapshots and log. */
  constructor(store: string) {
    this.#store = store;
  }

  take(node: string, event: WatchEvent): void {
    if (event.type === 'snapshot') this.#last.set(node, event.id);
    if (event.type === 'seeded') this.#last.delete(node);
  }

  /** Looks at a stall that was just told, one after the other, and says so in it. */
  look(stall: Stall): void {
    const snapshot = this.#last.get(stall.node);
    this.#looking = this.#looking.then(async () => {
      const again = snapshot === undefined ? undefined : await this.#again(snapshot);
      stall.again = again === undefined ? 'there was no snapshot of it' : JSON.stringify(again);
      stall.verdict = verdictOf(stall.reason, again);
      if (stall.verdict === 'the log cannot be executed') await this.#keepStore(snapshot ?? '');
    });
  }

  /** Resolves when all was looked at. */
  async done(): Promise<void> {
    await this.#looking;
  }

  /** What nobody can execute can be looked at again and again; retention would take it. */
  async #keepStore(snapshot: string): Promise<void> {
    if (this.#stores === storesKept) return;
    this.#stores += 1;
    const to = `${this.#store}-${snapshot}`;
    await fs.promises.cp(this.#store, to, { recursive: true, errorOnExist: false });
  }

  /** The soak is not to feel it. */
  async #again(snapshot: string): Promise<{ icount: number } | { problem: string }> {
    await sleep(keeperMs);
    const program = ownProgram(import.meta.url, '../../../src/cli/main');
    const verb = ['replay', snapshot, '--store', this.#store, '--json'];
    const args = ['--idle', '0', process.execPath, ...program, ...verb];
    try {
      const { stdout } = await promisify(execFile)('chrt', args, { timeout: replayMs });
      const { icount } = JSON.parse(stdout) as { icount: number };
      return { icount };
    } catch (thrown) {
      const { stderr = '', message } = asError(thrown) as Error & { stderr?: string };
      return { problem: (stderr || message).trim() };
    }
  }
}
