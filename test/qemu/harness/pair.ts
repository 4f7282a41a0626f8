/**
 * Two node processes and an outside world, as the demo has them; all is removed when it is closed.
 */
import fs from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import YAML from 'yaml';
import { LoadProcess } from '../../../src/lab/load-process.ts';
import type { LoadStats } from '../../../src/lab/load-record.ts';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import { openWorld } from '../../../src/lab/open-world.ts';
import { PageReader } from '../../../src/lab/page-reader.ts';
import { Stage } from '../../../src/lab/stage.ts';
import type { World } from '../../../src/lab/world.ts';
import { askNode, connectControl, type WatchEvent } from '../../../src/observe/control-client.ts';
import { freeze, thaw } from '../../freeze.ts';
import { startProxy, type TcpProxy } from '../../wire/tcp-proxy.ts';
import { BootedGuest } from './booted.ts';
import { Terminal } from './terminal.ts';
import { bootMs, waitFor } from './wait.ts';

/**
 * Silence for a pair whose test is not about silence: on a busy machine either node may be held up
 * for a second, and a takeover because of that is none that the test has made. A kill breaks the
 * link, which is noticed at once.
 */
export const patientMs = 10_000;

/** What tests change in a pair file. */
export interface PairFile {
  vm: string;
  arbiter: string;
  silenceMs?: number;
  compareEvery?: string;
  seedBandwidth?: string;
  spoolBudget?: string;
  ack?: 'received' | 'durable';
  snapshots?: {
    store: string;
    every?: string;
    copyTo?: string;
    restart?: string;
    keep?: Record<string, number | string>;
  };
  watchdog?: { action: string; silence?: string; restores?: number };
  nodes: Record<string, { listen: string; disks: Record<string, string>; durableLogDir?: string }>;
}

/** Two nodes with a guest, and the world around them. */
export class PairUnderTest {
  readonly world: World;
  readonly stage: Stage;
  readonly #histories = new Map<string, WatchEvent[]>();
  readonly #sockets: net.Socket[] = [];
  readonly #stopped: NodeProcess[] = [];
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #relays: TcpProxy[] = [];
  readonly #pages: PageReader;
  #nextLoad = 1;

  protected constructor(world: World, stage: Stage) {
    this.world = world;
    this.stage = stage;
    this.#pages = new PageReader(world);
  }

