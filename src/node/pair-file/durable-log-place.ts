/**
 * Where a node keeps its durable log (durable-log.ts), and what lies there from an earlier life.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { type Term, term } from '../../base/units.ts';
import { makeDirectory } from '../../host/durable-files.ts';
import { liesInMemory } from '../../host/memory-file-system.ts';
import { readDurableLogBase } from '../../restore/durable-log.ts';
import type { PairConfig } from './pair-config.ts';

type Place = Pick<PairConfig, 'pair' | 'self'>;

export function durableLogPath({ pair, self }: Place): string {
  return path.join(self.durableLogDir, `${pair}-${self.name}.durable-log`);
}

/** The last term whose acknowledged log is there; 0: none, or none that can be read. */
export function loggedTerm(place: Place): Term {
  try {
    return term(readDurableLogBase(durableLogPath(place)).term);
  } catch {
    return term(0); // whoever is to execute it says why it cannot
  }
}

/**
 * Makes the directory of a durable log, for our eyes only. Throws `rights` when it cannot be used
 * and `config` when it lies in memory, where nothing survives a loss of power.
 */
export async function prepareDurableDir(dir: string): Promise<void> {
  try {
    await makeDirectory(dir);
    fs.accessSync(dir, fs.constants.W_OK);
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot keep the durable log in '${dir}'`, {
      cause: asError(thrown),
      hint: 'set durableLogDir of the node in the pair file to a directory that you may write',
    });
  }
  if (liesInMemory(fs.statfsSync(dir))) {
    throw new UnderstudyError('config', `The durable log would lie in memory, in '${dir}'`, {
      hint: 'set durableLogDir of the node in the pair file to a directory on a disk',
    });
  }
}
