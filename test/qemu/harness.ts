/**
 * Real machines for the tests of this folder, in two sizes.
 *
 * `Lab` holds recorders and their copies inside this process: what a pair does, without nodes and
 * links. `PairUnderTest` holds two node processes and an outside world, as the demo has them.
 * Both remove everything they made when they are closed, whatever has happened before.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import YAML from 'yaml';
import { UnderstudyError } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import { epoch, icount } from '../../src/base/units.ts';
import type { VmConfig } from '../../src/hypervisor/config.ts';
import { imageBytes, Storage } from '../../src/hypervisor/disks/storage.ts';
import { createRamFile } from '../../src/hypervisor/memory/ram.ts';
import { padNetId } from '../../src/hypervisor/qemu/command-line.ts';
import { findFirmware } from '../../src/hypervisor/qemu/firmware.ts';
import { qemuVersion } from '../../src/hypervisor/qemu/version.ts';
import type { Recorder, RecorderOptions } from '../../src/hypervisor/record/recorder.ts';
import {
  recorderLogFile,
  Successor,
  startRecorder,
} from '../../src/hypervisor/record/successor.ts';
import { Replayer } from '../../src/hypervisor/replay/replayer.ts';
import { LoadProcess } from '../../src/lab/load-process.ts';
import type { LoadStats } from '../../src/lab/load-record.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { Stage } from '../../src/lab/stage.ts';
import type { World } from '../../src/lab/world.ts';
import { askNode, connectControl, type WatchEvent } from '../../src/observe/control-client.ts';
import { RequestTracker } from '../../src/rrlog/inflight.ts';
import { headerBytes, type Layout, layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../src/rrlog/log-tail.ts';
import { startProxy, type TcpProxy } from '../wire/tcp-proxy.ts';
import { PageReader } from './page-reader.ts';

/** What scripts/guest/build makes. */
export const guestDir = fileURLToPath(new URL('../../build/guest', import.meta.url));
const diskId = 'data';

/** Deadlines: reached only when something is broken, so they are generous. */
export const bootMs = 90_000;
const answerMs = 30_000;
/** Asking is work, too, for this process and for a node that comes before its machine. */
const pollMs = 20;

/** Polls what cannot be awaited. Throws, with the last answer, when `probe` stays undefined. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  deadlineMs: number = answerMs,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (thrown) {
      last = thrown;
    }
    await sleep(pollMs);
  }
  throw new Error(`waited ${deadlineMs} ms for ${what}`, { cause: last });
}

/** Text of a serial console, and commands typed into it. */
export class Terminal {
  text = '';
  readonly #write: (text: string) => void;
  readonly #waiting = new Set<() => void>();
  #nextCommand = 1;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  take(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    for (const look of this.#waiting) look();
  }

  /** Resolves with the text up to the end of `wanted`, which comes at or behind offset `from`. */
  until(wanted: string, deadlineMs: number = answerMs, from = 0): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        const at = this.text.indexOf(wanted, from);
        if (at < 0) return;
        finish();
        resolve(this.text.slice(from, at + wanted.length));
      };
      const timer = setTimeout(() => {
        finish();
        const tail = JSON.stringify(this.text.slice(-300));
        reject(new Error(`'${wanted}' did not come in ${deadlineMs} ms; the console ends ${tail}`));
      }, deadlineMs);
      this.#waiting.add(look);
      look();
    });
  }

  /**
   * Types a line, as fast as the guest echoes it: a recording QEMU takes bytes from the console
   * faster than its serial port has room for, and what is too much is lost.
   */
  async type(line: string): Promise<void> {
    for (let at = 0; at < line.length; at += keysAtOnce) {
      const some = line.slice(at, at + keysAtOnce);
      const from = this.text.length;
      this.#write(some);
      // What something else prints meanwhile may tear the echo: then the time has to do.
      await this.until(some, echoMs, from).catch(() => undefined);
    }
    this.#write('\n');
  }

  /** Types a command and returns what was printed from then on, the command's echo included. */
  async run(command: string, deadlineMs: number = answerMs): Promise<string> {
    // The quotes keep the echo of the command from being taken for its end.
    const tag = `${this.#nextCommand}.${process.pid}`;
    this.#nextCommand += 1;
    const from = this.text.length;
    await this.type(`${command}; echo e''${tag}`);
    return this.until(`e${tag}`, deadlineMs, from);
  }
}

