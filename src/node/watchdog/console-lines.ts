/**
 * Looks for lines of a guest's console that begin with one of some texts, as that of a kernel's
 * panic does. A kernel's time stamp, and the name of the task that printed it, may stand in front.
 *
 * Only the beginning of a line counts: what a person types stands behind a prompt, and a quoted log
 * behind a name. It is no proof: whoever may write to the console may write such a line.
 */
import { watchdogLimits } from './limits.ts';

/** `[   12.345678] `, `[   12.345678][    T1] `, and with `<0>` in front. */
const stamp = /^(?:<\d+>)?(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?)?/;

export class ConsoleLines {
  readonly #texts: readonly string[];
  #line = '';

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  /** The first such line that ends in these bytes, without its stamp. */
  take(bytes: Buffer): string | undefined {
    const lines = `${this.#line}${bytes.toString('latin1')}`.split('\n');
    const rest = lines.pop() ?? '';
    this.#line = rest.slice(0, watchdogLimits.lineBytesMax);
    return lines.map(plain).find((line) => this.#texts.some((text) => line.startsWith(text)));
  }
}

/** As a person reads it: what was overwritten by a carriage return is gone. */
const plain = (line: string): string =>
  (line.trimEnd().split('\r').at(-1) ?? '')
    .replace(stamp, '')
    .slice(0, watchdogLimits.lineBytesMax);
