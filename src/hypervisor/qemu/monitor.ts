/**
 * The monitor: commands to one QEMU (or storage daemon) and events from it, over QMP.
 *
 * QMP is one JSON object a line. The server greets, we enable its capabilities, then commands go
 * out with an id and come back with it, and events arrive in between. Commands are pipelined: QEMU
 * executes them in order, and a second one need not wait for the answer to the first.
 *
 * Obligations:
 *  1. Every command ends: with QEMU's answer, at its deadline, or when the connection drops.
 *  2. A command after a drop fails at once. There is no hidden reconnect: another connection may
 *     reach another QEMU.
 *  3. What is not QMP ends the connection; nothing is skipped in silence.
 *
 * Why not an adapter over the package `node-qemu` (1.3.0, read in full): it would need all that is
 * here but the forty lines that split and dispatch, namely retries, a deadline for the greeting
 * (`connect()` never settles when the peer closes before it), deadlines, a record of the drop
 * (`execute()` after one never settles, and the reason of a reset is swallowed), the mapping of
 * errors; plus listeners that keep its emitter from throwing. About as long, it could still not be
 * made to pipeline, to notice a line that is not JSON (dropped), or to bound its buffer. A round
 * trip takes 0.15 ms there and 0.2 ms here: ids are more bytes, see `execute`. As a witness it is
 * welcome: test/qemu/second-monitor.test.ts looks at a machine through it while ours works.
 */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { withResolvers } from '../../base/with-resolvers.ts';
import { hypervisorLimits } from '../limits.ts';

/** An asynchronous message of QEMU, as in its QMP reference. */
export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
  /** QEMU's wall clock; -1 when it could not be read. */
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
}

export interface MonitorOptions {
  /** Unix socket on which QEMU listens (`-qmp unix:PATH,server=on,wait=off`). */
  readonly path: string;
  /** For everything: until the socket is there, greets, and takes commands. Milliseconds. */
  readonly deadlineMs: number;
  /** Gives up early, for example when QEMU has died. */
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

type Message = {
  readonly QMP?: object;
  readonly event?: string;
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
};

export class Monitor {
  /** Settles once: `undefined` after `close`, else why the connection ended. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  readonly #socket: net.Socket;
  readonly #path: string;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting = withResolvers<void>();
  #nextId = 1;
  /** A line that has not ended yet. */
  #rest = '';
  /** Why no command can be executed any more. */
  #ended: Error | undefined;

  private constructor(socket: net.Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    this.#greeting.promise.catch(() => undefined); // `connect` may be gone by then
    const closed = withResolvers<Error | undefined>();
    this.closed = closed.promise;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => {
      this.#end(new Error('QEMU closed the connection'));
      closed.resolve(this.#ended instanceof ClosedByUs ? undefined : this.#ended);
    });
  }

  /**
   * Connects, and waits until commands are taken; tries again while nobody listens there yet.
   *
   * @throws UnderstudyError `monitor`: nobody listened, greeted or answered before the deadline,
   * the signal fired, or what answered does not speak QMP.
   */
  static async connect(options: MonitorOptions): Promise<Monitor> {
    const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(options.deadlineMs)));
    const { path, signal: given } = options;
    const signal = given === undefined ? deadline : AbortSignal.any([deadline, given]);
    let socket: net.Socket | undefined;
    try {
      socket = await dial(path, signal);
      const monitor = new Monitor(socket, path);
      await untilAborted(monitor.#greeting.promise, signal);
      const { deadlineMs } = options;
      await untilAborted(monitor.execute('qmp_capabilities', {}, { deadlineMs }), signal);
      return monitor;
    } catch (thrown) {
      socket?.destroy();
      const late = deadline.aborted ? ` within ${options.deadlineMs} ms` : '';
      throw new UnderstudyError('monitor', `Cannot connect to the monitor '${path}'${late}`, {
        cause: given?.aborted === true ? asError(given.reason) : asError(thrown),
        hint: 'look at the stderr of QEMU: it has probably ended or not started',
      });
    }
  }

