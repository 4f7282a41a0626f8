/** The ledger's program as a child inside a world: its lines as calls, its record as a promise. */
import { createInterface } from 'node:readline';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { guestNet } from '../../../src/lab/guest-net.ts';
import type { World, WorldChild } from '../../../src/lab/world.ts';
import { spawnProgram } from '../../../src/lab/world-program.ts';
import type { LedgerLine, LedgerRecord } from './ledger-record.ts';

const clients = 3;

export class Ledger {
  readonly #child: WorldChild;
  readonly #record: Promise<LedgerRecord>;

  /** `onBroken`: a connection, or a row that was not acknowledged, with its instant and why. */
  constructor(world: World, onBroken: (atMs: number, reason: string) => void) {
    this.#child = spawnProgram(world, import.meta.url, 'ledger-main', [
      guestNet.address,
      String(clients),
    ]);
    let complaint = '';
    let record: LedgerRecord | undefined;
    this.#child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as LedgerLine;
      if (line.type === 'record') record = line;
      else onBroken(line.atMs, `ledger client ${line.client}: ${line.reason}`);
    });
    this.#record = new Promise((resolve, reject) => {
      this.#child.on('close', (code) => {
        if (record !== undefined) resolve(record);
        else reject(new UnderstudyError('environment', `The ledger ended (${code}): ${complaint}`));
      });
    });
    this.#record.catch(() => undefined); // told by `stop`
  }

  /** Rejects when the program failed, now or earlier. */
  stop(): Promise<LedgerRecord> {
    this.#child.stdin.on('error', () => undefined); // it ended by itself
    this.#child.stdin.end();
    return this.#record;
  }
}
