/**
 * The control socket of a host: newline-separated JSON on a unix socket that only its owner may
 * use, each line answered by one.
 *
 *   {"command":"status"}                            HostStatus
 *   {"command":"restart","what":"web/a"}            {"ok":true,"nodes":["web/a"]}
 *     with "force":"yes": also what loses a machine
 *   {"command":"stop"}                              {"ok":true}
 *     with "keep":"yes": the nodes go on
 *
 * A refusal is `{"ok":false,...}`, as a node's (src/node/refusal.ts).
 */
import fs from 'node:fs';
import net from 'node:net';
import { UnderstudyError } from '../base/errors.ts';
import { type Refusal, refusalOf } from '../node/refusal.ts';
import type { HostStatus } from './host-status.ts';

export interface HostControlOptions {
  readonly path: string;
  readonly status: () => HostStatus;
  /** Resolves with the nodes that will be restarted. */
  readonly restart: (what: string, how: { readonly force: boolean }) => Promise<readonly string[]>;
  readonly stop: (how: { readonly keep: boolean }) => void;
}

const lineBytesMax = 4096;

export class HostControl {
  readonly #options: HostControlOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(options: HostControlOptions) {
    this.#options = options;
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  /** Throws `resources` when it cannot listen there. */
  static async start(options: HostControlOptions): Promise<HostControl> {
    const control = new HostControl(options);
    fs.rmSync(options.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', (cause) =>
        reject(new UnderstudyError('resources', `Cannot listen on '${options.path}'`, { cause })),
      );
      control.#server.listen(options.path, resolve);
    });
    fs.chmodSync(options.path, 0o600);
    return control;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.end();
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    let rest = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > lineBytesMax) socket.destroy();
      for (const line of lines) {
        void this.#answer(line).then((answer) => socket.write(`${JSON.stringify(answer)}\n`));
      }
    });
  }

  /** Never rejects. */
  async #answer(line: string): Promise<HostStatus | { readonly ok: true } | Refusal> {
    try {
      const { command, what, force, keep } = requestOf(line);
      switch (command) {
        case 'status':
          return this.#options.status();
        case 'restart': {
          const nodes = await this.#options.restart(what ?? '', { force: force === 'yes' });
          return { ok: true, ...{ nodes } };
        }
        case 'stop':
          // Not before it is answered: that may be the end.
          setImmediate(() => this.#options.stop({ keep: keep === 'yes' }));
          return { ok: true };
        default:
          throw new Error(`unknown command: ${line.slice(0, 80)}`);
      }
    } catch (thrown) {
      return refusalOf(thrown);
    }
  }
}

function requestOf(line: string): Readonly<Record<string, unknown>> & { readonly what?: string } {
  try {
    const { command, what, force, keep } = JSON.parse(line) as Record<string, unknown>;
    return { command, force, keep, ...(typeof what === 'string' ? { what } : {}) };
  } catch {
    return {};
  }
}
