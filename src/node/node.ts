/**
 * A node: one process that is primary or backup of a pair, as the arbiter decides, until told to
 * stop or the guest powers off. It owns every process it starts and the run directory.
 */
import { textOfArbiter } from '../arbiter/spec.ts';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { cardSpecs } from '../egress/cards.ts';
import { endStale, livingOwned } from '../host/processes.ts';
import { loadVmConfig, type VmConfig, type VmIdentity, vmIdentity } from '../hypervisor/config.ts';
import { lockImages, type Release } from '../hypervisor/disks/image-lock.ts';
import { type Upgrade, upgradeOf } from '../hypervisor/qemu/upgrade.ts';
import { qemuVersion } from '../hypervisor/qemu/version.ts';
import type { KeepRequest, Link } from '../ports/link.ts';
import type { PreparedMachine } from '../restore/prepared.ts';
import { type Layout, layoutFor } from '../rrlog/layouts.ts';
import { dial } from '../wire/dial.ts';
import type { Identity } from '../wire/hello.ts';
import { type LinkListener, listen } from '../wire/listener.ts';
import type { LinkSecurity } from '../wire/tls.ts';
import { closeAll } from './closing.ts';
import { Concerns } from './concerns.ts';
import { ControlServer, type NodeStatus } from './control-server.ts';
import { NodeDriver, type NodeOutcome } from './driver.ts';
import { checkCopies } from './keeping/copying.ts';
import { NodeStore } from './keeping/node-store.ts';
import type { Logger } from './logger.ts';
import { GuestPort } from './machine/guest-port.ts';
import { SerialPorts } from './machine/serial-ports.ts';
import { Machines } from './machines.ts';
import { NodeLock } from './node-lock.ts';
import { OwnArbiter } from './own-arbiter.ts';
import { PacedArbiter } from './paced-arbiter.ts';
import { prepareDurableDir } from './pair-file/durable-log-place.ts';
import { loadLinkSecurity } from './pair-file/link-security.ts';
import { parseListenAddress } from './pair-file/listen-address.ts';
import { refuseForeignImages } from './pair-file/named-images.ts';
import type { PairConfig } from './pair-file/pair-config.ts';
import { PeerAttempts } from './peer-attempts.ts';
import { type Comparison, Reporter } from './report.ts';
import { claimRunDir, inspectRunDir, type RunDir, requireRoom } from './run-dir.ts';
import { SpokenTerm } from './spoken.ts';
import { Surroundings } from './surroundings.ts';

export interface NodeOptions {
  readonly config: PairConfig;
  readonly log: Logger;
  /** Boot the machine although another node holds the term: the operator knows that it is gone. */
  readonly startAnew: boolean;
  /** Which Understudy this is, for a peer that runs another one. */
  readonly program?: string;
  /** The first machine does not boot, but goes on from here. */
  readonly prepared?: PreparedMachine | undefined;
}

/** What was checked before anything is started. */
interface NodeParts {
  readonly vm: VmConfig;
  readonly machine: VmIdentity;
  readonly qemu: string;
  readonly layout: Layout;
  readonly upgrade: Upgrade | undefined;
  readonly security: LinkSecurity;
  readonly lock: NodeLock;
  readonly runDir: RunDir;
  readonly arbiter: OwnArbiter;
  readonly spoken: SpokenTerm;
  readonly releaseImages: Release;
}

export class UnderstudyNode {
  readonly reporter = new Reporter();
  /** What is wrong with it, or around it, while it lasts. */
  readonly concerns: Concerns;
  readonly #options: NodeOptions;
  readonly #identity: Omit<Identity, 'term' | 'standing' | 'arbiter'>;
  readonly #security: LinkSecurity;
  readonly #runDir: RunDir;
  readonly #releaseImages: Release;
  readonly #lock: NodeLock;
  readonly #arbiter: OwnArbiter;
  readonly #serials: SerialPorts;
  readonly #peer: PeerAttempts;
  readonly #machines: Machines;
  readonly #driver: NodeDriver;
  /** Where the pair file has snapshots. */
  readonly #store: NodeStore | undefined;
  readonly #stopping = new AbortController();
  #listener: LinkListener | undefined;
  #control: ControlServer | undefined;
  #surroundings: Surroundings | undefined;

