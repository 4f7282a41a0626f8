/**
 * Whether a process answers its monitor: what hangs is found out, and what is only late is not.
 *
 * One question is on its way at a time. Silence is counted in looks of our own, one a second, and
 * not by a clock: a node that stood still, or that gets no processor, counts nothing meanwhile. A
 * process that the kernel says is stopped (SIGSTOP) is given less time than one that may just be
 * waiting for a processor or a disk.
 */
import { readProcStat } from '../host/pid-files.ts';
import { hypervisorLimits } from './limits.ts';

export interface HeartbeatOptions {
  readonly pid: number;
  /** Settles when the process has answered, however; rejects when it can answer no more. */
  readonly ask: () => Promise<unknown>;
  /** It is kept from answering on purpose: that is nobody's silence. @default never */
  readonly isExcused?: () => boolean;
  /** It has been silent for too long; once for each silence. */
  readonly onSilent: (seconds: number) => void;
  /** It was silent, and answers again. */
  readonly onAnswer?: () => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  #isAsked = false;
  /** Looks at which the present question was not answered. */
  #looks = 0;
  #isSilent = false;
  #isOver = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), hypervisorLimits.beatMs);
    this.#timer.unref();
  }

  /** It has been silent for too long, and is. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  close(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  #look(): void {
    const { isExcused, onSilent, pid } = this.#options;
    if (!this.#isAsked) {
      this.#ask();
      return;
    }
    if (isExcused?.() === true) return;
    this.#looks += 1;
    if (this.#isSilent || this.#looks < hypervisorLimits.stoppedBeats) return;
    const isStopped = readProcStat(pid)?.state === 'T';
    if (!isStopped && this.#looks < hypervisorLimits.silentBeats) return;
    this.#isSilent = true;
    onSilent(Math.round((this.#looks * hypervisorLimits.beatMs) / 1000));
  }

  #ask(): void {
    this.#isAsked = true;
    this.#looks = 0;
    this.#options.ask().then(
      () => this.#answered(),
      () => this.close(), // it has ended, which is told elsewhere
    );
  }

  #answered(): void {
    this.#isAsked = false;
    if (!this.#isSilent || this.#isOver) return;
    this.#isSilent = false;
    this.#options.onAnswer?.();
  }
}
