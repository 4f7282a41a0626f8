/** What a file holds below its compression, which is known by its first bytes. */
import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { asError, UnderstudyError } from '../base/errors.ts';
import { findProgram } from '../host/processes.ts';

type Compression = 'gzip' | 'xz' | 'zstd';

const heads: readonly (readonly [Compression, Buffer])[] = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
];

/** How a file that begins so is compressed, if it is. */
export function compressionOf(head: Buffer): Compression | undefined {
  return heads.find(([, magic]) => head.subarray(0, magic.length).equals(magic))?.[0];
}

/**
 * The same, not compressed. All that `bytes` has is read before this ends. `name` is for messages.
 *
 * @throws UnderstudyError `config` when it is damaged, `environment` when there is no program that
 * reads it; and what `bytes` throws.
 */
export async function* decompressed(
  bytes: AsyncIterable<Buffer>,
  name: string,
): AsyncGenerator<Buffer> {
  const pieces = bytes[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done === true) return;
  const whole = withFirst(first.value, pieces);
  const compression = compressionOf(first.value);
  if (compression === undefined) yield* whole;
  else if (compression === 'gzip') yield* gunzipped(whole, name);
  else yield* throughProgram(compression, whole, name);
}

async function* withFirst(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield first;
    for (;;) {
      const { done, value } = await rest.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    await rest.return?.();
  }
}

async function* gunzipped(bytes: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  let failure: unknown;
  const fed = pipeline(Readable.from(bytes), gunzip).catch((thrown: unknown) => {
    failure = thrown;
  });
  try {
    for await (const piece of gunzip) yield piece as Buffer;
    await fed;
    if (failure !== undefined) throw asError(failure);
  } catch (thrown) {
    throw damaged(failure ?? thrown, name);
  } finally {
    gunzip.destroy();
  }
}

async function* throughProgram(
  program: 'xz' | 'zstd',
  bytes: AsyncIterable<Buffer>,
  name: string,
): AsyncGenerator<Buffer> {
  const command = findProgram(program);
  if (command === undefined) {
    throw new UnderstudyError(
      'environment',
      `Cannot read '${name}' without the program '${program}'`,
      {
        hint: `install it (package ${program === 'xz' ? 'xz-utils' : 'zstd'})`,
      },
    );
  }
  const child = spawn(command, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.on('data', (text: Buffer) => {
    words = (words + text.toString()).slice(-1000);
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let failure: unknown;
  const fed = pipeline(Readable.from(bytes), child.stdin).catch((thrown: unknown) => {
    failure = thrown;
  });
  try {
    for await (const piece of child.stdout) yield piece as Buffer;
    await fed;
    // A program that gives up closes its input: then its own words say more.
    if ((await ended) !== 0 && !(failure instanceof UnderstudyError))
      failure = new Error(words.trim());
    if (failure !== undefined) throw asError(failure);
  } catch (thrown) {
    throw damaged(thrown, name);
  } finally {
    child.kill('SIGKILL');
  }
}

function damaged(thrown: unknown, name: string): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  return new UnderstudyError('config', `Cannot decompress '${name}'`, {
    cause: asError(thrown),
    hint: 'make it again: it is damaged',
  });
}
