/**
 * Pings the guest every few milliseconds: the finest measure of silence.
 *
 * Runs the `ping` of iputils, or that of busybox. A silence is measured between the arrivals of
 * replies, so it does not matter how either one counts what is missing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Distribution } from '../base/distribution.ts';
import { endChild } from './child.ts';
import { GapWatch, nowMs } from './gap-watch.ts';
import { demoLimits } from './limits.ts';
import type { PingRecord } from './load-record.ts';

const REPLY = /seq=(\d+).*?time[=<]([\d.]+)/;

/** Reads ping's output, line by line. */
export class PingWatch {
  readonly #gaps = new GapWatch();
  readonly #rttMs = new Distribution();
  #received = 0;
  #doubled = 0;

  takeLine(line: string): void {
    const [, , time] = REPLY.exec(line) ?? [];
    if (time === undefined) return;
    if (line.includes('DUP!')) {
      this.#doubled += 1;
      return;
    }
    this.#received += 1;
    this.#rttMs.add(Number(time));
    this.#gaps.saw(nowMs());
  }

  /** `undefined` when no reply ever came: there is no ping here. */
  record(): PingRecord | undefined {
    if (this.#received === 0) return undefined;
    return {
      received: this.#received,
      doubled: this.#doubled,
      longestGapMs: this.#gaps.longestMs,
      rttMs: { p50: this.#rttMs.p(0.5), p99: this.#rttMs.p(0.99) },
    };
  }
}

export class PingClient {
  readonly #watch = new PingWatch();
  #child: ChildProcess | undefined;
  #rest = '';
  #stopped = false;

  constructor(host: string) {
    const args = ['-i', String(demoLimits.pingMs / 1000), host];
    this.#start('ping', ['-n', ...args], () => {
      // busybox knows no -n: it looks no names up.
      this.#start('busybox', ['ping', ...args], () => {});
    });
  }

  record(): PingRecord | undefined {
    return this.#watch.record();
  }

  async stop(): Promise<PingRecord | undefined> {
    this.#stopped = true;
    if (this.#child !== undefined) await endChild(this.#child);
    return this.record();
  }

  #start(command: string, args: readonly string[], otherwise: () => void): void {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    child.on('error', () => {
      if (!this.#stopped) otherwise();
    });
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString('latin1')).split('\n');
      this.#rest = (lines.pop() ?? '').slice(-1000);
      for (const line of lines) this.#watch.takeLine(line);
    });
  }
}
