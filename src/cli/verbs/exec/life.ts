/**
 * One life of a command's machine: the nodes that run and keep it, from its boot, or from a
 * snapshot, to its end or its failure. A takeover by the backup is within one life.
 *
 * Contract
 *  1. What is kept had been preceded by all bytes that were taken when it was asked for, and
 *     `onKept` is told how many those were. It is of the machine that said them: one that has
 *     booted anew since is not kept.
 *  2. `onOver` is called once: with the code of the command, or with why the machine has failed.
 */
import { randomBytes } from 'node:crypto';
import type net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { consolePort } from '../../../hypervisor/config.ts';
import { NodeProcess } from '../../../lab/node-process.ts';
import { loadPairConfig } from '../../../node/pair-file/pair-config.ts';
import type { Refusal } from '../../../node/refusal.ts';
import { askNode, connectControl, type WatchEvent } from '../../../observe/control-client.ts';
import { firstNode, secondNode } from '../new-pair.ts';
import type { KeptStream } from './kept-stream.ts';
import { execLimits } from './limits.ts';
import { Session } from './session.ts';

/** Of the guest, behind its console; the first is for its processes to ask the node through. */
export const execPorts = ['agent', 'stdout', 'stderr'] as const;

export interface LifeOptions {
  readonly dir: string;
  readonly pairFile: string;
  /** Goes on from what is prepared in `dir`, instead of booting. */
  readonly isPrepared: boolean;
  /** Between two snapshots; `undefined`: none are kept, and there is no backup. */
  readonly everyMs: number | undefined;
  readonly streams: readonly [KeptStream, KeptStream];
  readonly signals: readonly number[];
  readonly onRunning: () => void;
  /** A snapshot, and how much had been said before it. */
  readonly onKept: (id: string, positions: readonly [number, number]) => void;
  readonly onOver: (outcome: Outcome) => void;
}

export type Outcome = { readonly code: number } | { readonly failure: string };

export class Life {
  readonly #options: LifeOptions;
  readonly #session: Session;
  readonly #nodes = new Map<string, NodeProcess>();
  /** Of the console, by node; each node's stay for as long as it runs. */
  readonly #consoles = new Map<NodeProcess, net.Socket>();
  readonly #sockets = new Set<net.Socket>();
  /** The node that has the machine. */
  #speaker: NodeProcess | undefined;
  #silence: NodeJS.Timeout | undefined;
  #hadMachine = false;
  #isOver = false;
  readonly #over = new AbortController();