  private constructor(options: NodeOptions, parts: NodeParts) {
    const { config, log, prepared, startAnew } = options;
    const { vm, layout, lock, runDir, arbiter, spoken, qemu, upgrade, machine, security } = parts;
    const { reporter } = this;
    this.concerns = new Concerns({ reporter, log });
    const node = config.self.name;
    this.#options = options;
    this.#security = security;
    this.#lock = lock;
    this.#runDir = runDir;
    this.#releaseImages = parts.releaseImages;
    this.#arbiter = arbiter;
    this.#identity = {
      ...{ node, pair: config.pair, qemu, logLayout: layout.qemu },
      ...(upgrade === undefined ? {} : { upgradeFrom: upgrade.older.text }),
      ...(options.program === undefined ? {} : { program: options.program }),
      ...{ vmFingerprint: machine.fingerprint, machine: machine.parts },
    };
    const { concerns } = this;
    this.#serials = new SerialPorts(vm.ports);
    this.#peer = new PeerAttempts({ concerns, dial: () => this.#dialPeer() });
    this.#store = NodeStore.ofPair({ config, runDir, concerns, reporter, log });
    const keep = this.#store && ((guest: string) => this.#takeSnapshot({ guest }));
    this.#machines = new Machines({
      ...{
        config,
        vm,
        vmFingerprint: machine.fingerprint,
        bootFiles: machine.bootFiles,
        qemuVersion: qemu,
        layout,
        upgrade,
        runDir,
      },
      ...{ store: this.#store, prepared, serials: this.#serials, concerns, reporter, log },
      ask: (wish) => this.#driver.ask(wish),
      guestPort: GuestPort.of({ serials: this.#serials, keep, log }),
    });
    this.#driver = new NodeDriver({
      core: {
        node,
        holder: arbiter.holder,
        spoken: spoken.term,
        seen: arbiter.seen,
        startAnew,
        isPrepared: prepared !== undefined,
        ack: config.ack,
        onBackupLost: config.onBackupLost,
        epochMs: config.epochMs,
        detector: config,
        cuts: {
          keepEveryMs: config.snapshots?.everyMs,
          compareEveryMs: config.compareEveryMs,
        },
        restartWaitMs: this.#machines.restartWaitMs,
      },
      ...{ spoken, machines: this.#machines, layout, peer: this.#peer },
      ...{ arbiter: new PacedArbiter(arbiter.identified), concerns, reporter, log },
      macs: vm.nics.map(({ mac }) => mac),
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
    const specs = cardSpecs(config.self.egress, vm.nics.length); // in a takeover it would be late
    const mute = specs.filter((spec) => spec === 'none').length;
    if (mute > 0) log.info({ cards: mute }, 'cards without an egress: their frames go nowhere');
    const security = loadLinkSecurity(config);
    const qemu = await qemuVersion(vm.qemu);
    const layout = layoutFor(qemu.logLayout);
    const upgrade = await upgradeOf(vm, qemu);
    inspectRunDir(config.self.runDir);
    const machine = await vmIdentity(vm);
    options.prepared?.check({
      vmFingerprint: machine.fingerprint,
      qemuVersion: qemu.text,
      diskImages: config.self.disks,
    });
    const checked = { vm, machine, qemu: qemu.text, layout, upgrade, security };
    const undo: (() => unknown)[] = [];
    try {
      const releaseImages = lockOwnImages(config, vm);
      undo.push(releaseImages);
      const taken = await UnderstudyNode.#take(options, undo);
      // A kept cut is held against a shadow of the memory.
      const memories = config.snapshots === undefined ? 1 : 2;
      requireRoom(taken.runDir.path, vm.memoryBytes * memories);
      await checkCopies(config, taken.runDir.path);
      return new UnderstudyNode(options, { ...checked, ...taken, releaseImages });
    } catch (error) {
      for (const giveBack of undo.reverse()) await giveBack();
      throw error;
    }
  }

  /** What is there for this node alone, from here on; `undo` gets how to give each back. */
  static async #take(
    { config, log, startAnew }: NodeOptions,
    undo: (() => unknown)[],
  ): Promise<Pick<NodeParts, 'lock' | 'runDir' | 'arbiter' | 'spoken'>> {
    const { pair, self, ack } = config;
    const lock = NodeLock.take({ pair, node: self.name, stateDir: self.stateDir });
    undo.push(() => lock.release());
    if (ack === 'durable') await prepareDurableDir(self.durableLogDir);
    const spoken = SpokenTerm.load(`${self.stateDir}/${pair}-${self.name}.json`);
    const hasSpoken = spoken.term > 0 || startAnew;
    const arbiter = await OwnArbiter.open({ config, hasSpoken, log });
    undo.push(() => arbiter.close());
    const runDir = claimRunDir(self.runDir);
    undo.push(() => runDir.remove());
    const stale = await endStale(runDir.pids);
    if (stale.length > 0) log.warn({ stale }, 'ended what an earlier node left running');
    runDir.clear();
    return { lock, runDir, arbiter, spoken };
  }

