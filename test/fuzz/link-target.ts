/**
 * A link, both ends of the fuzzer: one speaks through the port as a node would, the other sends
 * valid, damaged, repeated and unwanted frames. Credit and order must hold whatever comes.
 */
import { type Millis, term } from '../../src/base/units.ts';
import type { LinkMessage } from '../../src/ports/link.ts';
import { protocolVersion } from '../../src/wire/control.ts';
import { FramedLink } from '../../src/wire/framed-link.ts';
import { decodeFrame } from '../../src/wire/frames.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import {
  controlFrameOf,
  frameOf,
  identity,
  reseal,
  someMessage,
  someWireControl,
} from './examples.ts';
import { mutate, type Random } from './random.ts';
import { ScriptPipe } from './script-pipe.ts';
import { type FuzzTarget, must, refusable } from './target.ts';

export const linkTarget: FuzzTarget = {
  name: 'link',
  batch: 20,
  play(random, trace) {
    const session = new Session(random, trace);
    for (let steps = 5 + random.upTo(60); steps > 0; steps -= 1) session.step();
    return session.end();
  },
};

class Session {
  readonly #random: Random;
  readonly #trace: (bytes: Uint8Array) => void;
  readonly #pipe = new ScriptPipe();
  readonly #link: FramedLink;
  readonly #unsettled: (() => void)[] = [];
  #heldBytes = 0;
  #closedByUs = false;
  #closes = 0;
  /** The most that the fuzzer granted. */
  #granted = { log: 0, bulk: 0 };
  readonly #sent = { log: 0, blob: 0 };

  constructor(random: Random, trace: (bytes: Uint8Array) => void) {
    this.#random = random;
    this.#trace = trace;
    const peer = { ...identity('stranger'), protocol: protocolVersion };
    this.#link = new FramedLink({ pipe: this.#pipe, peer, term: term(1), now: () => 0 as Millis });
    if (random.chance(0.9)) this.#listen();
    this.#link.onClose(() => {
      this.#closes += 1;
    });
  }

  #listen(): void {
    const manner = this.#random.upTo(3);
    this.#link.onMessage((message) => {
      must(!this.#closedByUs, 'a message was handed over after close()');
      if (manner === 3 && this.#random.chance(0.05)) throw new Error('a bug in the handler');
      if (manner === 0) return undefined;
      const bytes = message.kind === 'log' || message.kind === 'blob' ? message.payload.length : 0;
      this.#heldBytes += bytes;
      const most = wireLimits.logCreditBytes + wireLimits.bulkCreditBytes;
      must(this.#heldBytes <= most, `${this.#heldBytes} bytes are held, ${most} were granted`);
      return new Promise<void>((resolve) => {
        this.#unsettled.push(() => {
          this.#heldBytes -= bytes;
          resolve();
        });
      });
    });
  }

  step(): void {
    const random = this.#random;
    switch (random.upTo(9)) {
      case 0:
      case 1:
        this.#say(frameOf(someMessage(random)));
        break;
      case 2:
        if (random.chance(0.2)) this.#say(reseal(mutate(random, frameOf(someMessage(random)))));
        break;
      case 3:
        if (random.chance(0.1)) this.#sayUnwanted();
        break;
      case 4:
        this.#grant();
        break;
      case 5:
      case 6:
        this.#send(someMessage(random));
        break;
      case 7:
        this.#unsettled.shift()?.();
        break;
      case 8:
        this.#pipe.bufferedBytes = random.chance(0.7) ? 0 : random.upTo(4 * 1024 * 1024);
        this.#pipe.drain();
        break;
      default:
        if (random.chance(0.05)) {
          this.#link.close(random.text(200));
          this.#closedByUs = true;
        }
    }
    this.#check();
  }

  async end(): Promise<void> {
    for (const settle of this.#unsettled.splice(0)) settle();
    this.#pipe.end(1006, '');
    await new Promise((resolve) => setImmediate(resolve));
    must(this.#closes === 1, `onClose was called ${this.#closes} times`);
    must(!this.#link.status().open, 'the link is open although its pipe has ended');
  }

  #say(frame: Buffer): void {
    this.#trace(frame);
    this.#pipe.deliver(frame);
  }

  /** What is the link's own, but for credit: that is counted. */
  #sayUnwanted(): void {
    const control = someWireControl(this.#random);
    if (control.type !== 'credit') this.#say(controlFrameOf(control));
  }

  #send(message: LinkMessage): void {
    refusable(() => this.#link.send(message));
  }

  #grant(): void {
    const grown = (old: number, most: number): number =>
      this.#random.chance(0.1) ? this.#random.upTo(old) : old + this.#random.upTo(most);
    const log = grown(this.#granted.log, 500_000);
    const bulk = grown(this.#granted.bulk, 500_000);
    this.#granted = {
      log: Math.max(log, this.#granted.log),
      bulk: Math.max(bulk, this.#granted.bulk),
    };
    this.#say(controlFrameOf({ type: 'credit', log, bulk }));
  }

  #check(): void {
    for (const frame of this.#pipe.sent.splice(0)) {
      const { kind } = decodeFrame(frame);
      if (kind === 'log' || kind === 'blob') this.#sent[kind] += frame.length;
    }
    must(this.#sent.log <= this.#granted.log, 'more log was sent than was granted');
    must(this.#sent.blob <= this.#granted.bulk, 'more bulk was sent than was granted');
    for (const [name, value] of Object.entries(this.#link.status())) {
      const sane = typeof value === 'boolean' || (Number.isFinite(value) && value >= 0);
      must(sane, `status().${name} is ${String(value)}`);
    }
  }
}
