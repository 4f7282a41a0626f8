/**
 * What is typed at the guest's console or another serial port, at the pace of that port.
 *
 * QEMU asks the port for room before it takes bytes for it. A recording QEMU takes them
 * at one time and gives them to the port at another, when its vCPU has recorded them (`CHAR_READ`);
 * asked meanwhile, the port has the same room as before. So it takes more than there is room for,
 * and what is too much is lost. Asked while nothing is on its way, its answer is right: it is given
 * one byte, and the next when the log says that the port has that one. More than one would be too
 * many for a port whose buffer is off or nearly full.
 *
 * Contract
 *  1. Bytes reach the port in order, each once, none without room for it.
 *  2. `type` resolves when all of its bytes were given, or nobody will take them any more: who
 *     waits for that holds no more than one piece of what is typed.
 */
import { limits } from '../../base/limits.ts';
import type { SerialPipe } from '../qemu/serial-pipe.ts';

export interface SerialInputOptions {
  readonly pipe: Pick<SerialPipe, 'give' | 'untaken'>;
  /** Pushes the log of what QEMU has done so far out of its buffer. */
  readonly pushLog: () => void;
}

interface Typed {
  readonly bytes: Buffer;
  given: number;
  readonly done: () => void;
}

export class SerialInput {
  readonly #options: SerialInputOptions;
  readonly #typed: Typed[] = [];
  /** A byte was given, and the log does not say yet that the port has it. */
  #isOnItsWay = false;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SerialInputOptions) {
    this.#options = options;
  }

  type(bytes: Buffer): Promise<void> {
    if (this.#isClosed || bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#typed.push({ bytes, given: 0, done: resolve });
      this.#give();
    });
  }

  /** So many bytes have reached the port, by the log. */
  delivered(bytes: number): void {
    if (bytes === 0 || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#isOnItsWay = false;
    this.#give();
  }

  /** The machine is gone. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { done } of this.#typed.splice(0)) done();
  }

  #give(): void {
    const head = this.#typed[0];
    if (head === undefined || this.#isOnItsWay) return;
    this.#isOnItsWay = true;
    this.#options.pipe.give(head.bytes.subarray(head.given, head.given + 1));
    head.given += 1;
    if (head.given === head.bytes.length) {
      this.#typed.shift();
      head.done();
    }
    this.#pushWhenTaken(limits.serialLookMs);
  }

  /** QEMU takes it when the port has room, which a guest that does not read makes never. */
  #pushWhenTaken(inMs: number): void {
    this.#timer = setTimeout(() => {
      if (this.#options.pipe.untaken === 0) this.#options.pushLog();
      else this.#pushWhenTaken(Math.min(2 * inMs, limits.serialLookMsMax));
    }, inMs);
  }
}
