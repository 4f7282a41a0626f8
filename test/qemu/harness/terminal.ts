/** Text of a serial console, and commands typed into it. */
import { answerMs } from './wait.ts';

/** Of all terminals: who attaches is shown what others have typed before. */
let nextCommand = 1;

export class Terminal {
  text = '';
  readonly #write: (text: string) => void;
  readonly #waiting = new Set<() => void>();

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  take(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    for (const look of this.#waiting) look();
  }

  /** Resolves with the text up to the end of `wanted`, which comes at or behind offset `from`. */
  async until(wanted: string, deadlineMs: number = answerMs, from = 0): Promise<string> {
    const at = (): number => this.text.indexOf(wanted, from);
    await this.#when(() => at() >= 0, `'${wanted}'`, deadlineMs);
    return this.text.slice(from, at() + wanted.length);
  }

  /** Types a line at once; it is there when the guest has echoed it. */
  async type(line: string): Promise<void> {
    const from = this.text.length;
    this.#write(`${line}\n`);
    await this.#when(() => holdsInOrder(this.text, line, from), `the echo of '${line}'`);
  }

  /** Types, and waits for nothing. */
  paste(text: string): void {
    this.#write(text);
  }

  /** Types a command and returns what was printed from then on, the command's echo included. */
  async run(command: string, deadlineMs: number = answerMs): Promise<string> {
    // The quotes keep the echo of the command from being taken for its end.
    const tag = `${nextCommand}.${process.pid}`;
    nextCommand += 1;
    const from = this.text.length;
    await this.type(`${command}; echo e''${tag}`);
    return this.until(`e${tag}`, deadlineMs, from);
  }

  #when(holds: () => boolean, what: string, deadlineMs: number = answerMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        if (!holds()) return;
        finish();
        resolve();
      };
      const timer = setTimeout(() => {
        finish();
        const tail = JSON.stringify(this.text.slice(-300));
        reject(new Error(`${what} did not come in ${deadlineMs} ms; the console ends ${tail}`));
      }, deadlineMs);
      this.#waiting.add(look);
      look();
    });
  }
}

/**
 * With anything in between: what something else prints meanwhile tears an echo, and so does a
 * line's end.
 */
function holdsInOrder(text: string, keys: string, from: number): boolean {
  let at = from;
  for (const key of keys) {
    at = text.indexOf(key, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
