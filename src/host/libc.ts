/**
 * The system calls that Node lacks and the hypervisor layer needs, through koffi.
 *
 * Linux on x86-64 and arm64: the constants below are the same on both.
 */
import koffi from 'koffi';
import { UnderstudyError } from '../base/errors.ts';

const libc = koffi.load('libc.so.6');
const mkfifoNative = libc.func('int mkfifo(const char *path, uint32_t mode)');
const mknodNative = libc.func('int mknod(const char *path, uint32_t mode, uint64_t device)');
const lsetxattrNative = libc.func(
  'int lsetxattr(const char *path, const char *name, const uint8_t *value, size_t size, int flags)',
);
const ioctlNative = libc.func('int ioctl(int fd, uint64_t request, _Out_ int *value)');
const fcntlNative = libc.func('int fcntl(int fd, int command, int64_t value)');
koffi.struct('flock', {
  l_type: 'int16_t',
  l_whence: 'int16_t',
  l_start: 'int64_t',
  l_len: 'int64_t',
  l_pid: 'int32_t',
});
const fcntlLockNative = libc.func('int fcntl(int fd, int command, _Inout_ flock *lock)');
const fallocateNative = libc.func('int fallocate(int fd, int mode, int64_t from, int64_t length)');
const lseekNative = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const mmapNative = libc.func(
  'void *mmap(void *at, uint64_t length, int protection, int flags, int fd, int64_t offset)',
);
const setSchedulerNative = libc.func(
  'int sched_setscheduler(int pid, int policy, const int32_t *priority)',
);
const setAffinityNative = libc.func(
  'int sched_setaffinity(int pid, size_t size, const uint8_t *mask)',
);
const getAffinityNative = libc.func(
  'int sched_getaffinity(int pid, size_t size, _Out_ uint8_t *mask)',
);
const munmapNative = libc.func('int munmap(void *at, uint64_t length)');
const flockNative = libc.func('int flock(int fd, int operation)');
const pollNative = libc.func('int poll(_Inout_ uint8_t *fds, uint64_t count, int timeoutMs)');
const sendNative = libc.func(
  'int64_t send(int fd, const uint8_t *bytes, uint64_t length, int flags)',
);

const FIONREAD = 0x541b;
const F_SETPIPE_SZ = 1031;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const EAGAIN = 11;
const EACCES = 13;
const ENOSPC = 28;
const EDQUOT = 122;
const PROT_READ = 0x1;
const PROT_WRITE = 0x2;
const MAP_SHARED = 0x01;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x40000000;
const LOCK_EX = 2;
const LOCK_NB = 4;
const POLLOUT = 0x0004;
const pollfdBytes = 8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EINTR = 4;
/** 8192 processors, the most that Linux can be built for on x86-64. */
const processorMaskBytes = 1024;

function check(result: number, what: string): number {
  if (result >= 0) return result;
  throw new UnderstudyError('environment', `${what} failed: errno ${koffi.errno()}`);
}

/** Creates a FIFO that only its owner may use. */
export function makeFifo(path: string): void {
  check(mkfifoNative(path, 0o600), `mkfifo ${path}`);
}

/** Creates a device or a FIFO; `mode` is of stat(2), with its type. */
export function makeNode(
  path: string,
  mode: number,
  { major, minor }: { readonly major: number; readonly minor: number },
): void {
  // As makedev(3) lays it out.
  const [high, low] = [BigInt(major), BigInt(minor)];
  const device =
    ((high & ~0xfffn) << 32n) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | (low & 0xffn);
  check(mknodNative(path, mode, device), `mknod ${path}`);
}

/** Sets an extended attribute, of a symbolic link itself. */
export function setAttribute(path: string, name: string, value: Buffer): void {
  check(lsetxattrNative(path, name, value, value.length, 0), `lsetxattr ${name} of ${path}`);
}

/**
 * Asks for the lowest real-time priority for a thread; what it starts does not inherit it. Returns
 * whether the rights allowed it.
 */
export function scheduleRealTime(threadId: number): boolean {
  return setSchedulerNative(threadId, SCHED_RR | SCHED_RESET_ON_FORK, [1]) === 0;
}

/** Processors that the calling thread may use, ascending; empty when the kernel does not say. */
export function allowedProcessors(): number[] {
  const mask = Buffer.alloc(processorMaskBytes);
  if (getAffinityNative(0, mask.length, mask) !== 0) return [];
  const numbers = Array.from({ length: mask.length * 8 }, (_, processor) => processor);
  return numbers.filter((number) => ((mask[number >> 3] ?? 0) >> (number & 7)) & 1);
}

/**
 * Binds one thread to some processors. Returns whether the kernel did: the thread may have ended.
 */
export function bindThread(threadId: number, processors: readonly number[]): boolean {
  const mask = Buffer.alloc(processorMaskBytes);
  for (const processor of processors) {
    mask[processor >> 3] = (mask[processor >> 3] ?? 0) | (1 << (processor & 7));
  }
  return setAffinityNative(threadId, mask.length, mask) === 0;
}

/** Bytes written to a pipe and not yet read from it. */
export function pipeBytesPending(fd: number): number {
  const value = [0];
  check(ioctlNative(fd, FIONREAD, value), 'ioctl FIONREAD');
  return value[0] ?? 0;
}

/**
 * Asks for a pipe capacity in bytes; returns what the kernel gave, or `undefined` if it refused.
 */
