/** One ssh session, open through every takeover: lines that come back, once and in order. */
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../../src/base/errors.ts';
import type { WorldChild } from '../../../src/lab/world.ts';
import type { DebianGuest } from './guest.ts';

const lineMs = 500;
const connectMs = 300_000;
const greeting = 'connected';
/** What is on its way at the end, behind a takeover. */
const lastMs = 20_000;

export interface EchoRecord {
  readonly sent: number;
  readonly lost: number;
  readonly doubled: number;
  readonly isBroken: boolean;
}

export class EchoSession {
  readonly #child: WorldChild;
  readonly #seen = new Map<string, number>();
  readonly #closed: Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #isEnding = false;
  #isBroken = false;

  private constructor({ child, lines }: Connected) {
    this.#child = child;
    lines.on('line', (line) => {
      this.#seen.set(line, (this.#seen.get(line) ?? 0) + 1);
    });
    this.#closed = new Promise((resolve) => this.#child.on('close', resolve));
    void this.#closed.then(() => {
      this.#isBroken = !this.#isEnding;
      clearInterval(this.#timer);
    });
    this.#timer = setInterval(() => {
      this.#child.stdin.write(`line ${this.#sent}\n`);
      this.#sent += 1;
    }, lineMs);
  }

  /** Resolves when it is connected: a guest that has just booted lets ssh wait. */
  static async begin(guest: DebianGuest): Promise<EchoSession> {
    const deadline = performance.now() + connectMs;
    for (;;) {
      const connected = await connect(guest);
      if (connected !== undefined) return new EchoSession(connected);
      if (performance.now() > deadline) {
        throw new UnderstudyError('environment', 'The guest lets no ssh session begin');
      }
      await sleep(lineMs);
    }
  }

  /** Closes it, and judges. */
  async end(): Promise<EchoRecord> {
    clearInterval(this.#timer);
    const isBroken = this.#isBroken;
    this.#isEnding = true;
    this.#child.stdin.end();
    const late = setTimeout(() => this.#child.kill('SIGKILL'), lastMs);
    await this.#closed;
    clearTimeout(late);
    const lines = Array.from({ length: this.#sent }, (_, n) => this.#seen.get(`line ${n}`) ?? 0);
    return {
      sent: this.#sent,
      lost: lines.filter((times) => times === 0).length,
      doubled: lines.filter((times) => times > 1).length,
      isBroken,
    };
  }
}

interface Connected {
  readonly child: WorldChild;
  readonly lines: Interface;
}

/** Nothing when ssh gave up. */
async function connect(guest: DebianGuest): Promise<Connected | undefined> {
  const child = guest.start(`echo ${greeting}; exec cat`);
  child.stdin.on('error', () => undefined); // its end tells
  child.stderr.resume();
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve) => {
    lines.once('line', () => resolve({ child, lines }));
    child.once('close', () => resolve(undefined));
  });
}