/** Fewer than the 16 of the serial port's buffer. */
const keysAtOnce = 8;
/** Far more than an echo takes, also beside a boot. */
const echoMs = 1_000;

/** Hands segments to whoever listens at the moment. */
class Fan {
  readonly errors: Error[] = [];
  readonly #takers = new Set<(segment: Segment) => void>();

  readonly handlers: Pick<RecorderOptions, 'onSegment' | 'onError'> = {
    onSegment: (segment) => {
      for (const take of this.#takers) take(segment);
    },
    onError: (error) => this.errors.push(error),
  };

  add(take: (segment: Segment) => void): () => void {
    this.#takers.add(take);
    return () => this.#takers.delete(take);
  }
}

/** Files and processes of hypervisor-level tests, in one directory on tmpfs. */
export class Lab {
  readonly dir: string;
  readonly vm: VmConfig;
  readonly layout: Layout;
  readonly #closers: (() => Promise<void>)[] = [];
  #nextName = 1;

  private constructor(vm: VmConfig, layout: Layout) {
    this.dir = fs.mkdtempSync('/dev/shm/understudy-qemu-test-');
    this.vm = vm;
    this.layout = layout;
  }

  static async open(): Promise<Lab> {
    const guest = JSON.parse(fs.readFileSync(`${guestDir}/guest.json`, 'utf8')) as {
      append: string;
    };
    const vm: VmConfig = {
      name: 'qemu-test',
      qemu: 'qemu-system-x86_64',
      machine: 'pc',
      firmware: await findFirmware('qemu-system-x86_64'),
      cpu: 'qemu64',
      memoryBytes: 128 << 20,
      boot: {
        kind: 'kernel',
        kernel: `${guestDir}/vmlinuz`,
        initrd: `${guestDir}/initrd.img`,
        append: guest.append,
      },
      disks: [{ id: diskId, readOnly: false }],
      nics: [{ mac: '52:54:00:11:22:33' }],
    };
    return new Lab(vm, layoutFor((await qemuVersion(vm.qemu)).logLayout));
  }

