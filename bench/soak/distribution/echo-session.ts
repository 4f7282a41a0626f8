/** One ssh session, open through every takeover: lines that come back, once and in order. */
import { createInterface } from 'node:readline';
import type { WorldChild } from '../../../src/lab/world.ts';
import type { DebianGuest } from './guest.ts';

const lineMs = 500;
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

  constructor(guest: DebianGuest) {
    this.#child = guest.start('cat');
    this.#child.stdin.on('error', () => undefined); // its end tells
    this.#child.stderr.resume();
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
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
