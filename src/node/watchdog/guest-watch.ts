/**
 * Watches one guest: has it panicked, or is it silent for too long?
 *
 * Intuition: what a guest says on its console is all that it says of itself, and a copy says the
 * same. So a panic that came just before a takeover is known to the node that took over. Silence
 * is a failure only of a guest that has promised to say something: the policy says so.
 *
 * Contract
 *  1. A failure is told once; again only after the guest has spoken (`onSpoke`).
 *  2. A panic is told `settleMs` after its line: the reasons behind it are to be seen by people.
 *  3. Silence counts only time in which the guest could speak: not while it is slowed down, stands
 *     still on purpose or because a disk failed, may not be heard yet, or while this process stood.
 *  4. `icount` of a failure is of a moment before its first sign: what was kept at a later one is
 *     of a guest that may have failed already.
 */
import type { NodeEffect } from '../../core/effects.ts';
import type { CopyReport, MachineReport } from '../../ports/machine.ts';
import type { WatchdogPolicy } from '../pair-file/watchdog-policy.ts';
import { ConsoleLines } from './console-lines.ts';
import { watchdogLimits } from './limits.ts';

export interface GuestFailure {
  readonly kind: 'panic' | 'silence';
  /** The line of its console, or how long it said nothing. */
  readonly what: string;
  /** How much it had executed when it was well; `undefined`: not known. */
  readonly icount: number | undefined;
}

export interface GuestWatchOptions {
  readonly policy: Pick<WatchdogPolicy, 'panic' | 'silenceMs'>;
  /** What the machine here has executed; 0: not known, as in a copy. */
  readonly icount: () => number;
  readonly onFailed: (failure: GuestFailure) => void;
  /** A guest that failed says something after all. */
  readonly onSpoke: (failure: GuestFailure) => void;
}

export class GuestWatch {
  readonly #options: GuestWatchOptions;
  readonly #lines: ConsoleLines;
  /** What the copy here has executed. */
  #executed = 0;
  /** When it last said something, by what it had executed. */
  #wellAt: number | undefined;
  #hasSpoken = false;
  #silentMs = 0;
  #panic: { readonly failure: GuestFailure; leftMs: number } | undefined;
  #failure: GuestFailure | undefined;
  /** It may be heard. */
  #isHeard = false;
  #share = 0;
  #isStopped = false;
  #isHurt = false;
  #tickedAt: number | undefined;

  constructor(options: GuestWatchOptions) {
    this.#options = options;
    this.#lines = new ConsoleLines(options.policy.panic);
  }

  /** Its console, or that of its copy, says this. */
  output(bytes: Buffer): void {
    const line = this.#lines.take(bytes);
    this.#hasSpoken = true;
    this.#wellAt = this.#icount;
    if (line === undefined || this.#panic !== undefined || this.#failure !== undefined) return;
    const failure: GuestFailure = { kind: 'panic', what: line, icount: this.#icount };
    this.#panic = { failure, leftMs: watchdogLimits.settleMs };
  }

  /** The machine is told this. */
  told(effect: NodeEffect): void {
    if (effect.type === 'speak') this.#isHeard = true;
    if (effect.type === 'slowDown') this.#share = effect.share;
    if (effect.type === 'stop') this.#isStopped = true;
    if (effect.type === 'go') this.#isStopped = false;
  }

  /** The machine, or its copy, reports this. */
  reported(report: MachineReport | CopyReport): void {
    if ('executed' in report) this.#executed = report.executed;
    if (report.type === 'hurt') this.#isHurt = report.stands;
    if (report.type === 'healed') this.#isHurt = false;
    if (report.type === 'continued' || report.type === 'notStopped') this.#isStopped = false;
  }

  /** To be called often; milliseconds of any clock that only goes forward. */
  tick(nowMs: number): void {
    const passedMs = Math.min(nowMs - (this.#tickedAt ?? nowMs), watchdogLimits.tickMsMax);
    this.#tickedAt = nowMs;
    if (!this.#isHeard) return;
    this.#listen(passedMs);
    if (this.#panic === undefined) this.#judgeSilence();
    else this.#judgePanic(this.#panic, passedMs);
  }

  #listen(passedMs: number): void {
    // One that never says anything was well when it began.
    this.#wellAt ??= this.#icount;
    const mayNot = this.#isStopped || this.#isHurt;
    this.#silentMs += mayNot ? 0 : passedMs * (1 - this.#share);
    if (!this.#hasSpoken) return;
    this.#hasSpoken = false;
    this.#silentMs = 0;
    const failure = this.#failure;
    if (failure === undefined) return;
    this.#failure = undefined;
    this.#options.onSpoke(failure);
  }

  #judgePanic(panic: { readonly failure: GuestFailure; leftMs: number }, passedMs: number): void {
    panic.leftMs -= passedMs;
    if (panic.leftMs > 0) return;
    this.#panic = undefined;
    this.#fail(panic.failure);
  }

  #judgeSilence(): void {
    const { silenceMs } = this.#options.policy;
    if (silenceMs === undefined || this.#failure !== undefined) return;
    if (this.#silentMs < silenceMs) return;
    const what = `nothing on its console for ${Math.round(silenceMs / 1000)} s`;
    this.#fail({ kind: 'silence', what, icount: this.#wellAt });
  }

  #fail(failure: GuestFailure): void {
    this.#failure = failure;
    this.#options.onFailed(failure);
  }

  get #icount(): number | undefined {
    const icount = Math.max(this.#options.icount(), this.#executed);
    return icount === 0 ? undefined : icount;
  }
}
