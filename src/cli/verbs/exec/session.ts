/**
 * What `understudy exec` and the first process of its machine say to each other; the other end, and
 * the lines, are at the head of scripts/guest/container/sbin/relay.
 *
 * Contract
 *  1. Of a machine that has just come up, been taken over or gone back, nothing counts before it
 *     has answered a hello with a nonce of its own. So bytes that were lost or said twice on the
 *     way there are neither missing nor doubled.
 *  2. `onEnd` is called once, when all that the command said has been taken.
 *  3. A signal reaches the command once in the life of a machine, and again when that goes back to
 *     before it.
 *  4. A machine that comes up a second time has failed: it has lost its command.
 *  5. `kept` resolves with true only when the machine had not come up a second time before.
 */
import { reasonOf } from '../../../base/errors.ts';
import type { KeptStream } from './kept-stream.ts';
import { execLimits } from './limits.ts';

export interface SessionOptions {
  /** Standard output and standard error. */
  readonly streams: readonly [KeptStream, KeptStream];
  /** Numbers of all signals that the command is to get, in order; more may come. */
  readonly signals: readonly number[];
  /** The machine boots; else it goes on from a state in which its command runs. */
  readonly boots: boolean;
  /** To the console of the machine as it is now. */
  readonly send: (line: string) => void;
  /** Unpredictable, 16 letters: what the command says must not have it in it. */
  readonly nonce: () => string;
  /** The command runs, or has ended. */
  readonly onRunning: () => void;
  readonly onEnd: (code: number) => void;
  readonly onFailure: (why: string) => void;
}

interface Answer {
  readonly code: number;
  readonly totals: readonly number[];
}

