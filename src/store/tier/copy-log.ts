/**
 * Copies the log that is worth having: what lies behind the oldest cut of its run among the
 * snapshots of the other store. Pieces are checked on the way, and are the same files there.
 */
import path from 'node:path';
import type { PieceRow } from '../catalogue.ts';
import { isDamage, isMissing } from '../failure.ts';
import { pieceSuffix, writeWhole } from '../file-names.ts';
import { pieceName, readPieceFile } from '../log-piece.ts';
import type { StoredManifest } from '../manifest.ts';
import { reading, type SourceFailure, type Tiers } from './tiers.ts';

/**
 * Of one machine, as far as it lies behind `cuts`. Gives the bytes that were written. A piece that
 * was removed meanwhile, or is damaged, is left out: the others are worth having all the same.
 */
export async function copyLog(
  tiers: Tiers,
  vm: string,
  cuts: readonly Pick<StoredManifest, 'run' | 'position'>[],
): Promise<number> {
  const oldest = new Map<string, number>();
  for (const { run, position } of cuts) {
    oldest.set(run, Math.min(position, oldest.get(run) ?? Number.POSITIVE_INFINITY));
  }
  const there = new Set(tiers.to.catalogue.pieces().map(keyOf));
  let written = 0;
  for (const row of tiers.from.catalogue.pieces()) {
    const cut = oldest.get(row.run) ?? Number.POSITIVE_INFINITY;
    if (row.vm !== vm || row.to <= cut || there.has(keyOf(row))) continue;
    tiers.signal?.throwIfAborted();
    written += await copyPiece(tiers, row);
  }
  return written;
}

async function copyPiece({ from, to, leftOut }: Tiers, row: PieceRow): Promise<number> {
  const name = pieceName(row) + pieceSuffix;
  const source = path.join(from.places.run(row), name);
  if (leftOut.has(source)) return 0;
  let bytes: Buffer;
  try {
    ({ bytes } = await reading(() => readPieceFile(from.files, source)));
  } catch (thrown) {
    const { cause } = thrown as SourceFailure;
    if (isMissing(cause)) return 0;
    if (!isDamage(cause)) throw thrown;
    leftOut.set(source, cause);
    return 0;
  }
  const directory = to.places.run(row);
  await to.files.makeDirectory(directory);
  await writeWhole(to.files, path.join(directory, name), bytes);
  to.catalogue.addPiece(row);
  return bytes.length;
}

const keyOf = ({ vm, run, from, to }: PieceRow): string => `${vm}/${run}/${from}-${to}`;