  /** Ends everything that still runs and removes all files. */
  async close(): Promise<void> {
    try {
      for (const close of this.#closers.reverse()) await close().catch(() => undefined);
    } finally {
      fs.rmSync(this.dir, { recursive: true, force: true });
    }
  }

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** A path in the lab that was not given out before. */
  fresh(what: string): string {
    const name = `${this.dir}/${what}${this.#nextName}`;
    this.#nextName += 1;
    return name;
  }

  /** A copy of the guest's disk as it was built. */
  newImage(): string {
    const image = this.fresh('image');
    execFileSync('cp', ['--sparse=always', `${guestDir}/disk.raw`, image]);
    return image;
  }

  async storage(image: string): Promise<Storage> {
    const storage = await Storage.start({
      disks: [{ id: diskId, path: image, readOnly: false }],
      dir: this.fresh('storage'),
      pidDir: this.dir,
    });
    this.onClose(() => storage.stop());
    return storage;
  }

  common(storage: Storage, ramFile: string, what: string) {
    const dir = this.fresh(what);
    return {
      instance: {
        vm: this.vm,
        dir,
        pidDir: this.dir,
        name: path.basename(dir),
        ramFile,
        nbdSocket: storage.nbdSocket,
      },
      layout: this.layout,
      diskIds: [diskId],
    };
  }

  /** Switches a machine on. `onSegment` sees its log from the first event. */
  async powerOn(onSegment: (segment: Segment) => void = () => undefined): Promise<Machine> {
    const image = this.newImage();
    const ramFile = this.fresh('ram');
    createRamFile(ramFile, this.vm.memoryBytes);
    const storage = await this.storage(image);
    const fan = new Fan();
    fan.add(onSegment);
    const common = this.common(storage, ramFile, 'recorder');
    const logFile = recorderLogFile(common.instance.dir);
    const recorder = await startRecorder({ ...common, ...fan.handlers });
    return new Machine(this, { recorder, storage, image, ramFile, logFile, fan });
  }

  /** A machine whose services answer. */
  async boot(): Promise<Machine> {
    const machine = await this.powerOn();
    await machine.console.until('understudy-guest ready', bootMs);
    await machine.console.until('guest# ');
    return machine;
  }

  /**
   * A replayer that begins where a machine is switched on. `first`: events that QEMU needs before
   * it connects to anything.
   */
  async replayFromPowerOn(first: Buffer): Promise<{ replayer: Replayer; ramFile: string }> {
    const storage = await this.storage(this.newImage());
    const ramFile = this.fresh('ram');
    createRamFile(ramFile, this.vm.memoryBytes);
    const common = this.common(storage, ramFile, 'replayer');
    const errors: Error[] = [];
    const replayer = await Replayer.start({
      ...common,
      instance: { ...common.instance, incoming: false },
      onError: (error) => errors.push(error),
      first,
    });
    this.onClose(() => replayer.destroy());
    return { replayer, ramFile };
  }
}

interface Parts {
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly image: string;
  readonly ramFile: string;
  readonly logFile: string;
  readonly fan: Fan;
}

/** A live, recorded machine. */
export class Machine {
  readonly recorder: Recorder;
  readonly console: Terminal;
  readonly ramFile: string;
  readonly logFile: string;
  readonly #lab: Lab;
  readonly #parts: Parts;
  readonly #markers: NodeJS.Timeout;
  #nextEpoch = 1;
  #killed = false;

  constructor(lab: Lab, parts: Parts) {
    this.#lab = lab;
    this.#parts = parts;
    this.recorder = parts.recorder;
    this.ramFile = parts.ramFile;
    this.logFile = parts.logFile;
    const { instance } = parts.recorder;
    for (const nic of instance.nics) nic.on('data', () => undefined);
    this.console = new Terminal((text) => instance.console.write(text));
    instance.console.on('data', (bytes: Buffer) => this.console.take(bytes));
    this.#markers = setInterval(() => {
      this.recorder.sendMarker(epoch(this.#nextEpoch));
      this.#nextEpoch += 1;
    }, limits.epochMs);
    lab.onClose(() => this.kill());
  }

  get errors(): readonly Error[] {
    return this.#parts.fan.errors;
  }

  onSegment(take: (segment: Segment) => void): () => void {
    return this.#parts.fan.add(take);
  }

  /** The background disk work of `work directio`. */
  async diskWork(): Promise<{ blocks: number; checked: number; errors: number }> {
    const said = await this.console.run('cat /run/directio');
    const figure = (name: string): number => {
      const found = new RegExp(`^${name} (\\d+)`, 'm').exec(said)?.[1];
      if (found === undefined) throw new Error(`no ${name} in ${JSON.stringify(said)}`);
      return Number(found);
    };
    return { blocks: figure('blocks'), checked: figure('checked'), errors: figure('errors') };
  }

