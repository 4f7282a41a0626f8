/**
 * Locks of disk images: who uses an image keeps it from every other program that asks.
 *
 * They are QEMU's own, so QEMU, qemu-img and their like respect them, and are respected: byte
 * 100 + N is locked by who does N with the image, byte 200 + N by who bears nobody else doing it
 * (N: 0 reads, 1 writes, 3 resizes). The storage daemon's locks do not help: several QEMUs share a
 * disk over NBD, so it declares that anybody may write beside it. The node holds them instead, and
 * its daemon none.
 *
 * Contract
 *  1. Of an image that is locked for writing nobody else can get a lock to write; of one that is
 *     locked for reading, neither.
 *  2. Locks of this process do not exclude each other; the image is free when the last is released,
 *     and when the process ends, however it does.
 *  3. A file system without locks excludes nobody. A program that asks for no lock (dd, a loop
 *     device) is not kept out.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { fileIdentity } from '../../host/file-identity.ts';
import { isByteLocked, lockByte, unlockByte } from '../../host/libc.ts';
import { processesWith } from '../../host/open-files.ts';

const does = { read: 100, write: 101, resize: 103 } as const;
const bearsNot = { write: 201, resize: 203 } as const;

/** What this process does with an image, as bytes that it locks. */
const wanted = {
  read: [does.read, bearsNot.write, bearsNot.resize],
  write: [does.read, does.write, bearsNot.write, bearsNot.resize],
} as const;

/** What nobody else may have locked. */
const unwanted = {
  read: [does.write, does.resize],
  write: [does.write, does.resize, bearsNot.write],
} as const;

export type ImageUse = keyof typeof wanted;

/** An image that this process has locked, and for how many. */
interface Locked {
  readonly fd: number;
  readonly holders: Record<ImageUse, number>;
}

const locked = new Map<string, Locked>();

/** Gives a lock back. Twice does nothing. */
export type Release = () => void;

/** Locks an image that is there. Throws `disk` when another program uses it. */
export function lockImage(image: string, use: ImageUse): Release {
  const identity = fileIdentity(image);
  const entry = locked.get(identity) ?? { fd: open(image), holders: { read: 0, write: 0 } };
  try {
    if (entry.holders[use] === 0) take(image, entry.fd, use);
  } catch (error) {
    settle(identity, entry);
    throw error;
  }
  entry.holders[use] += 1;
  locked.set(identity, entry);
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    entry.holders[use] -= 1;
    settle(identity, entry);
  };
}

/** Locks those that are there; all or none. */
export function lockImages(images: readonly { path: string; use: ImageUse }[]): Release {
  const releases: Release[] = [];
  const release = (): void => {
    for (const give of releases) give();
  };
  try {
    for (const { path, use } of images) {
      if (fs.existsSync(path)) releases.push(lockImage(path, use));
    }
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

function open(image: string): number {
  try {
    return fs.openSync(image, 'r');
  } catch (thrown) {
    throw new UnderstudyError('disk', `Cannot open disk image '${image}'`, {
      cause: asError(thrown),
      hint: 'check its path, and the rights of the file and of its directories',
    });
  }
}

/** As QEMU does it: first lock, then look, so that of two at once one sees the other. */
function take(image: string, fd: number, use: ImageUse): void {
  for (const byte of wanted[use]) lockByte(fd, byte);
  if (!unwanted[use].some((byte) => isByteLocked(fd, byte))) return;
  const users = processesWith(image).filter(({ pid }) => pid !== process.pid);
  const who = users.map(({ pid, name }) => `${name} (process ${pid})`).join(', ');
  throw new UnderstudyError(
    'disk',
    `Disk image '${image}' is used by another program${who === '' ? '' : `: ${who}`}`,
    { hint: 'end what uses it, or name another image: two writers destroy it' },
  );
}

const isIn = (bytes: readonly number[], byte: number): boolean => bytes.includes(byte);

/** Unlocks what nobody here needs any more. */
function settle(identity: string, { fd, holders }: Locked): void {
  if (holders.read === 0 && holders.write === 0) {
    locked.delete(identity);
    fs.closeSync(fd);
  } else if (holders.write === 0) {
    for (const byte of wanted.write.filter((own) => !isIn(wanted.read, own))) unlockByte(fd, byte);
  }
}
