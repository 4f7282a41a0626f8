/**
 * Keeps the one connection to passt while the nodes behind it change.
 *
 * passt throws away what it has to send while it has no client, and a second client is refused.
 * So a node connects here instead: the hub is passt's only client for ever, and gives the frames
 * to the node that connected last (a node connects when it is the speaker). What comes while there
 * is no node waits a moment for the next one, as a prepared tap keeps what a bridge floods to it.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { asError } from '../base/errors.ts';
import {
  encodeStreamFrame,
  encodeStreamFrames,
  StreamFrameDecoder,
} from '../base/stream-frames.ts';
import { StreamEgress } from '../egress/stream.ts';
import { demoLimits } from './limits.ts';
import { SynKeeper } from './syn-keeper.ts';

interface Kept {
  readonly frame: Buffer;
  readonly atMs: number;
}

export class FrameHub {
  readonly #upstream: StreamEgress;
  readonly #server: Server;
  readonly #nodes: Socket[] = [];
  readonly #syns = new SynKeeper((frame) => this.#toNode(frame));
  #kept: Kept[] = [];

  private constructor(upstream: StreamEgress) {
    this.#upstream = upstream;
    this.#upstream.onFrame((frame) => {
      this.#syns.toGuest(frame);
      this.#toNode(frame);
    });
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  /** Connects to passt's socket and listens on `path`. */
  static async open(passtPath: string, path: string): Promise<FrameHub> {
    const hub = new FrameHub(new StreamEgress({ path: passtPath }));
    try {
      await hub.#upstream.open();
      await new Promise<void>((resolve, reject) => {
        hub.#server.once('error', (error) => reject(asError(error)));
        hub.#server.listen(path, resolve);
      });
    } catch (error) {
      await hub.close();
      throw error;
    }
    return hub;
  }

  async close(): Promise<void> {
    this.#syns.stop();
    for (const node of this.#nodes) node.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await this.#upstream.close();
  }

  #welcome(socket: Socket): void {
    const decoder = new StreamFrameDecoder();
    this.#nodes.push(socket);
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => this.#nodes.splice(this.#nodes.indexOf(socket), 1));
    socket.on('data', (chunk) => {
      try {
        const frames = decoder.push(chunk);
        for (const frame of frames) this.#syns.fromGuest(frame);
        this.#upstream.send(frames);
      } catch {
        socket.destroy(); // it lost step; its node notices and connects anew
      }
    });
    const oldestMs = performance.now() - demoLimits.hubKeptMs;
    const fresh = this.#kept.filter(({ atMs }) => atMs >= oldestMs).map(({ frame }) => frame);
    this.#kept = [];
    if (fresh.length > 0) socket.write(encodeStreamFrames(fresh));
  }

  #toNode(frame: Buffer): void {
    const node = this.#nodes.at(-1);
    if (node !== undefined) {
      if (node.writableLength <= demoLimits.hubBacklogBytes) node.write(encodeStreamFrame(frame));
      return;
    }
    this.#kept.push({ frame, atMs: performance.now() });
    if (this.#kept.length > demoLimits.hubKeptFrames) this.#kept.shift();
  }
}
