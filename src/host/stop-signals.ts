/**
 * What a person or a service manager says to a process by signals.
 *
 * Contract
 *  1. The first SIGTERM or SIGINT asks for an end in good order.
 *  2. The second one ends the process and its children at once, as SIGKILL does: whatever the good
 *     order waits for, it is not waited for.
 *  3. SIGHUP, which a terminal sends when it goes, is told and ends nothing.
 *  4. After `close` each of them does what it does to any process.
 */
import { endLiving } from './processes.ts';

export interface StopSignalsOptions {
  readonly onStop: () => void;
  readonly onHangup: () => void;
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

export class StopSignals {
  readonly #onStop: () => void;
  readonly #onHangup: () => void;

  constructor({ onStop, onHangup }: StopSignalsOptions) {
    let isAsked = false;
    this.#onStop = () => {
      if (isAsked) endAtOnce();
      isAsked = true;
      onStop();
    };
    this.#onHangup = onHangup;
    for (const signal of stopSignals) process.on(signal, this.#onStop);
    process.on('SIGHUP', this.#onHangup);
  }

  close(): void {
    for (const signal of stopSignals) process.off(signal, this.#onStop);
    process.off('SIGHUP', this.#onHangup);
  }
}

/** Not `process.exit`: that waits for threads, and one of them may wait for a disk. */
function endAtOnce(): never {
  endLiving();
  process.kill(process.pid, 'SIGKILL');
  throw new Error('SIGKILL did not end this process');
}
