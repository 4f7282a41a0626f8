/**
 * Keeps a process on one processor, and that one where it has the most room.
 *
 * Intuition: a replayer's threads hand one lock to and fro and hardly ever work at once. On two
 * processors each time is a wake-up across them; on one it is a switch. The kernel can be told
 * "here", not "together, wherever": so we choose, and choose again when others come
 * (docs/lockstep-notes.md, 35).
 *
 * Contract
 *  1. All threads that the process has or will have are on one processor of those that we may use
 *     ourselves.
 *  2. It moves when another processor would leave it `roomGain` more of the time, as seen in the
 *     last `roomLookMs`.
 *  3. Nothing depends on it: what the kernel refuses is left as it is.
 */
import fs from 'node:fs';
import { type ProcStat, parseProcStat } from '../base/proc-stat.ts';
import { allowedProcessors, bindThread } from './libc.ts';
import { hostLimits } from './limits.ts';
import { ProcFile } from './proc-file.ts';
import { busyShares, type ProcessorTicks, parseProcessorTicks } from './processor-load.ts';

/** A look at the machine and at the process. */
interface Look {
  readonly atMs: number;
  readonly processors: ReadonlyMap<number, ProcessorTicks>;
  /** Processor time of the process so far. */
  readonly ownTicks: number;
}

const ticksPerMs = 0.1;

export class OneProcessor {
  readonly #pid: number;
  readonly #stat: ProcFile | undefined;
  readonly #machine = ProcFile.open('/proc/stat', hostLimits.machineStatBytes);
  readonly #allowed = allowedProcessors();
  #processor: number;
  #last: Look | undefined;
  /** 0: bound. */
  #freeUntil = 0;
  readonly #timer: NodeJS.Timeout | undefined;

  /** `pid`: a child that was just started. Until `close`, which may come after its end. */
  constructor(pid: number) {
    this.#pid = pid;
    this.#stat = ProcFile.open(`/proc/${pid}/stat`, hostLimits.processStatBytes);
    this.#processor = this.#readStat()?.processor ?? -1;
    if (this.#allowed.length < 2 || !this.#bind()) return;
    this.#timer = setInterval(() => this.#look(), hostLimits.roomLookMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stat?.close();
    this.#machine?.close();
  }

  /** It gets nowhere: for a while it may run wherever the kernel finds room for it. */
  release(): void {
    if (this.#timer === undefined) return;
    if (this.#freeUntil === 0) this.#bindTo(this.#allowed);
    this.#freeUntil = performance.now() + hostLimits.roomFreeMs;
    this.#last = undefined;
  }

  #look(): void {
    if (performance.now() < this.#freeUntil) return;
    const stat = this.#readStat();
    if (stat === undefined) return;
    if (this.#freeUntil > 0) {
      this.#freeUntil = 0;
      this.#processor = stat.processor;
      this.#bind();
    }
    const processors = parseProcessorTicks(this.#machine?.read() ?? '');
    const now = { atMs: performance.now(), processors, ownTicks: stat.cpuTicks };
    const last = this.#last;
    this.#last = now;
    if (last === undefined) return;
    const ownShare = (now.ownTicks - last.ownTicks) / ((now.atMs - last.atMs) * ticksPerMs);
    const shares = busyShares(last.processors, now.processors);
    const better = roomier({
      ...{ shares, ownShare, allowed: this.#allowed, processor: this.#processor },
    });
    if (better === undefined) return;
    this.#processor = better;
    this.#last = undefined; // what was seen is of the other one
    this.#bind();
  }

  /** `undefined`: it has ended. */
  #readStat(): ProcStat | undefined {
    const text = this.#stat?.read();
    return text === undefined ? undefined : parseProcStat(text);
  }

  /** Returns false when there is nothing to bind. */
  #bind(): boolean {
    return this.#allowed.includes(this.#processor) && this.#bindTo([this.#processor]);
  }

  #bindTo(processors: readonly number[]): boolean {
    let threads: string[];
    try {
      threads = fs.readdirSync(`/proc/${this.#pid}/task`);
    } catch {
      return false;
    }
    // A thread inherits from the one that starts it: none is missed for longer than until the next
    // move.
    for (const thread of threads) bindThread(Number(thread), processors);
    return true;
  }
}

/**
 * The processor that leaves a process more room than its own, or `undefined` when none does by
 * `roomGain`. `shares`: how busy each was; `ownShare`: with the process itself, which was on
 * `processor`.
 */
export function roomier({
  shares,
  ownShare,
  allowed,
  processor,
}: {
  readonly shares: ReadonlyMap<number, number>;
  readonly ownShare: number;
  readonly allowed: readonly number[];
  readonly processor: number;
}): number | undefined {
  const here = shares.get(processor);
  if (here === undefined) return undefined;
  let best: number | undefined;
  let least = here - ownShare - hostLimits.roomGain;
  for (const other of allowed) {
    const others = shares.get(other);
    if (other === processor || others === undefined || others >= least) continue;
    best = other;
    least = others;
  }
  return best;
}
