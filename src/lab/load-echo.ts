/**
 * One TCP connection that is kept busy for the whole run: numbered lines that must come back in
 * order, unchanged and once. It is the guest's TCP state that a takeover has to carry on.
 *
 * A line is `NUMBER FILLER\n`, the filler derived from the number, so that a line is checked from
 * itself. The connection is never opened again: if it breaks, that is the finding.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './endpoint.ts';
import { GapWatch, nowMs } from './gap-watch.ts';
import { demoLimits } from './limits.ts';
import type { EchoRecord } from './load-record.ts';

const FILLER_CHARS = 48;
const LINE_CHARS_MAX = 80;

export function echoLine(number: number): string {
  const seed = (Math.imul(number, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
  return `${number} ${seed.repeat(FILLER_CHARS / 8)}\n`;
}

export interface EchoOptions {
  readonly endpoint: Endpoint;
  /** Called once when the connection ends before `stop`. */
  readonly onBroken?: (reason: string) => void;
  /** @default demoLimits.echoLineMs */
  readonly lineMs?: number;
  /** @default demoLimits.echoDrainMs */
  readonly drainMs?: number;
}

type State = 'connecting' | 'busy' | 'stopping' | 'broken' | 'stopped';

export class EchoClient {
  readonly #socket: Socket;
  readonly #options: EchoOptions;
  readonly #gaps = new GapWatch();
  #state: State = 'connecting';
  #timer: NodeJS.Timeout | undefined;
  #rest = '';
  #sent = 0;
  #received = 0;
  /** The number that the next line back must have. */
  #expected = 1;
  #overtaken = 0;
  #doubled = 0;
  #damaged = 0;
  #broken: string | undefined;

  constructor(options: EchoOptions) {
    this.#options = options;
    this.#socket = connect({ ...options.endpoint, noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('connect', () => this.#becomeBusy());
    this.#socket.on('data', (text) => this.#take(String(text)));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#becomeBroken(error.code ?? error.message);
    });
    this.#socket.on('close', () => this.#becomeBroken('closed by the guest'));
  }

  /** Sends no more, waits for the echoes under way, closes. */
  async stop(): Promise<EchoRecord> {
    clearInterval(this.#timer);
    if (this.#state === 'busy' || this.#state === 'connecting') this.#state = 'stopping';
    const drainMs = this.#options.drainMs ?? demoLimits.echoDrainMs;
    let expected = this.#expected;
    let endMs = performance.now() + drainMs;
    while (this.#state === 'stopping' && this.#expected <= this.#sent) {
      // A guest that was slowed down for long has a backlog; only one that says nothing has lost
      // it.
      if (this.#expected > expected) endMs = performance.now() + drainMs;
      expected = this.#expected;
      if (performance.now() > endMs) break;
      await sleep(5);
    }
    if (this.#state === 'stopping') this.#state = 'stopped';
    this.#socket.destroy();
    return this.record();
  }

  /** What was seen so far; lines still under way are counted as lost only after `stop`. */
  record(): EchoRecord {
    const over = this.#state === 'stopped' || this.#state === 'broken';
    return {
      sent: this.#sent,
      received: this.#received,
      lost: this.#overtaken + (over ? this.#sent - (this.#expected - 1) : 0),
      doubled: this.#doubled,
      damaged: this.#damaged,
      broken: this.#broken,
      longestGapMs: this.#gaps.longestMs,
    };
  }

  #becomeBusy(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'busy';
    this.#timer = setInterval(
      () => this.#sendLine(),
      this.#options.lineMs ?? demoLimits.echoLineMs,
    );
  }

  #becomeBroken(reason: string): void {
    if (this.#state === 'stopped' || this.#state === 'broken') return;
    clearInterval(this.#timer);
    this.#state = 'broken';
    this.#broken = reason;
    this.#options.onBroken?.(reason);
  }

  #sendLine(): void {
    if (this.#socket.writableLength > demoLimits.echoBacklogBytes) return;
    this.#sent += 1;
    this.#socket.write(echoLine(this.#sent), 'latin1');
  }

  #take(text: string): void {
    this.#gaps.saw(nowMs());
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#check(`${line}\n`);
    if (this.#rest.length > LINE_CHARS_MAX) {
      this.#damaged += 1;
      this.#rest = '';
    }
  }

  #check(line: string): void {
    const number = Number.parseInt(line, 10);
    if (!(number >= 1 && number <= this.#sent) || line !== echoLine(number)) {
      this.#damaged += 1;
    } else if (number < this.#expected) {
      this.#doubled += 1;
    } else {
      this.#received += 1;
      this.#overtaken += number - this.#expected;
      this.#expected = number + 1;
    }
  }
}