export class Session {
  readonly #options: SessionOptions;
  #nonce = '';
  #hellos = 0;
  #timer: NodeJS.Timeout | undefined;
  #isUp: boolean;
  /** The console has answered. */
  #isHeard = false;
  #isRunning = false;
  /** Where the streams are to go on. */
  #asked: readonly number[] = [];
  /** Of each stream, what came since the hello and is not known to be behind its nonce. */
  #before: (Buffer | undefined)[] = [];
  #line = '';
  #end: Answer | undefined;
  #keeping: { readonly answer: string; readonly done: (isThere: boolean) => void } | undefined;
  #isOver = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#isUp = !options.boots;
  }

  /** The machine is at another place now: nothing that was heard before counts. */
  moved(): void {
    this.#line = '';
    if (this.#isUp) this.#greet(1);
  }

  /** Bytes of the console. */
  console(bytes: Buffer): void {
    // Nobody says long lines but the kernel when it ends.
    const lines = (this.#line + bytes.toString('latin1')).split('\n');
    this.#line = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) this.#hear(line.trimEnd());
  }

  /** Bytes of a stream: 0 is standard output, 1 standard error. */
  stream(index: 0 | 1, bytes: Buffer): void {
    if (this.#isOver) return;
    const before = this.#before[index];
    if (before === undefined) {
      if (this.#nonce !== '') this.#take(index, bytes);
      return;
    }
    const all = Buffer.concat([before, bytes]);
    const at = all.indexOf(this.#nonce);
    if (at < 0) {
      this.#before[index] = all.subarray(-(this.#nonce.length - 1));
      return;
    }
    this.#before[index] = undefined;
    this.#settle();
    this.#take(index, all.subarray(at + this.#nonce.length));
  }

  /** There is one more signal. */
  signalled(): void {
    const { signals } = this.#options;
    if (this.#isHeard) this.#sendSignal(signals.length);
  }

  /** It has been asked, has answered, and is the same machine since. */
  get isHeard(): boolean {
    return this.#isHeard && !this.#isOver;
  }

  /**
   * The machine never goes back to before these positions. False when it does not answer: it is
   * another one, or has failed, and may have been so for a while.
   */
  async kept(positions: readonly number[]): Promise<boolean> {
    if (!this.isHeard) return false;
    const answer = `kept ${positions.join(' ')}`;
    let timer: NodeJS.Timeout | undefined;
    const isThere = await new Promise<boolean>((done) => {
      this.#keeping = { answer, done };
      timer = setTimeout(() => this.#unkept(), execLimits.keptMs);
      this.#options.send(answer);
    });
    clearTimeout(timer);
    return isThere;
  }

  close(): void {
    this.#isOver = true;
    this.#unkept();
    clearTimeout(this.#timer);
  }

  #greet(hellos: number): void {
    if (this.#isOver) return;
    if (hellos > execLimits.helloTries) {
      this.#fail('it does not answer');
      return;
    }
    const { streams, nonce, send } = this.#options;
    this.#unkept();
    this.#hellos = hellos;
    this.#nonce = nonce();
    this.#isHeard = false;
    this.#end = undefined;
    this.#before = streams.map(() => Buffer.alloc(0));
    clearTimeout(this.#timer);
    const waitMs = Math.min(execLimits.helloMs * 2 ** (hellos - 1), execLimits.helloMsMax);
    this.#timer = setTimeout(() => this.#greet(this.#hellos + 1), waitMs);
    this.#asked = streams.map(({ position }) => position);
    send(`hello ${this.#nonce} ${this.#asked.join(' ')}`);
  }

  #hear(line: string): void {
    if (this.#isOver) return;
    const [, broken] = /^understudy-run: (?!exit code)(.*)$/.exec(line) ?? [];
    if (broken !== undefined) this.#fail(`it cannot be brought up: ${broken}`);
    const [, said = ''] = /^understudy-exec: (.*)$/.exec(line) ?? [];
    const [word, ...rest] = said.split(' ');
    switch (word) {
      case 'ready':
        if (this.#isUp) this.#fail('it has booted anew');
        this.#isUp = true;
        this.#greet(1);
        return;
      case 'hello':
        if (rest[0] === this.#nonce) this.#answered(rest.slice(1).map(Number));
        return;
      case 'kept':
        if (said === this.#keeping?.answer) this.#keeping.done(true);
        return;
      case 'end': {
        const [code = 0, ...totals] = rest.map(Number);
        if (this.#isHeard) this.#end = { code, totals };
        this.#conclude();
        return;
      }
      default:
    }
  }

  #answered([had = 0, ...from]: readonly number[]): void {
    const { signals, send, onRunning } = this.#options;
    if (this.#asked.some((position, index) => position !== from[index])) {
      this.#fail(
        `it has what it said from ${from.join(' and ')}, not ${this.#asked.join(' and ')}`,
      );
      return;
    }
    this.#isHeard = true;
    this.#settle();
    send('start');
    for (let sequence = had + 1; sequence <= signals.length; sequence += 1) {
      this.#sendSignal(sequence);
    }
    if (this.#isRunning) return;
    this.#isRunning = true;
    onRunning();
  }

  #unkept(): void {
    this.#keeping?.done(false);
    this.#keeping = undefined;
  }

  #settle(): void {
    const isWhole = this.#before.every((before) => before === undefined);
    if (this.#isHeard && isWhole) clearTimeout(this.#timer);
  }

  #sendSignal(sequence: number): void {
    const { signals, send } = this.#options;
    send(`signal ${sequence} ${signals[sequence - 1]}`);
  }

  #take(index: 0 | 1, bytes: Buffer): void {
    try {
      this.#options.streams[index].take(bytes);
    } catch (thrown) {
      this.#fail(reasonOf(thrown));
      return;
    }
    this.#conclude();
  }

  #conclude(): void {
    if (this.#end === undefined || this.#isOver) return;
    const { code, totals } = this.#end;
    const { streams, onEnd } = this.#options;
    if (this.#before.some((before) => before !== undefined)) return;
    if (streams.some(({ position }, index) => position !== totals[index])) return;
    try {
      for (const stream of streams) stream.end();
    } catch (thrown) {
      this.#fail(reasonOf(thrown));
      return;
    }
    this.close();
    onEnd(code);
  }

  #fail(why: string): void {
    if (this.#isOver) return;
    this.close();
    this.#options.onFailure(why);
  }
}
