/**
 * What a node logs, through a pipe with a name.
 *
 * Intuition: a node outlives the host that started it. Behind a nameless pipe nobody could ever
 * read its log again. This one the next host opens, and gets what the node has kept meanwhile
 * (src/host/unwaiting-output.ts): nothing of a node waits for a host.
 *
 * Contract
 *  1. Every line is handed on as it is, once it is whole.
 *  2. What is no line of a log is kept: the last words of a node are the reason why it ended.
 */
import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFifo } from '../host/libc.ts';
import { controllerLimits } from './limits.ts';

/** What the command line says of a failure, and what a bug looks like. */
const complaint = /^understudy: |^\s+at /;

export class NodeOutput {
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  readonly #socket: net.Socket;
  readonly #over: Promise<void>;
  #rest = '';
  readonly #said: string[] = [];

  /** Opens the pipe, which is made if it is not there, for a node that has it or will have it. */
  constructor(path: string, onLine: (line: string) => void) {
    this.#path = path;
    this.#onLine = onLine;
    if (!fs.existsSync(path)) makeFifo(path);
    const { O_RDONLY, O_NONBLOCK } = fs.constants;
    const fd = fs.openSync(path, O_RDONLY | O_NONBLOCK);
    this.#socket = new net.Socket({ fd, readable: true, writable: false });
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => this.#take(text));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#over = new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  /** The end that the node writes to, to be closed when it has been started. */
  writer(): number {
    return fs.openSync(this.#path, 'w');
  }

  /** It has said why it cannot go on. */
  get hasComplained(): boolean {
    return this.#said.some((line) => complaint.test(line));
  }

  /** What it said that is no line of a log. */
  get lastWords(): string {
    return this.#said.join('\n').replace(/^understudy: /, '');
  }

  /** Resolves when all was read that the node has said before it ended. */
  async drained(): Promise<void> {
    await Promise.race([
      this.#over,
      sleep(controllerLimits.lastWordsMs, undefined, { ref: false }),
    ]);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > controllerLimits.lineBytesMax) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    if (line === '') return;
    if (!line.startsWith('{')) this.#said.push(line);
    if (this.#said.length > controllerLimits.saidLines) this.#said.shift();
    this.#onLine(line);
  }
}
