/**
 * Slows a recorder down by letting its process stand still for a share of the time.
 *
 * A stopped process is invisible to record and replay: the guest only sees that the world's clock
 * went on, as it does when its host is busy. Its parent's death ends it all the same.
 */
import { limits } from '../base/limits.ts';

export class Throttle {
  readonly #pid: number;
  #share = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #suspended = false;
  #closed = false;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Share of the time, 0 to 1, to stand still from now on. */
  set share(share: number) {
    this.#share = share;
    if (share > 0 && this.#timer === undefined && !this.#suspended) this.#begin();
  }

  get share(): number {
    return this.#share;
  }

  /** Lets the process run until `resume`: its monitor must answer. */
  suspend(): void {
    this.#suspended = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#signal('SIGCONT');
  }

  resume(): void {
    if (this.#closed) return;
    this.#suspended = false;
    this.share = this.#share;
  }

  /**
   * The process is to end, or has: from now on no signal is sent, whoever still resumes. Its id may
   * be another process's then.
   */
  close(): void {
    if (this.#closed) return;
    this.suspend();
    this.#closed = true;
  }

  #begin(): void {
    const stillMs = Math.round(this.#share * limits.throttlePeriodMs);
    if (stillMs < 1) {
      this.#timer = undefined;
      return;
    }
    this.#signal('SIGSTOP');
    this.#timer = setTimeout(() => {
      this.#signal('SIGCONT');
      this.#timer = setTimeout(() => this.#begin(), limits.throttlePeriodMs - stillMs);
    }, stillMs);
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if ((signal === 'SIGSTOP') === this.#stopped) return;
    this.#stopped = signal === 'SIGSTOP';
    try {
      process.kill(this.#pid, signal);
    } catch {
      // It has ended; whoever owns it finds out.
    }
  }
}
