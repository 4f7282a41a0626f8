// The far end of an egress in tests: sees what left, and puts frames in.
import { createServer, type Server, type Socket } from 'node:net';
import { encodeStreamFrame, StreamFrameDecoder } from '../../src/base/stream-frames.ts';
import type { Egress } from '../../src/ports/egress.ts';
import { hangMs } from '../time.ts';

export interface Outside {
  readonly egress: Egress;
  /**
   * Frames of the test's own kind (ethertype 0x88b5) and announcements that reached the outside.
   */
  readonly seen: Buffer[];
  put(frame: Buffer): void;
  /** Breaks the wire; the egress must tell. */
  cut(): Promise<void>;
  remove(): Promise<void>;
}

export const GUEST_MAC = '52:54:00:12:34:56';

/** A broadcast frame of an ethertype reserved for experiments. */
export function testFrame(text: string): Buffer {
  const frame = Buffer.alloc(60);
  frame.fill(0xff, 0, 6);
  Buffer.from(GUEST_MAC.replaceAll(':', ''), 'hex').copy(frame, 6);
  frame.writeUInt16BE(0x88b5, 12);
  frame.write(text, 14);
  return frame;
}

export const isOurs = (frame: Buffer): boolean =>
  [0x88b5, 0x8035].includes(frame.length >= 14 ? frame.readUInt16BE(12) : 0);

export const textOf = (frame: Buffer): string => frame.toString('latin1', 14).replaceAll('\0', '');

/** Resolves when the condition holds; fails the test when it does not in `hangMs`. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + hangMs; !holds(); ) {
    if (performance.now() > endMs) throw new Error(`not within ${hangMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A server that speaks length-prefixed frames, like passt: one client at a time. */
export class StreamPeer {
  readonly seen: Buffer[] = [];
  readonly #server: Server;
  #client: Socket | undefined;
  refuseNext = 0;
  clients = 0;

  constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      this.clients += 1;
      if (this.refuseNext > 0) {
        this.refuseNext -= 1;
        socket.destroy();
        return;
      }
      this.#client = socket;
      const decoder = new StreamFrameDecoder();
      socket.on('data', (chunk) => this.seen.push(...decoder.push(chunk)));
    });
  }

  listen(at: string | number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.on('error', reject);
      const ready = () => {
        const address = this.#server.address();
        resolve(address !== null && typeof address === 'object' ? address.port : 0);
      };
      if (typeof at === 'string') this.#server.listen(at, ready);
      else this.#server.listen(at, '127.0.0.1', ready);
    });
  }

  put(frame: Buffer): void {
    this.#client?.write(encodeStreamFrame(frame));
  }

  putRaw(bytes: Buffer): void {
    this.#client?.write(bytes);
  }

  drop(): void {
    this.#client?.destroy();
    this.#client = undefined;
  }

  close(): Promise<void> {
    this.drop();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
