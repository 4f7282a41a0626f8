/**
 * Pieces of log as files, named by their range: `logs/VM/RUN/FROM-TO.log`, positions with 16
 * digits.
 *
 *   piece    head | payload
 *
 *   head     two lines of text (sealed-text.ts): facts of the piece, and of its payload: codec,
 *            stored bytes, bytes, SHA-256
 *   payload  as it was given (codec 0), or Brotli (codec 1)
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { qemuReleases } from '../base/qemu-releases.ts';
import { epoch, icount, logPosition, term } from '../base/units.ts';
import type { LogPiece, LogPieceFacts } from '../ports/snapshot-store.ts';
import type { PieceRow } from './catalogue.ts';
import { decodeChunk, encodeChunk } from './chunk.ts';
import { damaged } from './failure.ts';
import { readWhole } from './file-names.ts';
import type { Files } from './files.ts';
import { storeLimits } from './limits.ts';
import { hexName, runShape } from './manifest.ts';
import { openSealed, sealText } from './sealed-text.ts';

const natural = z.int().min(0);
const positionDigits = 16;

const factsShape = {
  ...runShape,
  layout: z.enum(qemuReleases),
  term: natural.transform(term),
  from: natural.transform(logPosition),
  to: natural.transform(logPosition),
  fromIcount: natural.transform(icount),
  toIcount: natural.transform(icount),
  fromTimeMs: natural,
  toTimeMs: natural,
  firstEpoch: natural.transform(epoch),
  lastEpoch: natural.transform(epoch),
};

const factsSchema = z.object(factsShape);

const headSchema = z.object({
  understudy: z.literal('log-piece'),
  version: z.literal(1),
  ...factsShape,
  payload: z.object({
    codec: natural,
    storedBytes: natural,
    bytes: natural.max(storeLimits.pieceBytesMax),
    sha256: hexName,
  }),
});

/** Name of a piece's file, without its suffix. */
export function pieceName({ from, to }: { readonly from: number; readonly to: number }): string {
  return [from, to].map((at) => String(at).padStart(positionDigits, '0')).join('-');
}

export function encodePiece({ payload, ...facts }: LogPiece): Buffer {
  const { codec, bytes } = encodeChunk(payload);
  const head = sealText({
    understudy: 'log-piece',
    version: 1,
    ...facts,
    payload: {
      codec,
      storedBytes: bytes.length,
      bytes: payload.length,
      sha256: hash('sha256', payload),
    },
  });
  return Buffer.concat([head, bytes]);
}

/** Throws `store` when it is damaged. `file` names it. */
function decodePiece(bytes: Buffer, file: string): LogPiece {
  const what = `Piece of log '${file}'`;
  const { value, end } = openSealed(bytes, headSchema, what);
  const { codec, storedBytes, bytes: rawBytes, sha256 } = value.payload;
  const stored = bytes.subarray(end);
  if (stored.length !== storedBytes) throw damaged(`${what} is damaged: it is cut short`);
  try {
    const payload = decodeChunk(sha256, { codec, rawBytes, bytes: stored });
    return { ...factsOf(value), payload };
  } catch (thrown) {
    throw damaged(`${what} is damaged`, thrown);
  }
}

/** What the catalogue keeps of a piece, from the beginning of its file. */
export async function readPieceHead(files: Files, file: string): Promise<PieceRow> {
  const handle = await files.open(file);
  try {
    const begin = await handle.read(0, storeLimits.pieceHeadBytes);
    const { value } = openSealed(begin, headSchema, `Piece of log '${file}'`);
    return pieceRow(factsOf(value), await files.size(file));
  } finally {
    await handle.close();
  }
}

/** Throws `store` when it is damaged. */
export async function readPiece(files: Files, file: string): Promise<LogPiece> {
  return (await readPieceFile(files, file)).piece;
}

/** With the bytes of its file. Throws `store` when it is damaged. */
export async function readPieceFile(
  files: Files,
  file: string,
): Promise<{ readonly piece: LogPiece; readonly bytes: Buffer }> {
  const bytesMax = storeLimits.pieceBytesMax + storeLimits.pieceHeadBytes;
  const bytes = await readWhole(files, file, bytesMax);
  if (bytes === undefined) throw damaged(`Piece of log '${file}' is damaged: it is too long`);
  return { piece: decodePiece(bytes, file), bytes };
}

export function pieceRow(facts: LogPieceFacts, bytes: number): PieceRow {
  const { vm, run, from, to } = facts;
  return { vm, run, from, to, bytes, facts: JSON.stringify(facts) };
}

export function factsOfRow(row: PieceRow): LogPieceFacts {
  return factsSchema.parse(JSON.parse(row.facts));
}

function factsOf(head: z.output<typeof headSchema>): LogPieceFacts {
  const { understudy: _, version: __, payload: ___, ...facts } = head;
  return facts;
}
