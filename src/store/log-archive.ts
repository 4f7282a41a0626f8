/**
 * The log between snapshots: pieces, and the way from one to the next (contract 5, 6 of the port).
 */
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import type { LogPosition } from '../base/units.ts';
import type { LogArchive, LogPiece, LogPieceFacts, RunName } from '../ports/snapshot-store.ts';
import type { PieceRow } from './catalogue.ts';
import { failure, isMissing } from './failure.ts';
import { checkName, pieceSuffix, writeWhole } from './file-names.ts';
import { storeLimits } from './limits.ts';
import { encodePiece, factsOfRow, pieceName, pieceRow, readPiece } from './log-piece.ts';
import { checkTime } from './manifest.ts';
import type { StoreParts } from './parts.ts';

/** A position in the log of a run. */
type Place = RunName & { readonly position: LogPosition };

export class StoredLog implements LogArchive {
  readonly #parts: StoreParts;
  /** Pieces are written one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  append(piece: LogPiece): Promise<void> {
    const turn = this.#last.then(() => this.#append(piece));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #append(piece: LogPiece): Promise<void> {
    this.#parts.requireWriter('append log');
    checkPiece(piece);
    const { files, places, catalogue } = this.#parts;
    const { payload: _, ...facts } = piece;
    const there = catalogue.pieceAt(piece, piece.from);
    if (there?.from === piece.from && there.to === piece.to) return;
    const directory = places.run(piece);
    const file = path.join(directory, pieceName(piece) + pieceSuffix);
    try {
      await files.makeDirectory(directory);
      const bytes = encodePiece(piece);
      await writeWhole(files, file, bytes);
      catalogue.addPiece(pieceRow(facts, bytes.length));
    } catch (thrown) {
      throw failure(`Cannot write piece of log '${file}'`, thrown);
    }
  }

  async list(run: RunName): Promise<LogPieceFacts[]> {
    await this.#parts.refreshReader();
    return this.#parts.catalogue.pieces(run).map(factsOfRow);
  }

  async *follow(cut: Place): AsyncGenerator<LogPiece> {
    await this.#parts.refreshReader();
    let position = cut.position;
    for (;;) {
      const next = this.#parts.catalogue.pieceAt(cut, position);
      if (next === undefined) {
        const beyond = this.#parts.catalogue.pieceBehind(cut, position);
        if (beyond !== undefined) throw gap({ ...cut, position }, beyond);
        return;
      }
      const piece = await this.#read(next);
      yield piece;
      position = piece.to;
    }
  }

  async #read(row: PieceRow): Promise<LogPiece> {
    const { files, places } = this.#parts;
    const file = path.join(places.run(row), pieceName(row) + pieceSuffix);
    try {
      return await readPiece(files, file);
    } catch (thrown) {
      if (!isMissing(thrown)) throw failure(`Cannot read piece of log '${file}'`, thrown);
      throw new UnderstudyError('store', `Piece of log '${file}' is missing`, {
        hint: 'Go back to a moment before it, or to a snapshot after it.',
      });
    }
  }
}

function gap({ vm, run, position }: Place, beyond: PieceRow): UnderstudyError {
  return new UnderstudyError(
    'store',
    `The log of '${vm}', run '${run}', has a gap: it ends at position ${position} and goes on at ` +
      `${beyond.from}`,
    { hint: 'Go back to a moment before the gap, or to a snapshot after it.' },
  );
}

function checkPiece(piece: LogPiece): void {
  checkName(piece.vm, 'name of a virtual machine');
  checkName(piece.run, 'name of a run');
  checkTime(piece.fromTimeMs);
  checkTime(piece.toTimeMs);
  if (piece.from < piece.to && piece.payload.length <= storeLimits.pieceBytesMax) return;
  throw new UnderstudyError(
    'config',
    `A piece of log goes forward and has at most ${storeLimits.pieceBytesMax} bytes: it goes from ` +
      `${piece.from} to ${piece.to} with ${piece.payload.length} bytes`,
  );
}
