/**
 * What a node keeps between two seeds, so that the next one sends differences only: the RAM of a
 * copy that was given up. (Disk images stay where they are anyhow.)
 *
 * RAM lies in memory, so it is not kept for ever; and it is only worth something to the next seed.
 */
import fs from 'node:fs';
import { limits } from '../../base/limits.ts';

export interface KeptRam {
  readonly ramFile: string;
  /** The seed that was broken off, if it was: RAM of one that was complete is just older. */
  readonly interrupted: string | undefined;
}

export class SeedRemains {
  readonly #keepMs: number;
  #kept: KeptRam | undefined;
  #timer: NodeJS.Timeout | undefined;
  #abandoned = 0;

  constructor(keepMs: number = limits.seedKeepMs) {
    this.#keepMs = keepMs;
  }

  /** Keeps a RAM file that no process has mapped any more, if it is there, instead of another. */
  keep(ram: KeptRam): void {
    if (!fs.existsSync(ram.ramFile)) return;
    this.discard();
    this.#kept = ram;
    this.#timer = setTimeout(() => this.discard(), this.#keepMs);
    this.#timer.unref();
  }

  /** Moves what was kept to `ramFile`, if it has this size. */
  moveTo(ramFile: string, bytes: number): KeptRam | undefined {
    const kept = this.#kept;
    if (kept === undefined || fs.statSync(kept.ramFile).size !== bytes) {
      this.discard();
      return undefined;
    }
    fs.renameSync(kept.ramFile, ramFile);
    this.#forget();
    return { ...kept, ramFile };
  }

  discard(): void {
    if (this.#kept !== undefined) fs.rmSync(this.#kept.ramFile, { force: true });
    this.#forget();
  }

  /** A seed was given up as its spool was full. Returns how long to wait before the next one. */
  abandoned(): number {
    const pauseMs = limits.seedPauseMs * 2 ** this.#abandoned;
    this.#abandoned += 1;
    return Math.min(pauseMs, limits.seedPauseMaxMs);
  }

  /** A seed was completed: the next one that is given up waits for the shortest time again. */
  succeeded(): void {
    this.#abandoned = 0;
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#kept = undefined;
  }
}