export function setPipeBytes(fd: number, bytes: number): number | undefined {
  const given = fcntlNative(fd, F_SETPIPE_SZ, bytes);
  return given < 0 ? undefined : given;
}

/**
 * Takes the lock of an open file for this process, until the file is closed, however the process
 * ends. Returns whether it was free.
 */
export function tryLock(fd: number): boolean {
  const result = flockNative(fd, LOCK_EX | LOCK_NB);
  if (result < 0 && koffi.errno() === EAGAIN) return false;
  check(result, 'flock');
  return true;
}

/** Whether a write to the descriptor would be taken, now or within `ms`. Blocks for so long. */
export function takesWithin(fd: number, ms: number): boolean {
  const pollfd = Buffer.alloc(pollfdBytes);
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(POLLOUT, 4);
  return pollNative(pollfd, 1, ms) > 0;
}

/**
 * Gives bytes to a socket, as many as it takes at once; returns how many. Throws what else the
 * kernel says.
 */
export function sendNow(fd: number, bytes: Buffer): number {
  const sent = Number(sendNative(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent < 0 && [EAGAIN, EINTR].includes(koffi.errno())) return 0;
  return check(sent, 'send');
}

/** Gives the pages of a byte range back to the file system; the file keeps its size. */
export function punchHole(fd: number, from: number, bytes: number): void {
  check(
    fallocateNative(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, bytes),
    'fallocate punch hole',
  );
}

/**
 * Takes a shared lock on one byte of a file, for as long as `fd` is open. False: somebody has an
 * exclusive one there; `undefined`: the file system has no locks.
 */
export function lockByte(fd: number, byte: number): boolean | undefined {
  if (fcntlLockNative(fd, F_OFD_SETLK, lockOf(F_RDLCK, byte)) === 0) return true;
  const errno = koffi.errno();
  return errno === EAGAIN || errno === EACCES ? false : undefined;
}

/** Gives back what `lockByte` took. */
export function unlockByte(fd: number, byte: number): void {
  fcntlLockNative(fd, F_OFD_SETLK, lockOf(F_UNLCK, byte));
}

/** Whether anybody but this `fd` has a lock on one byte of its file. */
export function isByteLocked(fd: number, byte: number): boolean {
  const lock = lockOf(F_WRLCK, byte);
  return fcntlLockNative(fd, F_OFD_GETLK, lock) === 0 && lock.l_type !== F_UNLCK;
}

function lockOf(type: number, byte: number) {
  return { l_type: type, l_whence: 0, l_start: byte, l_len: 1, l_pid: 0 };
}

/**
 * Makes the file system keep room for a range of a file, which keeps its size and its contents.
 * Returns false when there is none; a file system that cannot promise it is believed.
 */
export function reserveRoom(fd: number, from: number, bytes: number): boolean {
  if (fallocateNative(fd, FALLOC_FL_KEEP_SIZE, from, bytes) === 0) return true;
  return ![ENOSPC, EDQUOT].includes(koffi.errno());
}

/**
 * The same for gigabytes, which a tmpfs needs a quarter of a second each for. Returns false also
 * when the file system cannot promise it.
 */
export function reserveRoomLater(fd: number, from: number, bytes: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    fallocateNative.async(
      ...[fd, FALLOC_FL_KEEP_SIZE, from, bytes],
      (error: Error | null, result: number) => (error ? reject(error) : resolve(result === 0)),
    );
  });
}

/** A run of bytes of a file. */
export interface Extent {
  readonly from: number;
  /** The first byte behind it. */
  readonly to: number;
}

/**
 * The next run at or behind `from` that the file system has data for, or `undefined` if only holes
 * follow. A file system that knows no holes says that all is data.
 */
export function nextData(fd: number, from: number): Extent | undefined {
  const begin = Number(lseekNative(fd, from, SEEK_DATA));
  if (begin < 0) {
    if (koffi.errno() === ENXIO) return undefined;
    check(begin, 'lseek SEEK_DATA');
  }
  const end = Number(lseekNative(fd, begin, SEEK_HOLE));
  // ENXIO: the file was cut short between the two calls.
  return end < 0 && koffi.errno() === ENXIO
    ? undefined
    : { from: begin, to: check(end, 'lseek SEEK_HOLE') };
}

/** A part of a file as memory, shared with whoever else maps or writes it. */
export interface Mapping {
  readonly bytes: Buffer<ArrayBuffer>;
  /** After this not a single byte may be touched: the process would die. */
  readonly unmap: () => void;
}

/**
 * Maps `length` bytes from `offset`, a multiple of 4096. The range must lie in the file, and stay
 * in it; reading a hole of a file on tmpfs makes it take memory.
 */
export function mapFile(
  fd: number,
  offset: number,
  length: number,
  access: 'read' | 'write',
): Mapping {
  const protection = access === 'read' ? PROT_READ : PROT_READ | PROT_WRITE;
  const at = mmapNative(null, length, protection, MAP_SHARED, fd, offset) as bigint | null;
  if (at === null || at === mapFailed) {
    throw new UnderstudyError(
      'resources',
      `mmap of ${length} bytes failed: errno ${koffi.errno()}`,
    );
  }
  return {
    bytes: Buffer.from(koffi.view(at, length)),
    unmap: () => {
      check(munmapNative(at, length), 'munmap');
    },
  };
}

const mapFailed = 0xffff_ffff_ffff_ffffn;
