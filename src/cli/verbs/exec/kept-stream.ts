/**
 * One stream of a command whose machine may go back to an earlier state: what of it is printed, and
 * what waits.
 *
 * Intuition: a machine that goes back says again what it said behind that state, and perhaps
 * something else. So what is behind the newest snapshot is held; what is printed is never taken
 * back, and is compared when it is said again.
 *
 * Contract
 *  1. Bytes are printed in order, each once.
 *  2. While held, nothing is printed beyond what `printTo` was told.
 *  3. `take` and `end` throw `store` when a machine that went back says something else than what
 *     was printed, or less.
 */
import { UnderstudyError } from '../../../base/errors.ts';

export interface KeptStreamOptions {
  readonly name: string;
  readonly isHeld: boolean;
  readonly print: (bytes: Buffer) => void;
}

export class KeptStream {
  readonly #options: KeptStreamOptions;
  /** What is known from `#base` on. */
  #bytes: Buffer = Buffer.alloc(0);
  #base = 0;
  #printed = 0;
  #position = 0;

  constructor(options: KeptStreamOptions) {
    this.#options = options;
  }

  /** Bytes that the machine, as it is now, has said. */
  get position(): number {
    return this.#position;
  }

  get printed(): number {
    return this.#printed;
  }

  /** Bytes that wait to be printed. */
  get held(): number {
    return Math.max(0, this.#position - this.#printed);
  }

  /** What the machine says next. */
  take(bytes: Buffer): void {
    const again = Math.max(0, Math.min(bytes.length, this.#printed - this.#position));
    const from = this.#position - this.#base;
    if (!this.#bytes.subarray(from, from + again).equals(bytes.subarray(0, again))) {
      throw this.#otherwise();
    }
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(again)]);
    this.#position += bytes.length;
    if (this.#options.isHeld) return;
    this.printTo(this.#position);
    this.forget(this.#position);
  }

  /** It says nothing more. */
  end(): void {
    if (this.#position < this.#printed) throw this.#otherwise();
  }

  /** All that the machine has said up to there is never taken back. */
  printTo(position: number): void {
    if (position <= this.#printed) return;
    this.#options.print(this.#bytes.subarray(this.#printed - this.#base, position - this.#base));
    this.#printed = position;
  }

  /** The machine never goes back to before this. */
  forget(position: number): void {
    const to = Math.min(position, this.#printed);
    if (to <= this.#base) return;
    this.#bytes = this.#bytes.subarray(to - this.#base);
    this.#base = to;
  }

  /** The machine goes on from a state in which it had said so much, or more. */
  goBack(position: number): void {
    if (position < this.#base || position > this.#position) {
      throw new Error(`cannot go back to ${position}: known is ${this.#base} to ${this.#position}`);
    }
    this.#position = position;
    this.#bytes = this.#bytes.subarray(0, Math.max(position, this.#printed) - this.#base);
  }

  #otherwise(): UnderstudyError {
    const { name } = this.#options;
    return new UnderstudyError(
      'store',
      `The command says something else on its ${name} than it did before its machine went back`,
      { hint: 'what was printed cannot be taken back' },
    );
  }
}