  /** Runs until the guest powers off or `stop` is called; everything is cleaned up then. */
  async run(): Promise<NodeOutcome> {
    let closeMs: number = limits.nodeCloseMs;
    try {
      await this.#open();
      if (this.#stopping.signal.aborted) return 'stopped';
      return await this.#driver.run();
    } catch (error) {
      // There is nothing to be written out of a machine that never ran.
      if (!this.#driver.hasServed) closeMs = limits.failedStartMs;
      throw error;
    } finally {
      await this.#close(closeMs);
    }
  }

  stop(): void {
    this.#stopping.abort();
    this.#driver.stop();
  }

  status(): NodeStatus {
    const { config } = this.#options;
    const { role, state, term, waitsFor, peer } = this.#driver;
    const isStarting = role === 'none';
    const { guestFailures } = this.#machines;
    return {
      node: config.self.name,
      pair: config.pair,
      role: isStarting ? 'starting' : role,
      state: !isStarting ? state : waitsFor === undefined ? 'starting' : 'waiting',
      ...(waitsFor === undefined ? {} : { reason: waitsFor }),
      concerns: this.concerns.present,
      ...(guestFailures === undefined ? {} : { guestFailures }),
      term,
      qemu: this.#identity.qemu,
      ...(peer === undefined ? {} : { peerQemu: peer.qemu }),
      arbiter: textOfArbiter(config.arbiter),
      pid: process.pid,
    };
  }

  get #fullIdentity(): Identity {
    const { term, standing } = this.#driver;
    return { ...this.#identity, ...this.#arbiter.said, term, standing };
  }

  async #open(): Promise<void> {
    const { config, log } = this.#options;
    const { host, port } = endpoint(config.self.listen);
    this.#listener = await listen({
      host,
      port,
      ...this.#security,
      identity: () => this.#fullIdentity,
      onLink: (link) => {
        this.#peer.met();
        this.#arbiter.met(link);
        this.#driver.linkOpened(link);
      },
      onPeerRefused: (error) => this.#peer.refused(error),
      onRefused: (error, remote) => log.warn({ remote, error: error.message }, 'refused a link'),
    });
    await this.#openControl();
    this.#store?.begin();
    this.#surroundings = new Surroundings({
      ...{ runDir: this.#runDir, images: config.self.disks, concerns: this.concerns },
      egress: {
        specs: this.#machines.cardSpecs,
        isInUse: () => this.#driver.role === 'primary',
      },
      onSocketsLost: async () => {
        this.#control?.close();
        await this.#openControl();
        this.#driver.socketsLost();
      },
    });
  }

  async #openControl(): Promise<void> {
    this.#control = await ControlServer.start({
      path: this.#runDir.control,
      status: () => this.status(),
      verify: () => this.#compare(),
      takeSnapshot: (label) => this.#takeSnapshot({ label }),
      line: (wish) => this.#driver.ask(wish),
      removeSnapshot: (id) => this.#snapshotStore.remove(id),
      collectSnapshots: () => this.#snapshotStore.collect(),
      drill: async () => {
        await this.#driver.ask({ wish: 'drill' });
      },
      stop: () => this.stop(),
      serials: this.#serials,
      reporter: this.reporter,
    });
  }

  async #compare(): Promise<Comparison> {
    const answer = await this.#driver.ask({ wish: 'compare' });
    if (answer.type !== 'compared') throw new Error(`a compare was answered by ${answer.type}`);
    return { equal: answer.equal, differences: answer.differences };
  }

  async #takeSnapshot(keep: KeepRequest): Promise<{ snapshot: string; term?: number }> {
    const answer = await this.#driver.ask({ wish: 'snapshot', ...keep });
    if (answer.type !== 'kept') throw new Error(`a snapshot was answered by ${answer.type}`);
    const { type: _, ...kept } = answer;
    return kept;
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
    const dialled = { host, port, identity, ...this.#security, signal: this.#stopping.signal };
    return this.#arbiter.hearing(() => dial(dialled));
  }

  async #close(ms: number): Promise<void> {
    const { log } = this.#options;
    const steps = [
      { what: 'the stream of events', end: () => this.reporter.end() },
      { what: 'what is looked at', end: () => this.#surroundings?.close() },
      { what: 'the control socket', end: () => this.#control?.close() },
      { what: 'the machine', end: () => this.#driver.close() },
      { what: 'copying of snapshots', end: () => this.#store?.end() },
      { what: 'the network of the machine', end: () => this.#machines.close() },
      { what: 'the link', end: () => this.#listener?.close() },
      { what: 'a process', end: () => this.#endProcesses() },
      { what: 'the run directory', end: () => this.#runDir.remove() },
      { what: 'the images', end: () => this.#releaseImages() },
      { what: 'the arbiter', end: () => this.#arbiter.close() },
      { what: 'the lock', end: () => this.#lock.release() },
    ];
    await closeAll(steps, { ms, log });
  }

  #endProcesses(): void {
    const left = livingOwned(this.#runDir.pids);
    if (left.length > 0) this.#options.log.warn({ left }, 'processes were left; ending them');
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
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
