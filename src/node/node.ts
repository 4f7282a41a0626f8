/**
 * A node: one process that is primary or backup of a pair, as the arbiter decides, until told to
 * stop or the guest powers off. It owns every process it starts and the run directory.
 */
import { randomBytes } from 'node:crypto';
import { type OpenedArbiter, openArbiter } from '../arbiter/open.ts';
import { UnderstudyError } from '../base/errors.ts';
import { cardSpecs } from '../egress/cards.ts';
import { endStale, livingOwned } from '../host/processes.ts';
import { loadVmConfig, type VmConfig, vmFingerprint } from '../hypervisor/config.ts';
import { lockImages, type Release } from '../hypervisor/disks/image-lock.ts';
import { qemuVersion } from '../hypervisor/qemu/version.ts';
import type { Link } from '../ports/link.ts';
import type { PreparedMachine } from '../restore/prepared.ts';
import { type Layout, layoutFor } from '../rrlog/layouts.ts';
import { dial } from '../wire/dial.ts';
import type { Identity } from '../wire/hello.ts';
import { type LinkListener, listen } from '../wire/listener.ts';
import type { LinkSecurity } from '../wire/tls.ts';
import { Concerns } from './concerns.ts';
import { ControlServer, type NodeStatus } from './control-server.ts';
import { NodeDriver, type NodeOutcome } from './driver.ts';
import { NodeStore } from './keeping/node-store.ts';
import type { Logger } from './logger.ts';
import { ConsoleHub } from './machine/console-hub.ts';
import { Machines } from './machines.ts';
import { prepareDurableDir } from './pair-file/durable-log-place.ts';
import { loadLinkSecurity } from './pair-file/link-security.ts';
import { parseListenAddress } from './pair-file/listen-address.ts';
import { refuseForeignImages } from './pair-file/named-images.ts';
import type { PairConfig } from './pair-file/pair-config.ts';
import { type Comparison, Reporter } from './report.ts';
import { claimRunDir, type RunDir, requireRoom } from './run-dir.ts';
import { SpokenTerm } from './spoken.ts';

export interface NodeOptions {
  readonly config: PairConfig;
  readonly log: Logger;
  /** Boot the machine although another node holds the term: the operator knows that it is gone. */
  readonly startAnew: boolean;
  /** The first machine does not boot, but goes on from here. */
  readonly prepared?: PreparedMachine | undefined;
}

/** What was checked before anything is started. */
interface NodeParts {
  readonly vm: VmConfig;
  readonly fingerprint: string;
  readonly qemu: string;
  readonly layout: Layout;
  readonly security: LinkSecurity;
  readonly runDir: RunDir;
  readonly arbiter: OpenedArbiter;
  readonly spoken: SpokenTerm;
  readonly releaseImages: Release;
}

export class UnderstudyNode {
  readonly reporter = new Reporter();
  readonly #concerns: Concerns;
  readonly #options: NodeOptions;
  readonly #identity: Omit<Identity, 'term' | 'standing'>;
  readonly #security: LinkSecurity;
  readonly #runDir: RunDir;
  readonly #releaseImages: Release;
  readonly #arbiter: OpenedArbiter;
  readonly #console = new ConsoleHub();
  readonly #machines: Machines;
  readonly #driver: NodeDriver;
  /** Where the pair file has snapshots. */
  readonly #store: NodeStore | undefined;
  readonly #stopping = new AbortController();
  #listener: LinkListener | undefined;
  #control: ControlServer | undefined;

