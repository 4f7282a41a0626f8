/**
 * Two links joined in memory, for tests: the same frames, lanes and credit as over a network, with
 * nothing below them. Frames are really encoded and decoded.
 */
import { performance } from 'node:perf_hooks';
import { type Millis, type Term, term as toTerm } from '../../src/base/units.ts';
import type { Hello } from '../../src/ports/link.ts';
import { protocolVersion } from '../../src/wire/control.ts';
import { Fifo } from '../../src/wire/fifo.ts';
import { FramedLink } from '../../src/wire/framed-link.ts';
import type { FramePipe, PipeHandlers } from '../../src/wire/pipe.ts';

type Schedule = (job: () => void) => void;

interface End {
  readonly code: number;
  readonly reason: string;
}

/** One end of a pipe in memory. A frame counts as buffered until it was delivered. */
export class MemoryPipe implements FramePipe {
  readonly #schedule: Schedule;
  readonly #queue = new Fifo<Buffer | End>();
  #handlers: PipeHandlers | undefined;
  #other: MemoryPipe | undefined;
  #pumping = false;
  #closing = false;
  #closed = false;
  bufferedBytes = 0;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  static join(a: MemoryPipe, b: MemoryPipe): void {
    a.#other = b;
    b.#other = a;
  }

  attach(handlers: PipeHandlers): void {
    this.#handlers = handlers;
  }

  send(frame: Buffer): void {
    if (this.#closing || this.#closed) return;
    this.bufferedBytes += frame.length;
    this.#queue.push(frame);
    this.#startPump();
  }

  close(code: number, reason: string): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.#queue.push({ code, reason });
    this.#startPump();
  }

  /** Breaks the connection: what is on its way is lost, and neither side says why. */
  break(): void {
    for (const pipe of [this, this.#other]) {
      if (pipe === undefined) continue;
      pipe.#queue.clear();
      pipe.#end(1006, '');
    }
  }

  #startPump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#schedule(() => this.#pump());
  }

  #pump(): void {
    this.#pumping = false;
    const other = this.#other;
    if (other === undefined) return;
    const delivered = this.#queue.length;
    for (let i = 0; i < delivered; i += 1) {
      const item = this.#queue.shift();
      if (item === undefined) return;
      if ('code' in item) {
        other.#end(item.code, item.reason);
        this.#end(item.code, item.reason);
        return;
      }
      this.bufferedBytes -= item.length;
      other.#deliver(item);
    }
    if (!this.#closed) this.#handlers?.onDrain();
    if (this.#queue.length > 0) this.#startPump();
  }

  #deliver(frame: Buffer): void {
    if (!this.#closed) this.#handlers?.onFrame(frame);
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers?.onClose(code, reason);
  }
}

export interface MemoryPairOptions {
  /** What the nodes say of themselves; the second one's name differs by default. */
  readonly hello?: Partial<Hello>;
  readonly now?: () => Millis;
  /** When frames are delivered. @default setImmediate */
  readonly schedule?: Schedule;
}

export interface MemoryPair {
  readonly a: FramedLink;
  readonly b: FramedLink;
  /** Breaks the connection between them without a word to either. */
  break(): void;
}

export function memoryPipePair(
  schedule: Schedule = (job) => void setImmediate(job),
): [MemoryPipe, MemoryPipe] {
  const pipes: [MemoryPipe, MemoryPipe] = [new MemoryPipe(schedule), new MemoryPipe(schedule)];
  MemoryPipe.join(...pipes);
  return pipes;
}

/** Two joined links, the hello exchange done. */
export function memoryLinkPair(options: MemoryPairOptions = {}): MemoryPair {
  const [pipeA, pipeB] = memoryPipePair(options.schedule);
  const now = options.now ?? (() => performance.now() as Millis);
  const helloA = { ...exampleHello('a'), ...options.hello };
  const helloB = { ...exampleHello('b'), ...options.hello, node: 'b' };
  const a = new FramedLink({ pipe: pipeA, peer: helloB, term: helloA.term, now });
  const b = new FramedLink({ pipe: pipeB, peer: helloA, term: helloB.term, now });
  return { a, b, break: () => pipeA.break() };
}

function exampleHello(node: string): Hello {
  const term: Term = toTerm(1);
  return {
    protocol: protocolVersion,
    node,
    pair: 'example',
    qemu: '7.2.22',
    logLayout: '7.2',
    vmFingerprint: 'example',
    term,
  };
}
