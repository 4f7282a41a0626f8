/**
 * The control socket of a node: newline-separated JSON on a unix socket that only its owner may
 * use.
 *
 * A client sends `{"command": ...}` lines. `status`, `verify`, `snapshot` (with an optional
 * `label`), `line` (with `set` and `holdMaxMs`) and `open` (with `set`) of a group,
 * `removeSnapshot` (with the id as `snapshot`), `collectSnapshots` and `drill` answer with one
 * line; `watch` streams events until the client leaves; after `console` (with the `port` of another
 * serial port than that) the connection carries raw bytes. What a refusal looks like is at the head
 * of refusal.ts.
 */
import fs from 'node:fs';
import net from 'node:net';
import { UnderstudyError } from '../base/errors.ts';
import type { LineWish } from '../core/effects.ts';
import { consolePort } from '../hypervisor/config.ts';
import type { Collected } from '../ports/snapshot-store.ts';
import type { Concern } from './concerns.ts';
import type { SerialHub } from './machine/serial-hub.ts';
import { noPort, type SerialPorts } from './machine/serial-ports.ts';
import { refusalOf } from './refusal.ts';
import type { Comparison, Reporter } from './report.ts';
import type { GuestFailures } from './watchdog/watchdog.ts';

export interface NodeStatus {
  readonly node: string;
  readonly pair: string;
  readonly role: 'starting' | 'primary' | 'backup';
  readonly state: string;
  /** What a node that is `waiting` waits for. */
  readonly reason?: string;
  /** What is wrong now. */
  readonly concerns: readonly Concern[];
  /** Of guests that failed by themselves, since this node began; not there: none has. */
  readonly guestFailures?: GuestFailures;
  readonly term: number;
  /** Version of the QEMU that runs machines here, and of the other node's while there is a link. */
  readonly qemu: string;
  readonly peerQemu?: string;
  /** As in the pair file, with an absolute path. */
  readonly arbiter: string;
  readonly pid: number;
}

export interface ControlServerOptions {
  readonly path: string;
  readonly status: () => NodeStatus;
  /** Compares the backup at a cut. */
  readonly verify: () => Promise<Comparison>;
  /** Has a cut kept; resolves with the snapshot's id when it is in the store. */
  readonly takeSnapshot: (label?: string) => Promise<{ snapshot: string; term?: number }>;
  /** A group's line of this machine. */
  readonly line: (wish: LineWish) => Promise<object>;
  /** Removes a snapshot from the store that this node writes to. */
  readonly removeSnapshot: (id: string) => Promise<void>;
  /** Gives the room of removed ones back. */
  readonly collectSnapshots: () => Promise<Collected>;
  /** Hands the machine over to the backup. Throws when there is none. */
  readonly drill: () => Promise<void>;
  readonly stop: () => void;
  readonly serials: SerialPorts;
  readonly reporter: Reporter;
}

const lineBytesMax = 4096;

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  static async start(options: ControlServerOptions): Promise<ControlServer> {
    const control = new ControlServer(options);
    fs.rmSync(options.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', (error) =>
        reject(
          new UnderstudyError('resources', `Cannot listen on '${options.path}'`, { cause: error }),
        ),
      );
      control.#server.listen(options.path, resolve);
    });
    fs.chmodSync(options.path, 0o600);
    return control;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    let pending: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      pending = Buffer.concat([pending, chunk]);
      for (let end = pending.indexOf(0x0a); end >= 0; end = pending.indexOf(0x0a)) {
        const line = pending.toString('utf8', 0, end);
        pending = pending.subarray(end + 1);
        const port = this.#obey(socket, line);
        if (port !== undefined) {
          socket.off('data', onData);
          attachPort(port, socket, pending);
          return;
        }
      }
      if (pending.length > lineBytesMax) socket.destroy();
    };
    socket.on('data', onData);
  }

  /** Returns the serial port that the connection becomes one end of. */
  #obey(socket: net.Socket, line: string): SerialHub | undefined {
    const answer = (value: object): void => {
      socket.write(`${JSON.stringify(value)}\n`);
    };
    const answerWith = (work: () => Promise<object>): void => {
      work().then(
        (found) => answer({ ok: true, ...found }),
        (thrown: unknown) => answer(refusalOf(thrown)),
      );
    };
    const {
      command,
      label,
      snapshot,
      set = '',
      holdMaxMs = 0,
      port = consolePort,
    } = requestOf(line);
    switch (command) {
      case 'status':
        answer(this.#options.status());
        return undefined;
      case 'watch': {
        const watching = this.#options.reporter.events.subscribe((event) => answer(event));
        socket.on('close', () => watching.unsubscribe());
        answer({ type: 'status', ...this.#options.status() });
        return undefined;
      }
      case 'verify':
        answerWith(() => this.#options.verify());
        return undefined;
      case 'snapshot':
        answerWith(() => this.#options.takeSnapshot(label));
        return undefined;
      case 'line':
        answerWith(() => this.#options.line({ wish: command, set, holdMaxMs }));
        return undefined;
      case 'open':
        answerWith(() => this.#options.line({ wish: command, set }));
        return undefined;
      case 'removeSnapshot':
        answerWith(async () => {
          await this.#options.removeSnapshot(snapshot ?? '');
          return {};
        });
        return undefined;
      case 'collectSnapshots':
        answerWith(async () => await this.#options.collectSnapshots());
        return undefined;
      case 'drill':
        answerWith(async () => {
          await this.#options.drill();
          return {};
        });
        return undefined;
      case 'stop':
        answer({ ok: true });
        this.#options.stop();
        return undefined;
      case 'console': {
        const { serials } = this.#options;
        const hub = serials.named(port);
        if (hub === undefined) answer(refusalOf(noPort(port, serials.names)));
        return hub;
      }
      default:
        answer({ ok: false, error: `unknown command: ${line.slice(0, 80)}` });
        return undefined;
    }
  }
}

/** The connection carries the raw bytes of a serial port from here on; `first` came already. */
function attachPort(hub: SerialHub, socket: net.Socket, first: Buffer): void {
  const detach = hub.attach((bytes) => socket.write(bytes));
  socket.on('close', detach);
  // Who types faster than the guest reads waits, and is not kept in memory.
  const type = (bytes: Buffer): void => {
    socket.pause();
    void hub.input(bytes).then(() => socket.resume());
  };
  socket.on('data', type);
  if (first.length > 0) type(first);
}

interface Request {
  readonly command?: string;
  readonly label?: string;
  readonly snapshot?: string;
  readonly set?: string;
  readonly holdMaxMs?: number;
  readonly port?: string;
}

function requestOf(line: string): Request {
  try {
    const words = JSON.parse(line) as Record<keyof Request, unknown>;
    const { command, label, snapshot, set, holdMaxMs, port } = words;
    return {
      ...(typeof set === 'string' ? { set } : {}),
      ...(typeof holdMaxMs === 'number' ? { holdMaxMs } : {}),
      ...(typeof command === 'string' ? { command } : {}),
      ...(typeof label === 'string' ? { label } : {}),
      ...(typeof port === 'string' ? { port } : {}),
      ...(typeof snapshot === 'string' ? { snapshot } : {}),
    };
  } catch {
    return {};
  }
}