  private constructor(options: NodeOptions, parts: NodeParts) {
    const { config, log, prepared, startAnew } = options;
    const { vm, layout, runDir, arbiter, spoken, qemu, fingerprint, security } = parts;
    const { reporter } = this;
    this.#concerns = new Concerns({ reporter, log });
    const node = config.self.name;
    this.#options = options;
    this.#security = security;
    this.#runDir = runDir;
    this.#releaseImages = parts.releaseImages;
    this.#arbiter = arbiter;
    this.#identity = {
      ...{ node, pair: config.pair, qemu, logLayout: layout.qemu, vmFingerprint: fingerprint },
    };
    this.#store = this.#storeOf(options);
    this.#machines = new Machines({
      ...{ config, vm, vmFingerprint: fingerprint, qemuVersion: qemu, layout, runDir },
      ...{ store: this.#store, prepared, console: this.#console, reporter, log },
      concerns: this.#concerns,
    });
    this.#driver = new NodeDriver({
      core: {
        node,
        holder: `${node}:${randomBytes(6).toString('hex')}`,
        spoken: spoken.term,
        startAnew,
        isPrepared: prepared !== undefined,
        ack: config.ack,
        onBackupLost: config.onBackupLost,
        epochMs: config.epochMs,
        detector: config,
        snapshotEveryMs: config.snapshots?.everyMs,
        restartWaitMs: this.#machines.restartWaitMs,
      },
      ...{ arbiter, spoken, machines: this.#machines, layout },
      ...{ concerns: this.#concerns, reporter, log },
      macs: vm.nics.map(({ mac }) => mac),
      dialPeer: () => this.#dialPeer(),
    });
  }

  /** Checks everything that can be checked before anything is started. */
  static async create(options: NodeOptions): Promise<UnderstudyNode> {
    const { config, log } = options;
    const vm = await loadVmConfig(config.vmFile);
    for (const { id } of vm.disks) {
      if (config.self.disks[id] === undefined) {
        throw new UnderstudyError('config', `Node '${config.self.name}' has no image for '${id}'`, {
          hint: `add it under nodes.${config.self.name}.disks in the pair file`,
        });
      }
    }
    // What was prepared wrote its own images, and its guest may have written anything to them.
    if (options.prepared === undefined) refuseForeignImages(config.self);
    const releaseImages = lockOwnImages(config, vm);
    const specs = cardSpecs(config.self.egress, vm.nics.length); // in a takeover it would be late
    const mute = specs.filter((spec) => spec === 'none').length;
    if (mute > 0) log.info({ cards: mute }, 'cards without an egress: their frames go nowhere');
    if (config.ack === 'durable') await prepareDurableDir(config.self.durableLogDir);
    const security = loadLinkSecurity(config);
    const qemu = await qemuVersion(vm.qemu);
    const layout = layoutFor(qemu.logLayout);
    const runDir = claimRunDir(config.self.runDir);
    const stale = await endStale(runDir.pids);
    if (stale.length > 0) log.warn({ stale }, 'ended what an earlier node left running');
    runDir.clear();
    // A kept cut is held against a shadow of the memory.
    requireRoom(runDir.path, vm.memoryBytes * (config.snapshots === undefined ? 1 : 2));
    const arbiter = await openArbiter(config.arbiter, {
      pair: config.pair,
      auth: config.arbiterAuth,
    });
    const spoken = SpokenTerm.load(
      `${config.self.stateDir}/${config.pair}-${config.self.name}.json`,
    );
    const fingerprint = await vmFingerprint(vm);
    options.prepared?.check({
      vmFingerprint: fingerprint,
      qemuVersion: qemu.text,
      diskImages: config.self.disks,
    });
    return new UnderstudyNode(options, {
      vm,
      fingerprint,
      qemu: qemu.text,
      layout,
      security,
      runDir,
      arbiter,
      spoken,
      releaseImages,
    });
  }

  /** Runs until the guest powers off or `stop` is called; everything is cleaned up then. */
  async run(): Promise<NodeOutcome> {
    try {
      await this.#open();
      if (this.#stopping.signal.aborted) return 'stopped';
      return await this.#driver.run();
    } finally {
      await this.#close();
    }
  }

  stop(): void {
    this.#stopping.abort();
    this.#driver.stop();
  }

  status(): NodeStatus {
    const { config } = this.#options;
    const { role, state, term, waitsFor } = this.#driver;
    const isStarting = role === 'none';
    return {
      node: config.self.name,
      pair: config.pair,
      role: isStarting ? 'starting' : role,
      state: !isStarting ? state : waitsFor === undefined ? 'starting' : 'waiting',
      ...(waitsFor === undefined ? {} : { reason: waitsFor }),
      concerns: this.#concerns.present,
      term,
      pid: process.pid,
    };
  }

  get #fullIdentity(): Identity {
    const { term, standing } = this.#driver;
    return { ...this.#identity, term, standing };
  }

  async #open(): Promise<void> {
    const { config, log } = this.#options;
    const { host, port } = endpoint(config.self.listen);
    this.#listener = await listen({
      host,
      port,
      ...this.#security,
      identity: () => this.#fullIdentity,
      onLink: (link) => this.#driver.linkOpened(link),
      onRefused: (error, remote) => log.warn({ remote, error: error.message }, 'refused a link'),
    });
    this.#control = await ControlServer.start({
      path: this.#runDir.control,
      status: () => this.status(),
      verify: () => this.#compare(),
      takeSnapshot: (label) => this.#takeSnapshot(label),
      removeSnapshot: (id) => this.#snapshotStore.remove(id),
      collectSnapshots: () => this.#snapshotStore.collect(),
      drill: async () => {
        await this.#driver.ask({ wish: 'drill' });
      },
      stop: () => this.stop(),
      console: this.#console,
      reporter: this.reporter,
    });
  }

  async #compare(): Promise<Comparison> {
    const answer = await this.#driver.ask({ wish: 'compare' });
    if (answer.type !== 'compared') throw new Error(`a compare was answered by ${answer.type}`);
    return { equal: answer.equal, differences: answer.differences };
  }

  async #takeSnapshot(label?: string): Promise<string> {
    const answer = await this.#driver.ask({ wish: 'snapshot', label });
    if (answer.type !== 'kept') throw new Error(`a snapshot was answered by ${answer.type}`);
    return answer.snapshot;
  }

  #storeOf({ config, log }: NodeOptions): NodeStore | undefined {
    const { snapshots, pair, self } = config;
    if (snapshots === undefined) return undefined;
    const node = { pair, name: self.name, control: this.#runDir.control };
    return new NodeStore({ directory: snapshots.store, keep: snapshots.keep, node, log });
  }

  /** Throws `store` without one. */
  get #snapshotStore(): NodeStore {
    if (this.#store !== undefined) return this.#store;
    throw new UnderstudyError(
      'store',
      `Node '${this.#options.config.self.name}' keeps no snapshots: its pair file has none`,
    );
  }

  #dialPeer(): Promise<Link> {
    const { host, port } = endpoint(this.#options.config.peer.listen);
    const identity = this.#fullIdentity;
    return dial({ host, port, identity, ...this.#security, signal: this.#stopping.signal });
  }

  async #close(): Promise<void> {
    this.reporter.end();
    this.#control?.close();
    await this.#driver.close();
    await this.#machines.close();
    await this.#listener?.close();
    const left = livingOwned(this.#runDir.pids);
    if (left.length > 0) this.#options.log.warn({ left }, 'processes were left; ending them');
    await endStale(this.#runDir.pids);
    this.#runDir.remove();
    this.#releaseImages();
    await this.#arbiter.close();
  }
}

/** Images of this node, for as long as it lives: also those that no daemon has open yet. */
function lockOwnImages({ self }: PairConfig, { disks }: VmConfig): Release {
  return lockImages(
    disks.map(({ id, readOnly }) => {
      return { path: self.disks[id] ?? '', use: readOnly ? 'read' : 'write' };
    }),
  );
}

function endpoint(url: string): { host: string; port: number } {
  const address = parseListenAddress(url);
  if (address === undefined) throw new Error(`'${url}' passed the check of the pair file`);
  return address;
}
