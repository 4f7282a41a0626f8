/**
 * Somebody in a world who looks at the guest's ledger all the time: the program, and what it saw.
 */
import { createInterface } from 'node:readline';
import { UnderstudyError } from '../../../src/base/errors.ts';
import type { World, WorldChild } from '../../../src/lab/world.ts';
import { spawnProgram } from '../../../src/lab/world-program.ts';
import type { LedgerSight } from './outside.ts';

export class LedgerWatch {
  readonly #child: WorldChild;
  readonly #sights: LedgerSight[] = [];
  readonly #ended: Promise<number | null>;
  #said = '';

  constructor(world: World) {
    const { host, port } = world.http;
    const child = spawnProgram(world, import.meta.url, 'ledger-watch-main', [`${host}:${port}`]);
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-500);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#sights.push(JSON.parse(line) as LedgerSight);
    });
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve(null));
      child.once('close', resolve);
    });
  }

  get hasSeen(): boolean {
    return this.#sights.length > 0;
  }

  /** Ends it. Returns all that it saw; throws `environment` when a request of it failed. */
  async stop(): Promise<readonly LedgerSight[]> {
    this.#child.stdin.on('error', () => undefined); // it ended by itself; its code tells
    this.#child.stdin.end();
    const code = await this.#ended;
    if (code === 0) return this.#sights;
    throw new UnderstudyError('environment', `Nobody saw all of the ledger: ${this.#said.trim()}`);
  }
}