  /** Makes a cut and copies RAM and disk as they are there. */
  async copyTo(image: string, ramFile: string): Promise<Awaited<ReturnType<Recorder['cut']>>> {
    const { recorder, storage } = this.#parts;
    const node = await storage.prepareCopy(diskId, image, imageBytes(this.#parts.image));
    try {
      const cut = await recorder.cut(() => {
        fs.copyFileSync(this.ramFile, ramFile);
        return storage.startCopies([{ id: diskId, node }]);
      });
      await storage.hurryCopies([{ node }]);
      await cut.validated;
      await cut.done.done;
      return cut;
    } finally {
      if (!this.#killed) await storage.discardCopy(node);
    }
  }

  /** A copy that executes this machine's log, from a cut made now; it follows until told not to. */
  async seed({ follow = true }: { readonly follow?: boolean } = {}): Promise<Copy> {
    const lab = this.#lab;
    const image = lab.fresh('image');
    const ramFile = lab.fresh('ram');
    const held: Segment[] = [];
    const stopHolding = this.onSegment((segment) => held.push(segment));
    try {
      const cut = await this.copyTo(image, ramFile);
      const copy = await Copy.start(lab, { image, ramFile, cut });
      if (follow) {
        for (const segment of held) if (segment.from >= cut.position) copy.take(segment);
        copy.stopFollowing = this.onSegment((segment) => copy.take(segment));
      }
      await copy.replayer.load(cut.deviceState);
      return copy;
    } finally {
      stopHolding();
    }
  }

  /** SIGKILL to QEMU; what it had written by then has arrived, as on a link that is fast. */
  async kill(): Promise<void> {
    if (this.#killed) return;
    this.#killed = true;
    clearInterval(this.#markers);
    const { recorder, storage, image, ramFile, logFile } = this.#parts;
    await recorder.instance.process.kill('SIGKILL');
    recorder.poll();
    recorder.close();
    await recorder.instance.destroy();
    await storage.stop();
    for (const file of [image, ramFile, logFile]) fs.rmSync(file, { force: true });
  }
}

interface CopyParts {
  readonly image: string;
  readonly ramFile: string;
  readonly cut: Awaited<ReturnType<Recorder['cut']>>;
}

/** A copy of a machine: a replayer that is fed, and a successor that waits. */
export class Copy {
  readonly replayer: Replayer;
  readonly ramFile: string;
  readonly tail: LogTail;
  readonly requests: RequestTracker;
  readonly errors: Error[];
  readonly cut: CopyParts['cut'];
  stopFollowing: () => void = () => undefined;
  readonly #lab: Lab;
  readonly #image: string;
  readonly #storage: Storage;
  readonly #successor: Successor;
  readonly #logFile: string;
  #end = Number.POSITIVE_INFINITY;

  private constructor(
    lab: Lab,
    { image, ramFile, cut }: CopyParts,
    parts: {
      readonly storage: Storage;
      readonly replayer: Replayer;
      readonly successor: Successor;
      readonly logFile: string;
      readonly errors: Error[];
    },
  ) {
    this.#lab = lab;
    this.#image = image;
    this.#storage = parts.storage;
    this.#successor = parts.successor;
    this.#logFile = parts.logFile;
    this.ramFile = ramFile;
    this.replayer = parts.replayer;
    this.errors = parts.errors;
    this.cut = cut;
    this.requests = new RequestTracker(cut.replay.blockRequestId);
    this.tail = this.newTail('stripped', this.requests);
  }

  static async start(lab: Lab, parts: CopyParts): Promise<Copy> {
    const storage = await lab.storage(parts.image);
    const errors: Error[] = [];
    const options = lab.common(storage, parts.ramFile, 'replayer');
    const replayer = await Replayer.start({
      ...options,
      instance: { ...options.instance, incoming: true },
      onError: (error) => errors.push(error),
    });
    lab.onClose(() => replayer.destroy());
    const heir = lab.common(storage, parts.ramFile, 'successor');
    const logFile = recorderLogFile(heir.instance.dir);
    const successor = await Successor.start(heir);
    lab.onClose(() => successor.destroy());
    return new Copy(lab, parts, { storage, replayer, successor, logFile, errors });
  }

  /** A tail that begins at this copy's cut. */
  newTail(input: 'raw' | 'stripped', requests: RequestTracker): LogTail {
    return new LogTail({
      layout: this.#lab.layout,
      input,
      expectHeader: false,
      start: { position: this.cut.position, icount: icount(this.cut.replay.icount) },
      markerNetId: padNetId,
      requests,
    });
  }

  /** Takes no log behind this position, which must be that of a cut. */
  endAt(position: number): void {
    this.#end = position;
  }

  take(segment: Segment): void {
    if (segment.from >= this.#end) return;
    this.tail.pushSegment(segment);
    this.replayer.feed(segment.bytes);
  }

  /** Waits until all that has been received by now is executed. Throws `stall` like a node. */
  async catchUp(): Promise<void> {
    const wanted = this.tail.icount;
    let seen = -1;
    let movedAt = performance.now();
    for (;;) {
      const now = await this.replayer.queryIcount(limits.stallMs).catch(() => seen);
      if (now >= wanted) return;
      if (now > seen) movedAt = performance.now();
      seen = now;
      if (performance.now() - movedAt > limits.stallMs) {
        const found = await this.replayer.diagnose();
        throw new UnderstudyError('stall', `stands at ${now}, log goes to ${wanted}: ${found}`);
      }
      await sleep(10);
    }
  }

  /** Executes all that was received, proves it, and goes on as the machine. */
  async takeOver(
    end: number = this.tail.icount,
    requests: RequestTracker = this.requests,
  ): Promise<{ machine: Machine; completions: number }> {
    this.stopFollowing();
    const halted = await this.replayer.halt(end, () => requests.uncompleted());
    const fan = new Fan();
    const recorder = await this.#successor.takeOver(halted.deviceState, end, fan.handlers);
    const machine = new Machine(this.#lab, {
      recorder,
      fan,
      storage: this.#storage,
      image: this.#image,
      ramFile: this.ramFile,
      logFile: this.#logFile,
    });
    await this.replayer.destroy();
    return { machine, completions: halted.completions };
  }

  async discard(): Promise<void> {
    this.stopFollowing();
    await Promise.all([this.replayer.destroy(), this.#successor.destroy()]);
    await this.#storage.stop();
    for (const file of [this.#image, this.ramFile]) fs.rmSync(file, { force: true });
  }
}

/** The first position of an event in a recorder's own log. */
export const logStart = headerBytes;

/** What tests change in a pair file. */
export interface PairFile {
  silenceMs?: number;
  seedBandwidth?: string;
  spoolBudget?: string;
  ack?: 'received' | 'durable';
  snapshots?: {
    store: string;
    every?: string;
    restart?: string;
    keep?: Record<string, number | string>;
  };
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
      const stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs });
      return new PairUnderTest(world, stage);
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Ends both nodes and the world and removes their files. */
  async close(): Promise<void> {
    for (const node of this.#stopped) await this.#signal(node, 'SIGCONT').catch(() => undefined);
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

  start(name: string): NodeProcess {
    const node = this.stage.start(name);
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

  /** Starts the first node and waits until its guest answers. */
  async boot(): Promise<NodeProcess> {
    const node = this.start('a');
    await waitFor('the guest', () => this.read('/read'), bootMs);
    return node;
  }

  /** Both nodes, the guest protected. */
  async protect(): Promise<{ a: NodeProcess; b: NodeProcess }> {
    const a = await this.boot();
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
    await this.#signal(node, 'SIGSTOP');
    this.#stopped.push(node);
    return async () => {
      this.#stopped.splice(this.#stopped.indexOf(node), 1);
      await this.#signal(node, 'SIGCONT');
    };
  }

  /** Terms that the arbiter has given so far. */
  terms(): string[] {
    const dir = path.join(this.stage.dir, 'arbiter');
    return fs.readdirSync(dir).filter((name) => !name.startsWith('.'));
  }

  /** Processes of a node's run directory that are not the node itself: QEMU, storage daemons. */
  leftOf(name: string): string[] {
    const runDir = this.stage.runDir(name);
    return processes().filter((line) => line.includes('qemu') && line.includes(`${runDir}/`));
  }

  async #signal(node: NodeProcess, signal: NodeJS.Signals): Promise<void> {
    const pid = this.#pids.get(node) ?? (await node.status()).pid;
    this.#pids.set(node, pid);
    if (node.isRunning) process.kill(pid, signal);
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