  /**
   * Executes one command and gives what QEMU returned. `T` is trusted, not checked.
   *
   * The deadline (default 5 s) ends the waiting, not the command: QEMU may still execute it.
   *
   * @throws UnderstudyError `qemu` when QEMU refuses, with its class and description; `monitor`
   * when the deadline passed or the connection has dropped.
   */
  execute<T = unknown>(
    command: string,
    args: object = {},
    { deadlineMs = hypervisorLimits.commandMs }: { readonly deadlineMs?: number } = {},
  ): Promise<T> {
    if (this.#ended !== undefined) {
      return Promise.reject(this.#lost(command, this.#ended));
    }
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        const message = `QEMU did not answer '${command}' within ${deadlineMs} ms`;
        reject(new UnderstudyError('monitor', message));
      }, deadlineMs);
      this.#pending.set(id, { command, resolve: resolve as (v: unknown) => void, reject, timer });
      // QEMU's monitor reads byte by byte (monitor_can_read), 4 us each: be brief.
      const some = Object.keys(args).length > 0 ? { arguments: args } : {};
      this.#socket.write(`${JSON.stringify({ execute: command, ...some, id })}\n`);
    });
  }

  /** Calls `listener` for each event from now on, in order; returns how to stop that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the connection; commands that wait fail. Safe to call more than once. */
  close(): void {
    this.#end(new ClosedByUs());
  }

  #end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#socket.destroy();
    this.#greeting.reject(reason);
    for (const { command, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#lost(command, reason));
    }
    this.#pending.clear();
  }

  #lost(command: string, cause: Error): UnderstudyError {
    const message = `Cannot execute '${command}': no connection to the monitor '${this.#path}'`;
    return new UnderstudyError('monitor', message, { cause });
  }

  #receive(text: string): void {
    let from = 0;
    for (let to = text.indexOf('\n'); to !== -1; to = text.indexOf('\n', from)) {
      const line = (this.#rest + text.slice(from, to)).trim();
      this.#rest = '';
      from = to + 1;
      if (line !== '') this.#line(line);
      if (this.#ended !== undefined) return;
    }
    this.#rest += text.slice(from);
    if (this.#rest.length > hypervisorLimits.monitorLineChars) {
      this.#end(new Error(`a line of more than ${hypervisorLimits.monitorLineChars} characters`));
    }
  }

  #line(line: string): void {
    let message: Message;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      this.#end(new Error(`not QMP: ${line.slice(0, 200)}`));
      return;
    }
    if (message?.event !== undefined) {
      for (const listener of [...this.#listeners]) listener(message as QmpEvent);
    } else if (typeof message?.id === 'number') {
      this.#answer(message.id, message);
    } else if (message?.QMP !== undefined) {
      this.#greeting.resolve();
    } else {
      // QEMU answers without an id when it could not parse what we sent.
      this.#end(new Error(`unexpected message: ${line.slice(0, 200)}`));
    }
  }

  #answer(id: number, message: Message): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return; // its deadline has passed
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (message.error === undefined) {
      pending.resolve(message.return);
      return;
    }
    const { class: kind, desc } = message.error;
    const text = `QEMU refused '${pending.command}': ${kind}: ${desc}`;
    pending.reject(new UnderstudyError('qemu', text));
  }
}

class ClosedByUs extends Error {
  constructor() {
    super('the connection was closed');
  }
}

/** Dials until somebody listens; other failures than "not there yet" are final. */
async function dial(path: string, signal: AbortSignal): Promise<net.Socket> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await dialOnce(path);
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw thrown;
      await sleep(hypervisorLimits.monitorRetryMs, undefined, { signal }).catch(() => {
        throw thrown; // says more than "aborted"
      });
    }
  }
}

function dialOnce(path: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** The promise, or a rejection as soon as the signal fires. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new Error('it listens, but does not answer'));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
