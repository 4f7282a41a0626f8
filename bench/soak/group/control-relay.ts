/**
 * Stands in front of a node's control socket, and sees what a group's coordinator and the node say
 * to each other, as it passes.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Passing } from './steps.ts';

type What = Passing['what'];

/** What was asked, and what it is called when that was answered well. */
const asked: Readonly<Record<string, What>> = { snapshot: 'snapshot', line: 'line', open: 'open' };
const answered: Readonly<Record<string, What>> = { line: 'passed', open: 'opened' };

export class ControlRelay {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  /**
   * Listens on `at` for who wants to reach `target`. `onPassing`: a command was handed to the node,
   * or an answer is about to be handed to who asked.
   */
  static async open(
    at: string,
    target: string,
    onPassing: (what: What) => void,
  ): Promise<ControlRelay> {
    fs.mkdirSync(path.dirname(at), { recursive: true });
    const server = net.createServer();
    const relay = new ControlRelay(server);
    server.on('connection', (client) => relay.#serve(client, target, onPassing));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, resolve);
    });
    return relay;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(client: net.Socket, target: string, onPassing: (what: What) => void): void {
    const node = net.connect(target);
    const end = (): void => {
      client.destroy();
      node.destroy();
    };
    for (const socket of [client, node]) {
      this.#sockets.add(socket);
      // Whoever is at the other end learns it by the end of the connection.
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    // One command on a connection, and one line that answers it.
    let command = '';
    client.on('data', (bytes: Buffer) => {
      command = wordOf(bytes, 'command') ?? command;
      node.write(bytes, () => see(asked[command], onPassing));
    });
    node.on('data', (bytes: Buffer) => {
      if (bytes.includes('"ok":true')) see(answered[command], onPassing);
      client.write(bytes);
    });
  }
}

function see(what: What | undefined, onPassing: (what: What) => void): void {
  if (what !== undefined) onPassing(what);
}

function wordOf(bytes: Buffer, key: string): string | undefined {
  try {
    const value = (JSON.parse(bytes.toString()) as Record<string, unknown>)[key];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined; // a part of a line
  }
}
