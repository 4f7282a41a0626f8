/** Programs that take processors and a disk from a pair. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const start = (program: string, ...args: string[]): ChildProcess =>
  spawn(process.execPath, ['-e', program, ...args], { stdio: 'ignore' });

/** Computes without a pause. */
const computes = 'for (;;);';

/**
 * Computes in bursts of up to a second and a half, and rests as long: at idle priority a node that
 * is beside one that never rests has no share at all, and nothing to promise anything with.
 */
const computesInBursts = `
const burst = () => {
  const until = performance.now() + 100 + Math.random() * 1400;
  while (performance.now() < until);
  setTimeout(burst, 100 + Math.random() * 1400);
};
burst();
`;

/** Writes a file over and over, and waits for the disk each time. */
const writes = `
const fs = require('node:fs');
const fd = fs.openSync(process.argv[1], 'w');
const block = Buffer.alloc(1 << 20, 1);
let at = 0;
setInterval(() => {
  fs.writeSync(fd, block, 0, block.length, (at++ % 64) * block.length);
  fs.fsyncSync(fd);
}, 20);
`;

export class Hogs {
  readonly #children: ChildProcess[] = [];
  readonly #file: string | undefined;

  private constructor(children: ChildProcess[], file?: string) {
    this.#children = children;
    this.#file = file;
  }

  /** As many as there are processors. */
  static computing(): Hogs {
    return new Hogs(Array.from({ length: availableParallelism() }, () => start(computes)));
  }

  /** For a whole soak: the processors in bursts, and the disk of `dir`. */
  static lasting(dir: string): Hogs {
    const file = path.join(dir, 'busy');
    const bursts = Array.from({ length: availableParallelism() }, () => start(computesInBursts));
    return new Hogs([...bursts, start(writes, file)], file);
  }

  end(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    if (this.#file !== undefined) fs.rmSync(this.#file, { force: true });
  }
}
