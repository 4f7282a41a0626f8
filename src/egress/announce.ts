/**
 * Announcing a guest at its new place: RARP broadcasts as QEMU's own announce_self makes them.
 *
 * A switch learns the port of an address from the source of any frame, so no IP address is needed
 * (a gratuitous ARP would need one, and only the guest knows it).
 *
 *     destination ff:ff:ff:ff:ff:ff | source MAC | 0x8035 |
 *     hardware 1, protocol 0x0800, sizes 6 and 4, operation 3 (reverse request) |
 *     sender MAC, 0.0.0.0 | target MAC, 0.0.0.0 | zeros up to 60 bytes
 */
import { UnderstudyError } from '../base/errors.ts';
import { egressLimits } from './limits.ts';

const FRAME_BYTES = 60;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** The broadcast that says "this address is here". */
export function announceFrame(mac: string): Buffer {
  if (!MAC.test(mac)) {
    throw new UnderstudyError(
      'config',
      `Cannot announce '${mac}' as a MAC address has the form 52:54:00:12:34:56`,
    );
  }
  const address = Buffer.from(mac.replaceAll(':', ''), 'hex');
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.fill(0xff, 0, 6);
  address.copy(frame, 6);
  frame.writeUInt16BE(0x8035, 12);
  frame.writeUInt16BE(1, 14);
  frame.writeUInt16BE(0x0800, 16);
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(3, 20);
  address.copy(frame, 22);
  address.copy(frame, 32);
  return frame;
}

/** Sends a series of announcements; only the newest series runs. */
export class Announcer {
  readonly #send: (frames: readonly Buffer[]) => void;
  #frames: readonly Buffer[] = [];
  #timers: NodeJS.Timeout[] = [];

  constructor(send: (frames: readonly Buffer[]) => void) {
    this.#send = send;
  }

  start(macs: readonly string[]): void {
    this.#frames = [...new Set(macs)].slice(0, egressLimits.announceMacsMax).map(announceFrame);
    this.repeat();
  }

  /** The last series once more, for a link that came back. */
  repeat(): void {
    this.#stopTimers();
    if (this.#frames.length === 0) return;
    this.#send(this.#frames);
    for (const afterMs of egressLimits.announceAfterMs) {
      this.#timers.push(setTimeout(() => this.#send(this.#frames), afterMs).unref());
    }
  }

  stop(): void {
    this.#stopTimers();
    this.#frames = [];
  }

  #stopTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
  }
}