  constructor(options: LifeOptions) {
    this.#options = options;
    const { streams, signals, isPrepared } = options;
    this.#session = new Session({
      ...{ streams, signals, boots: !isPrepared },
      send: (line) => {
        const console = this.#speaker && this.#consoles.get(this.#speaker);
        console?.write(`${line}\n`);
      },
      nonce: () => randomBytes(8).toString('hex'),
      onRunning: () => this.#run(),
      onEnd: (code) => this.#end({ code }),
      onFailure: (why) => this.#end({ failure: why }),
    });
    this.#startNode(firstNode, isPrepared);
    this.#awaitSpeaker(execLimits.bootMs);
  }

  /** Sends what was added to `signals`. */
  signalled(): void {
    this.#session.signalled();
  }

  /** Ends the nodes, and with them the machine. */
  async close(): Promise<void> {
    this.#isOver = true;
    this.#over.abort();
    clearTimeout(this.#silence);
    this.#session.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onOver(outcome);
  }

  #startNode(name: string, isPrepared = false): void {
    const { dir, pairFile } = this.#options;
    const node = new NodeProcess({
      ...{ name, pairFile, isApart: true, logFile: path.join(dir, `${name}.log`) },
      runDir: loadPairConfig(pairFile, name).self.runDir,
      ...(isPrepared ? { from: dir } : {}),
    });
    this.#nodes.set(name, node);
    node.events.subscribe((event) => this.#watch(node, event));
    void node.exited.then(() => this.#nodeEnded(node));
  }

  #watch(node: NodeProcess, event: WatchEvent): void {
    const isOfSpeaker = this.#speaker === node;
    if (event.type === 'takeover') void this.#listenTo(node);
    else if (event.type === 'state' && event.state === 'ended' && isOfSpeaker) this.#lost();
    else if (event.type === 'role' || event.type === 'status') {
      if (event.role !== 'primary') {
        if (isOfSpeaker) this.#lost();
      } else if (!this.#hadMachine) void this.#listenTo(node);
      else if (!isOfSpeaker) this.#awaitTakeover(node);
    }
  }

  #awaitTakeover(node: NodeProcess): void {
    setTimeout(() => {
      if (this.#speaker !== node) this.#end({ failure: 'it has booted anew' });
    }, execLimits.takeoverMs).unref();
  }

  /** The machine is there from now on. */
  async #listenTo(node: NodeProcess): Promise<void> {
    if (this.#speaker === node || this.#isOver) return;
    this.#speaker = node;
    this.#hadMachine = true;
    clearTimeout(this.#silence);
    try {
      await this.#attach(node);
    } catch {
      // It has ended, or its run directory was lost: who has the machine then says so.
      if (this.#speaker === node) this.#lost();
      return;
    }
    if (this.#speaker === node && !this.#isOver) this.#session.moved();
  }

  async #attach(node: NodeProcess): Promise<void> {
    if (this.#consoles.has(node)) return;
    const [, stdout, stderr] = execPorts;
    const takers = new Map<string, (bytes: Buffer) => void>([
      [stdout, (bytes) => this.#session.stream(0, bytes)],
      [stderr, (bytes) => this.#session.stream(1, bytes)],
      // Last: what it says of the streams comes when they are listened to.
      [consolePort, (bytes) => this.#session.console(bytes)],
    ]);
    for (const [port, take] of takers) {
      const socket = await connectControl(node.control);
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#consoles.delete(node);
      });
      if (port === consolePort) this.#consoles.set(node, socket);
      socket.on('data', (bytes: Buffer) => {
        if (this.#speaker === node && !this.#isOver) take(bytes);
      });
      socket.write(`${JSON.stringify({ command: 'console', port })}\n`);
    }
  }

  #lost(): void {
    this.#speaker = undefined;
    this.#awaitSpeaker(execLimits.silenceMs);
  }

  #awaitSpeaker(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#end({ failure: `no node has had it for ${ms / 1000} s` });
    }, ms);
  }

  #nodeEnded(node: NodeProcess): void {
    if (this.#isOver) return;
    if (this.#speaker === node) this.#lost();
    if (![...this.#nodes.values()].some(({ isRunning }) => isRunning)) {
      this.#end({ failure: 'it has ended without telling an exit code' });
      return;
    }
    // The other one has the machine, or takes it over: without this one it would keep nothing more.
    setTimeout(() => {
      if (!this.#isOver) this.#startNode(node.name);
    }, execLimits.nodeAgainMs);
  }

  #run(): void {
    const { everyMs, onRunning } = this.#options;
    onRunning();
    if (everyMs === undefined) return;
    // Not sooner: the boot goes on faster alone.
    this.#startNode(secondNode);
    void this.#keep(everyMs);
  }

  async #keep(everyMs: number): Promise<void> {
    let dueAt = performance.now() + everyMs;
    while (!this.#isOver) {
      await sleep(execLimits.keepAgainMs / 10, undefined, { signal: this.#over.signal }).catch(
        () => undefined,
      );
      const [out, err] = this.#options.streams;
      const isFull = Math.max(out.held, err.held) >= execLimits.heldBytes;
      if (this.#isOver || (performance.now() < dueAt && !isFull)) continue;
      if (await this.#keepOne([out.position, err.position])) dueAt = performance.now() + everyMs;
      else await sleep(execLimits.keepAgainMs);
    }
  }

  /** `said`: taken before this. False when nothing is kept now, as while there is no backup. */
  async #keepOne(said: readonly [number, number]): Promise<boolean> {
    const node = this.#speaker;
    if (node === undefined || !this.#session.isHeard) return false;
    try {
      const answer = await askNode<Refusal | { readonly ok: true; readonly snapshot: string }>(
        node.control,
        'snapshot',
      );
      if (!answer.ok || this.#speaker !== node || !(await this.#session.kept(said))) return false;
      this.#options.onKept(answer.snapshot, said);
      return true;
    } catch {
      return false; // the node is gone: another one is asked the next time
    }
  }
}
