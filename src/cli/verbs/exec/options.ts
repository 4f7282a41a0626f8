/** What `understudy exec` is called with, checked: times, counts and the command's input. */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../../base/errors.ts';
import { duration } from '../../../node/pair-file/pair-amounts.ts';
import { execLimits } from './limits.ts';

/** Milliseconds. Throws `config`. */
export function everyOf(text: string): number {
  const { everyMsMin, everyMsMax } = execLimits;
  const ms = duration(text);
  if (ms >= everyMsMin && ms <= everyMsMax) return ms;
  throw new UnderstudyError(
    'config',
    `--every must be a time such as 5s, from ${everyMsMin}ms to ${everyMsMax / 3600_000}h: current value is '${text}'`,
  );
}

/** Throws `config`. */
export function triesOf(text: string): number {
  const tries = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
  if (tries >= 1 && tries <= execLimits.triesMax) return tries;
  throw new UnderstudyError(
    'config',
    `--tries must be a whole number from 1 to ${execLimits.triesMax}: current value is '${text}'`,
    { hint: '1 runs the command once, and keeps nothing' },
  );
}

/**
 * Of `file`, else of this process, to its end, else of nothing: a terminal is not read. Throws
 * `config` when it cannot be read, or is too much.
 */
export function inputOf(file: string | undefined): Buffer {
  if (file === undefined && process.stdin.isTTY) return Buffer.alloc(0);
  const name = file === undefined ? 'standard input' : `'${file}'`;
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    const fd = file === undefined ? 0 : fs.openSync(file, 'r');
    for (;;) {
      const piece = Buffer.alloc(65536);
      const read = readWaiting(fd, piece);
      if (read === 0) break;
      pieces.push(piece.subarray(0, read));
      bytes += read;
      if (bytes > execLimits.inputBytesMax) break;
    }
    if (file !== undefined) fs.closeSync(fd);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read ${name} for the command`, {
      cause: asError(thrown),
      hint: 'name a file with --in, such as --in /dev/null',
    });
  }
  if (bytes <= execLimits.inputBytesMax) return Buffer.concat(pieces);
  const max = execLimits.inputBytesMax / 1024 ** 2;
  throw new UnderstudyError(
    'config',
    `${name} is more than the ${max} MiB that a command can get`,
    {
      hint: 'put it into the directory that --root names, as a file',
    },
  );
}

/** A pipe that somebody has made non-blocking is waited for. */
function readWaiting(fd: number, into: Buffer): number {
  for (;;) {
    try {
      return fs.readSync(fd, into);
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
