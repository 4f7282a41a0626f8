/**
 * A TAP device: the one file descriptor behind a virtual network card, through koffi.
 *
 * Node can open `/dev/net/tun` but can neither name the device (one ioctl) nor wait for it: a
 * character device fits none of its stream classes, and a blocking read would hold a thread of
 * the pool for ever. So a koffi thread sits in poll(2) with a short limit, and reading itself is
 * done without blocking on the main thread. Measured: 17 us from poll to callback, 0.5 us for a
 * read that finds nothing (fs.readSync: 6.5 us, because it throws).
 *
 * The device is not persistent: it is gone when the descriptor closes, however the process ends.
 * The descriptor stays attached when the device is moved to another network namespace.
 */
import { closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { asError, UnderstudyError } from '../base/errors.ts';
import { streamFrameBytesMax } from '../base/stream-frames.ts';
import { egressLimits } from './limits.ts';

// Linux on x86-64 and arm64: the numbers are the same on both.
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const IFNAME_BYTES_MAX = 15;
const POLLIN = 0x0001;
const POLLERR_HUP_NVAL = 0x0008 | 0x0010 | 0x0020;
const POLLFD_BYTES = 8;
const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const EPERM = 1;
const EIO = 5;
const EAGAIN = 11;
const EBUSY = 16;
const EINVAL = 22;
const EBADFD = 77;

/** Loaded when the first device is made, so that machines without taps need no libc. */
function bindLibc() {
  const libc = koffi.load('libc.so.6');
  return {
    ioctl: libc.func('int ioctl(int fd, uint64_t request, void *argument)'),
    eventfd: libc.func('int eventfd(uint32_t value, int flags)'),
    poll: libc.func('int poll(void *fds, uint64_t count, int timeout)'),
    read: libc.func('int64_t read(int fd, void *to, uint64_t bytes)'),
    write: libc.func('int64_t write(int fd, void *from, uint64_t bytes)'),
  };
}
let bound: ReturnType<typeof bindLibc> | undefined;

/** What a wait ended with: frames may be there, nothing came, or the device is gone. */
export type Readiness = 'readable' | 'quiet' | 'gone';
export type WriteResult = 'sent' | 'dropped' | 'gone';

export class TapDevice {
  readonly name: string;
  readonly #libc: ReturnType<typeof bindLibc>;
  readonly #fd: number;
  /** An eventfd that ends a wait at once when the device is to be closed. */
  readonly #wakeFd: number;
  readonly #pollFds = Buffer.alloc(2 * POLLFD_BYTES);
  readonly #scratch = Buffer.allocUnsafeSlow(streamFrameBytesMax);

  private constructor(name: string, libc: ReturnType<typeof bindLibc>, fd: number, wakeFd: number) {
    this.name = name;
    this.#libc = libc;
    this.#fd = fd;
    this.#wakeFd = wakeFd;
    this.#pollFds.writeInt32LE(fd, 0);
    this.#pollFds.writeInt16LE(POLLIN, 4);
    this.#pollFds.writeInt32LE(wakeFd, POLLFD_BYTES);
    this.#pollFds.writeInt16LE(POLLIN, POLLFD_BYTES + 4);
  }

  /** Creates the device, down and attached to nothing. */
  static create(name: string): TapDevice {
    bound ??= bindLibc();
    const fd = openTun(name);
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name.slice(0, IFNAME_BYTES_MAX), 'latin1');
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16);
    if (bound.ioctl(fd, TUNSETIFF, request) < 0) {
      const errno = koffi.errno();
      closeSync(fd);
      throw attachError(name, errno);
    }
    const wakeFd: number = bound.eventfd(0, EFD_NONBLOCK_CLOEXEC);
    if (wakeFd < 0) {
      const errno = koffi.errno();
      closeSync(fd);
      throw new UnderstudyError('resources', `Cannot create an eventfd: errno ${errno}`);
    }
    return new TapDevice(name, bound, fd, wakeFd);
  }

  /** Waits for a frame, at most `egressLimits.tapPollMs`. One wait at a time. */
  wait(then: (readiness: Readiness) => void): void {
    this.#pollFds.writeInt16LE(0, 6);
    const { poll } = this.#libc;
    poll.async(this.#pollFds, 2, egressLimits.tapPollMs, (_error: unknown, ready: number) => {
      const events = this.#pollFds.readInt16LE(6);
      if ((events & POLLERR_HUP_NVAL) !== 0) then('gone');
      else then(ready > 0 && (events & POLLIN) !== 0 ? 'readable' : 'quiet');
    });
  }

  /** Makes the present wait return at once. */
  wake(): void {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    this.#libc.write(this.#wakeFd, one, one.length);
  }

  /** The next frame, `undefined` when there is none now. */
  read(): Buffer | 'gone' | undefined {
    const bytes = Number(this.#libc.read(this.#fd, this.#scratch, this.#scratch.length));
    if (bytes > 0) return Buffer.from(this.#scratch.subarray(0, bytes));
    return koffi.errno() === EBADFD ? 'gone' : undefined;
  }

  write(frame: Buffer): WriteResult {
    if (frame.length > streamFrameBytesMax) return 'dropped';
    const bytes = Number(this.#libc.write(this.#fd, frame, frame.length));
    if (bytes >= 0) return 'sent';
    const errno: number = koffi.errno();
    // Full queue, device down, or not an Ethernet frame: a wire loses it without a word.
    if (errno === EAGAIN || errno === EIO || errno === EINVAL) return 'dropped';
    return errno === EBADFD ? 'gone' : 'dropped';
  }

  /** Removes the device. No wait may be under way. */
  close(): void {
    closeSync(this.#fd);
    closeSync(this.#wakeFd);
  }
}

function openTun(name: string): number {
  try {
    return openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new UnderstudyError(
      denied ? 'rights' : 'environment',
      `Cannot create the tap '${name}' as /dev/net/tun ${denied ? 'may not be opened' : 'is not usable'}`,
      {
        cause: asError(thrown),
        hint: denied
          ? 'run as root, or use a stream egress (passt), which needs no rights'
          : 'load the kernel module tun, or use a stream egress (passt)',
      },
    );
  }
}

function attachError(name: string, errno: number): UnderstudyError {
  if (errno === EPERM) {
    return new UnderstudyError(
      'rights',
      `Cannot create the tap '${name}' without the right CAP_NET_ADMIN`,
      { hint: 'run as root, or use a stream egress (passt), which needs no rights' },
    );
  }
  if (errno === EBUSY) {
    return new UnderstudyError('environment', `The tap '${name}' is in use by another process`, {
      hint: 'give each node a tap name of its own',
    });
  }
  return new UnderstudyError('environment', `Cannot create the tap '${name}': errno ${errno}`);
}
