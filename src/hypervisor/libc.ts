/**
 * The four system calls that Node lacks and the hypervisor layer needs, through koffi.
 *
 * Linux on x86-64 and arm64: the constants below are the same on both.
 */
import koffi from 'koffi';
import { UnderstudyError } from '../base/errors.ts';

const libc = koffi.load('libc.so.6');
const mkfifoNative = libc.func('int mkfifo(const char *path, uint32_t mode)');
const ioctlNative = libc.func('int ioctl(int fd, uint64_t request, _Out_ int *value)');
const fcntlNative = libc.func('int fcntl(int fd, int command, int64_t value)');
const fallocateNative = libc.func('int fallocate(int fd, int mode, int64_t from, int64_t length)');

const FIONREAD = 0x541b;
const F_SETPIPE_SZ = 1031;
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;

function check(result: number, what: string): number {
  if (result >= 0) return result;
  throw new UnderstudyError('environment', `${what} failed: errno ${koffi.errno()}`);
}

/** Creates a FIFO that only its owner may use. */
export function makeFifo(path: string): void {
  check(mkfifoNative(path, 0o600), `mkfifo ${path}`);
}

/** Bytes written to a pipe and not yet read from it. */
export function pipeBytesPending(fd: number): number {
  const value = [0];
  check(ioctlNative(fd, FIONREAD, value), 'ioctl FIONREAD');
  return value[0] ?? 0;
}

/** Asks for a pipe capacity in bytes; returns what the kernel gave, or `undefined` if it refused. */
export function setPipeBytes(fd: number, bytes: number): number | undefined {
  const given = fcntlNative(fd, F_SETPIPE_SZ, bytes);
  return given < 0 ? undefined : given;
}

/** Gives the pages of a byte range back to the file system; the file keeps its size. */
export function punchHole(fd: number, from: number, bytes: number): void {
  check(
    fallocateNative(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, bytes),
    'fallocate punch hole',
  );
}
