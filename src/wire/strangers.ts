/**
 * Strangers: connections that have not become a link yet.
 *
 * Intuition: whoever can reach the port can open connections and say nothing. A place taken must
 * not be a place kept: each stranger has one deadline, from its first packet to its hello, and when
 * all places are taken the oldest one makes room. The other node is done within a few round trips,
 * so it gets through although somebody else fills the places again and again.
 */
import type { Socket } from 'node:net';
import { wireLimits } from './limits.ts';

interface Stranger {
  readonly socket: Socket;
  readonly deadline: NodeJS.Timeout;
}

export class Strangers {
  /**
   * By remote address and port, oldest first. Both are unique among the connections to one port.
   */
  readonly #waiting = new Map<string, Stranger>();

  /** A connection was made. */
  admit(socket: Socket): void {
    const remote = remoteOf(socket);
    const deadline = setTimeout(() => socket.destroy(), wireLimits.strangerMs);
    this.#waiting.set(remote, { socket, deadline });
    socket.once('close', () => this.#forget(remote, socket));
    if (this.#waiting.size <= wireLimits.strangers) return;
    for (const [oldest, { socket: least }] of this.#waiting) {
      this.#forget(oldest, least);
      least.destroy();
      return;
    }
  }

  /** The connection became a link: its deadline is over. */
  becameLink(remote: string): void {
    const stranger = this.#waiting.get(remote);
    if (stranger !== undefined) this.#forget(remote, stranger.socket);
  }

  /** Drops them all. */
  close(): void {
    for (const [remote, { socket }] of this.#waiting) {
      this.#forget(remote, socket);
      socket.destroy();
    }
  }

  #forget(remote: string, socket: Socket): void {
    const stranger = this.#waiting.get(remote);
    if (stranger?.socket !== socket) return;
    clearTimeout(stranger.deadline);
    this.#waiting.delete(remote);
  }
}

/** `ADDRESS:PORT` of the other end. */
export function remoteOf(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
