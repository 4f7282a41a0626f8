/**
 * Wakes the vCPU of a recorder when something waits in QEMU that only its thread records: a frame
 * for the guest, a marker, the completion of a disk request (docs/lockstep.md 21 and 29).
 *
 * A vCPU that executes is told of these by QEMU itself; one whose guest is idle sleeps until the
 * next virtual timer, which may be long if the guest's clock is ahead. Waking it costs QEMU 0.1 ms
 * and its guest the TLB, so it is done only when the kernel says that the thread sleeps.
 *
 *   a frame, or a marker that somebody waits for    at once, and every `wakeMs` until it came back
 *   anything else, as the completion of a request   when the thread did not run for `vcpuSleepMs`
 */
import { limits } from '../../base/limits.ts';
import { parseSchedStat } from '../../base/proc-stat.ts';
import { ProcFile } from '../../host/proc-file.ts';

export interface VcpuWakerOptions {
  readonly pid: number;
  /** Of the vCPU, as the kernel numbers it; unknown: it is woken whether it sleeps or not. */
  readonly threadId: number | undefined;
  /** Whether a marker waits. */
  readonly waits: () => boolean;
  /** Whether the process is stopped and continued all the time (throttle.ts). */
  readonly isSlowedDown: () => boolean;
  /** False while the machine is stopped: nothing would be recorded, and its monitor is busy. */
  readonly mayWake: () => boolean;
  readonly wake: () => void;
}

export class VcpuWaker {
  readonly #options: VcpuWakerOptions;
  readonly #state: ProcFile | undefined;
  readonly #runs: ProcFile | undefined;
  #lastRuns = '';
  #lastTickAt = 0;
  #timer: NodeJS.Timeout | undefined;
  /** A look is due when what happens now has happened: frames come several at a time. */
  #looksNow = false;
  #looksForFrame = 0;
  #isClosed = false;

  constructor(options: VcpuWakerOptions) {
    this.#options = options;
    const { pid, threadId } = options;
    if (threadId === undefined) return;
    this.#state = ProcFile.open(`/proc/${pid}/task/${threadId}/stat`);
    this.#runs = ProcFile.open(`/proc/${pid}/task/${threadId}/schedstat`);
  }

  /** A frame was given to QEMU, which reads it in a moment. */
  frameGiven(): void {
    this.#looksForFrame = limits.wakesForFrame;
    this.#lookNow();
  }

  /** A marker was given to QEMU, and somebody waits for what it pushes out. */
  markerGiven(): void {
    this.#lookSoon();
  }

  /** To be called often: wakes a vCPU that did not run for `vcpuSleepMs`. */
  tick(): void {
    const now = performance.now();
    const passedMs = now - this.#lastTickAt;
    if (passedMs < limits.vcpuSleepMs) return;
    this.#lastTickAt = now;
    const before = this.#lastRuns;
    this.#lastRuns = this.#runs?.read() ?? '';
    const hasRun = this.#hasRun(before, this.#lastRuns, passedMs);
    if (!hasRun && this.#options.mayWake()) this.#options.wake();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state?.close();
    this.#runs?.close();
  }

  #lookSoon(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, limits.wakeMs);
  }

  #lookNow(): void {
    if (this.#looksNow) return;
    this.#looksNow = true;
    queueMicrotask(() => {
      this.#looksNow = false;
      this.#look();
    });
  }

  #look(): void {
    if (this.#isClosed) return;
    if (this.#looksForFrame <= 0 && !this.#options.waits()) return;
    if (this.#options.mayWake()) {
      this.#looksForFrame -= 1;
      if (this.#sleeps()) this.#options.wake();
    }
    this.#lookSoon();
  }

  /** A thread that sleeps runs, too, when it is stopped and continued: some 14 us each time. */
  #hasRun(before: string, now: string, passedMs: number): boolean {
    if (before === now) return false;
    if (!this.#options.isSlowedDown()) return true;
    return ranMs(now) - ranMs(before) > limits.vcpuRanShare * passedMs;
  }

  /** Whether its thread sleeps; it may be in a queue for one of QEMU's locks, too. */
  #sleeps(): boolean {
    const text = this.#state?.read();
    // "PID (NAME) STATE ...": a name may hold anything, so the last parenthesis counts.
    return text === undefined || text[text.lastIndexOf(')') + 2] !== 'R';
  }
}

/** `schedstat`: the text of that file of its thread. */
const ranMs = (schedstat: string): number => parseSchedStat(schedstat)?.ranMs ?? Number.NaN;
