/**
 * Progress as it happens. On a terminal: what happened scrolls, and one status line below it is
 * written over. Elsewhere: plain lines, the status at most once a second.
 */
import { type Paint, painter, wantsColour } from './style.ts';

const STATUS_EVERY_MS_PLAIN = 1000;
const STATUS_EVERY_MS_TERMINAL = 100;
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = '\r\x1b[2K';

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Milliseconds on any clock that only goes forward. @default performance.now */
  readonly now?: () => number;
}

export class Progress {
  readonly paint: Paint;
  readonly #stream: ProgressStream;
  readonly #terminal: boolean;
  readonly #now: () => number;
  #status = '';
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: ProgressStream, options: ProgressOptions = {}) {
    this.#stream = stream;
    this.#terminal = stream.isTTY === true;
    this.#now = options.now ?? (() => performance.now());
    this.paint = painter(wantsColour(stream));
  }

  /** Something happened: a line that stays. */
  event(text: string): void {
    if (!this.#terminal) {
      this.#stream.write(`${text}\n`);
      return;
    }
    this.#stream.write(`${CLEAR_LINE}${text}\n${this.#fitted()}`);
  }

  /** How things stand: replaces the last status. Too many in a short time are left out. */
  status(text: string): void {
    if (text === this.#status) return;
    this.#status = text;
    const everyMs = this.#terminal ? STATUS_EVERY_MS_TERMINAL : STATUS_EVERY_MS_PLAIN;
    const nowMs = this.#now();
    if (nowMs - this.#shownAtMs < everyMs) return;
    this.#shownAtMs = nowMs;
    this.#stream.write(this.#terminal ? `${CLEAR_LINE}${this.#fitted()}` : `${text}\n`);
  }

  /** Takes the status line away. */
  end(): void {
    this.#status = '';
    if (this.#terminal) this.#stream.write(CLEAR_LINE);
  }

  /** A status wider than the terminal would wrap, and could not be written over. */
  #fitted(): string {
    return this.#status.slice(0, (this.#stream.columns ?? COLUMNS_DEFAULT) - 1);
  }
}
