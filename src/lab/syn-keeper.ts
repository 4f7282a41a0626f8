/**
 * Sends a lost connection attempt again in the place of passt.
 *
 * A client's first TCP segment (SYN) that is lost is sent again by any real TCP after a second.
 * Debian 12's passt sends it once and resets the client after ten seconds: a request fails because
 * one frame was lost, which every network may do. This watches the frames of both directions and
 * repeats a SYN until the guest answers it.
 *
 *     Ethernet 14 bytes | IPv4: protocol at +9, addresses at +12 and +16 | TCP: ports, flags at +13
 */
import { demoLimits } from './limits.ts';

const ETHERNET_BYTES = 14;
const IPV4 = 0x0800;
const TCP = 6;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

interface Segment {
  /** Both ends, the sender first. */
  readonly from: string;
  readonly to: string;
  readonly flags: number;
}

/** Ends and flags of a frame with an IPv4 TCP segment; `undefined` for every other frame. */
export function tcpSegment(frame: Buffer): Segment | undefined {
  if (frame.length < ETHERNET_BYTES + 40 || frame.readUInt16BE(12) !== IPV4) return undefined;
  const headerBytes = (frame.readUInt8(ETHERNET_BYTES) & 0x0f) * 4;
  const tcp = ETHERNET_BYTES + headerBytes;
  if (frame.readUInt8(ETHERNET_BYTES + 9) !== TCP || frame.length < tcp + 20) return undefined;
  const end = (address: number, port: number): string =>
    `${frame.readUInt32BE(address)}:${frame.readUInt16BE(port)}`;
  return {
    from: end(ETHERNET_BYTES + 12, tcp),
    to: end(ETHERNET_BYTES + 16, tcp + 2),
    flags: frame.readUInt8(tcp + 13),
  };
}

export class SynKeeper {
  readonly #send: (frame: Buffer) => void;
  readonly #waiting = new Map<string, NodeJS.Timeout>();

  constructor(send: (frame: Buffer) => void) {
    this.#send = send;
  }

  /** A frame on its way to the guest. */
  toGuest(frame: Buffer): void {
    const segment = tcpSegment(frame);
    if (segment === undefined || (segment.flags & (SYN | ACK)) !== SYN) return;
    const key = `${segment.from} ${segment.to}`;
    this.#forget(key);
    if (this.#waiting.size >= demoLimits.synsKept) return;
    let left: number = demoLimits.synRepeats;
    const timer = setInterval(() => {
      this.#send(frame);
      left -= 1;
      if (left === 0) this.#forget(key);
    }, demoLimits.synRepeatMs);
    this.#waiting.set(key, timer.unref());
  }

  /** A frame that the guest sent: any segment of the connection answers. */
  fromGuest(frame: Buffer): void {
    if (this.#waiting.size === 0) return;
    const segment = tcpSegment(frame);
    if (segment === undefined || (segment.flags & (ACK | RST)) === 0) return;
    this.#forget(`${segment.to} ${segment.from}`);
  }

  stop(): void {
    for (const key of [...this.#waiting.keys()]) this.#forget(key);
  }

  #forget(key: string): void {
    clearInterval(this.#waiting.get(key));
    this.#waiting.delete(key);
  }
}
