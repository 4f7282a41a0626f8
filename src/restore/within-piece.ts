/** Where a cut and an instant lie in a piece of kept log, by its marks. */
import { UnderstudyError } from '../base/errors.ts';
import type { Icount, LogPosition } from '../base/units.ts';
import type { LogPiece } from '../ports/snapshot-store.ts';
import { describeInstant, type Instant } from './instant.ts';
import type { LogMark } from './log-payload.ts';

/**
 * Offset of the first event in a piece that is behind a position. Throws `log-format` when that is
 * in no piece.
 */
export function startIn(
  { from, to }: LogPiece,
  marks: readonly LogMark[],
  position: LogPosition,
): number {
  if (from === position) return 0;
  const here = marks.find((mark) => mark.kind === 'cut' && mark.position === position);
  if (here !== undefined) return here.offset;
  throw new UnderstudyError(
    'log-format',
    `The log from ${from} to ${to} does not go on from position ${position}`,
    { hint: 'run `understudy snapshot verify`' },
  );
}

/** The error for an instant that the kept log does not reach; `lastTimeMs`: of its last piece. */
export function endsBefore(
  until: Instant,
  icount: Icount,
  lastTimeMs: number | undefined,
): UnderstudyError {
  const end = lastTimeMs === undefined ? '' : `, ${new Date(lastTimeMs).toISOString()}`;
  return new UnderstudyError(
    'store',
    `The kept log ends before ${describeInstant(until)}: at icount ${icount}${end}`,
    { hint: 'name an earlier instant, or leave it out for the snapshot itself' },
  );
}

/**
 * Where a piece must end for a time; `undefined`: all of it is before that. Of a clock that was set
 * back, what it shows again is not before: the first time beyond ends it.
 */
export function timeOffset(
  piece: LogPiece,
  marks: readonly LogMark[],
  ms: number,
  eventBytes: number,
): number | undefined {
  const times = marks.filter(({ kind }) => kind === 'time');
  const beyond = times.findIndex(({ value }) => value > ms);
  if (beyond < 0 && piece.toTimeMs <= ms) return undefined;
  const before = beyond < 0 ? times.at(-1) : times[beyond - 1];
  return Math.min(before?.offset ?? 0, eventBytes);
}
