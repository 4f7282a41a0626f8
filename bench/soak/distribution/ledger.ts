/** The ledger's program as a child inside a world: its lines as calls, its record as a promise. */
import { guestNet } from '../../../src/lab/guest-net.ts';
import { recordOf } from '../../../src/lab/record-of.ts';
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
    this.#record = recordOf(this.#child, 'The ledger', (line: LedgerLine) => {
      if (line.type === 'record') return line;
      onBroken(line.atMs, `ledger client ${line.client}: ${line.reason}`);
      return undefined;
    });
  }

  /** Rejects when the program failed, now or earlier. */
  stop(): Promise<LedgerRecord> {
    this.#child.stdin.on('error', () => undefined); // it ended by itself
    this.#child.stdin.end();
    return this.#record;
  }
}