  static async open(): Promise<PairUnderTest> {
    const world = await openWorld();
    try {
      const { egressSpecs } = world;
      const pairKeys = { silenceMs: patientMs };
      const stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs, pairKeys });
      return new PairUnderTest(world, stage);
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Ends both nodes and the world and removes their files. */
  async close(): Promise<void> {
    for (const node of this.#stopped) if (node.isRunning) thaw(await this.#pidOf(node));
    for (const socket of this.#sockets) socket.destroy();
    for (const relay of this.#relays) relay.close();
    try {
      await this.stage.close();
    } finally {
      await this.world.close();
    }
  }

  /** The last of both nodes' logs and events: for a test that failed, before `close`. */
  logs(): string {
    const figures = ['lag', 'log', 'hold', 'memory'];
    return ['a', 'b']
      .map((name) => {
        const file = path.join(this.stage.dir, `${name}.log`);
        const log = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(-25) : [];
        const events = this.events(name).filter(({ type }) => !figures.includes(type));
        return [`node ${name}:`, ...log, ...events.map((event) => JSON.stringify(event))].join(
          '\n',
        );
      })
      .join('\n');
  }

  /** Starts a node. `from`: a prepared machine to go on from. */
  start(name: string, from?: string): NodeProcess {
    const node = this.stage.start(name, from);
    this.#nodes.set(name, node);
    const history = this.events(name);
    node.events.subscribe((event) => history.push(event));
    return node;
  }

  /** All events of a node since the test began, over its restarts. */
  events(name: string): WatchEvent[] {
    let history = this.#histories.get(name);
    if (history === undefined) {
      history = [];
      this.#histories.set(name, history);
    }
    return history;
  }

  /** Starts the first node, whose machine boots, and waits until the guest answers. */
  async boot(): Promise<NodeProcess> {
    const node = this.start('a');
    await waitFor('the guest', () => this.read('/read'), bootMs);
    return node;
  }

  /** The same without the boot: node a goes on from a guest that was booted for the whole run. */
  async booted(): Promise<NodeProcess> {
    const image = path.join(this.stage.dir, 'data-a.raw');
    const prepared = path.join(this.stage.dir, 'booted');
    fs.rmSync(image);
    await (await BootedGuest.open()).prepare(prepared, image);
    const node = this.start('a', prepared);
    await waitFor('the guest', () => this.read('/read'), bootMs);
    return node;
  }

  /** Both nodes, the guest protected. */
  async protect(): Promise<{ a: NodeProcess; b: NodeProcess }> {
    const a = await this.booted();
    const b = this.start('b');
    await this.protectedBy(a, b);
    return { a, b };
  }

  /** The last process started for a node. */
  node(name: string): NodeProcess {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`node ${name} was never started`);
    return node;
  }

  async protectedBy(primary: NodeProcess, backup: NodeProcess): Promise<void> {
    await backup.until('protecting');
    await primary.until('protected');
  }

  /** Changes the pair file for the nodes that start from now on. */
  configure(change: (pair: PairFile) => void): void {
    const pair = YAML.parse(fs.readFileSync(this.stage.pairFile, 'utf8')) as PairFile;
    change(pair);
    fs.writeFileSync(this.stage.pairFile, YAML.stringify(pair));
  }

  /** Puts a relay in front of a node that runs: who starts from now on reaches it through that. */
  async relay(name: string): Promise<TcpProxy> {
    const port = (pair: PairFile): number => Number(new URL(pair.nodes[name]?.listen ?? '').port);
    const proxy = await startProxy(
      port(YAML.parse(fs.readFileSync(this.stage.pairFile, 'utf8')) as PairFile),
    );
    this.#relays.push(proxy);
    this.configure((pair) => {
      const node = pair.nodes[name];
      if (node !== undefined) node.listen = `ws://127.0.0.1:${proxy.port}`;
    });
    return proxy;
  }

  /** Compares the two machines at a cut. Returns what differs. */
  async compare(primary: NodeProcess, backup: NodeProcess): Promise<readonly string[]> {
    const compared = backup.next(
      (event): event is Extract<WatchEvent, { type: 'cutCompared' }> =>
        event.type === 'cutCompared',
    );
    compared.catch(() => undefined); // refused, nothing is compared
    const answer = await askNode<{ ok: boolean; error?: string }>(primary.control, 'verify');
    if (!answer.ok) throw new Error(`no cut was made: ${answer.error}`);
    return (await compared).differences;
  }

  read(page: string): Promise<string> {
    return this.#pages.read(page);
  }

  load(onStats: (stats: LoadStats) => void = () => undefined): LoadProcess {
    const runName = `test${process.pid}-${this.#nextLoad}`;
    this.#nextLoad += 1;
    return new LoadProcess(this.world, { runName, onStats });
  }

  /** The guest's console through a node, what was printed before included. */
  async console(node: NodeProcess): Promise<Terminal> {
    const socket = await connectControl(node.control);
    this.#sockets.push(socket);
    socket.on('error', () => undefined);
    const terminal = new Terminal((text) => socket.write(text));
    socket.on('data', (bytes: Buffer) => terminal.take(bytes));
    socket.write('{"command":"console"}\n');
    return terminal;
  }

  /** Resolves when the node is in the state, or as soon as it tells that it is. */
  async seen(node: NodeProcess, state: string): Promise<void> {
    const told = node.next(
      (event): event is WatchEvent =>
        (event.type === 'state' || event.type === 'status') && event.state === state,
      bootMs,
    );
    told.catch(() => undefined);
    await Promise.race([told, node.until(state, bootMs)]);
  }

  /** SIGSTOP to the node process alone; its QEMU processes go on. Returns how to end it. */
  async freeze(node: NodeProcess): Promise<() => Promise<void>> {
    const pid = await this.#pidOf(node);
    if (node.isRunning) await freeze(pid);
    this.#stopped.push(node);
    return async () => {
      this.#stopped.splice(this.#stopped.indexOf(node), 1);
      if (node.isRunning) thaw(pid);
    };
  }

  /** Terms that the arbiter has given so far. */
  terms(): string[] {
    const dir = path.join(this.stage.dir, 'arbiter');
    return fs.readdirSync(dir).filter((name) => name.startsWith('term-'));
  }

  /** Processes of a node's run directory that are not the node itself: QEMU, storage daemons. */
  leftOf(name: string): string[] {
    const runDir = this.stage.runDir(name);
    return processes().filter((line) => line.includes('qemu') && line.includes(`${runDir}/`));
  }

  async #pidOf(node: NodeProcess): Promise<number> {
    const pid = this.#pids.get(node) ?? (await node.status()).pid;
    this.#pids.set(node, pid);
    return pid;
  }

  /** A stopped node does not answer who it is. */
  readonly #pids = new Map<NodeProcess, number>();
}

/** Command lines of all processes that are not zombies, each with its pid in front. */
function processes(): string[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [
          `${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`,
        ];
      } catch {
        return []; // it ended meanwhile
      }
    });
}
