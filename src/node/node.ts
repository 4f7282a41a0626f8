/**
 * A node: one process that is primary or backup of a pair, as the arbiter decides, until told to
 * stop or the guest powers off. It owns every process it starts and the run directory.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenedArbiter, openArbiter } from '../arbiter/open.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import { CardEgresses, cardSpecs } from '../egress/cards.ts';
import { endStale, livingOwned } from '../host/processes.ts';
import { loadVmConfig, type VmConfig, vmFingerprint } from '../hypervisor/config.ts';
import { refuseMarked } from '../hypervisor/disks/image-marker.ts';
import { Storage } from '../hypervisor/disks/storage.ts';
import { createRamFile } from '../hypervisor/memory/ram.ts';
import { copySparse } from '../hypervisor/memory/sparse-copy.ts';
import { qemuVersion } from '../hypervisor/qemu/version.ts';
import type { Recorder, RecorderOptions } from '../hypervisor/record/recorder.ts';
import { Successor, startRecorder } from '../hypervisor/record/successor.ts';
import { writeVmFile } from '../hypervisor/vm-file/write.ts';
import type { Link, Standing } from '../ports/link.ts';
import type { PreparedMachine } from '../restore/prepared.ts';
import { type Layout, layoutFor } from '../rrlog/layouts.ts';
import { dial } from '../wire/dial.ts';
import type { Identity } from '../wire/hello.ts';
import { type LinkListener, listen } from '../wire/listener.ts';
import type { LinkSecurity } from '../wire/tls.ts';
import { type BackupOutcome, BackupRole, type BackupRoleOptions } from './backup-role.ts';
import { Terms } from './claims.ts';
import { ControlServer, type NodeStatus } from './control-server.ts';
import { findPlace, nothing, type Place } from './find-place.ts';
import { SnapshotKeeper } from './keeping/keeper.ts';
import { NodeStore } from './keeping/node-store.ts';
import type { Logger } from './logger.ts';
import { ConsoleHub } from './machine/console-hub.ts';
import { durableLogPath, loggedTerm, prepareDurableDir } from './pair-file/durable-log-place.ts';
import { loadLinkSecurity } from './pair-file/link-security.ts';
import { parseListenAddress } from './pair-file/listen-address.ts';
import type { PairConfig } from './pair-file/pair-config.ts';
import { type PrimaryOutcome, PrimaryRole } from './primary-role.ts';
import { Reporter } from './report.ts';
import { Restarter } from './restarter.ts';
import { claimRunDir, type RunDir, requireRoom } from './run-dir.ts';
import { Bandwidth } from './seeding/bandwidth.ts';
import { SeedRemains } from './seeding/remains.ts';
import { SpokenTerm } from './spoken.ts';

export interface NodeOptions {
  readonly config: PairConfig;
  readonly log: Logger;
  /** Boot the machine although another node holds the term: the operator knows that it is gone. */
  readonly startAnew: boolean;
  /** The first machine does not boot, but goes on from here. */
  readonly prepared?: PreparedMachine | undefined;
}

export type NodeOutcome = 'poweredOff' | 'stopped';

const notPrimary = 'this node is not primary';

/** A machine that runs here, however it came to. */
interface Machine {
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
}

export class UnderstudyNode {
  readonly reporter = new Reporter();
  readonly #options: NodeOptions;
  readonly #vm: VmConfig;
  readonly #layout: Layout;
  readonly #identity: Omit<Identity, 'term' | 'standing'>;
  readonly #security: LinkSecurity;
  readonly #runDir: RunDir;
  readonly #arbiter: OpenedArbiter;
  readonly #terms: Terms;
  readonly #spoken: SpokenTerm;
  readonly #console = new ConsoleHub();
  readonly #bandwidth: Bandwidth;
  readonly #remains = new SeedRemains();
  readonly #restarter: Restarter;
  /** Where the pair file has snapshots. */
  readonly #store: NodeStore | undefined;
  readonly #stopping = new AbortController();
  #listener: LinkListener | undefined;
  #control: ControlServer | undefined;
  #role: PrimaryRole | BackupRole | undefined;
  #term: Term = toTerm(0);
  #egress: CardEgresses | undefined;
  #nextMachine = 1;
  /** A term is being claimed, or was won, and no role stands for it yet: the peer must not claim. */
  #isComing = false;
  /** What a node without a machine waits for. */
  #waitsFor: string | undefined;
  /** The operator's word holds for the first machine only. */
  #startAnew: boolean;
  /** So does a prepared one. */
  #prepared: PreparedMachine | undefined;

  private constructor(
    options: NodeOptions,
    parts: {
      vm: VmConfig;
      fingerprint: string;
      qemu: string;
      layout: Layout;
      security: LinkSecurity;
      runDir: RunDir;
      arbiter: OpenedArbiter;
      terms: Terms;
      spoken: SpokenTerm;
    },
  ) {
    this.#options = options;
    this.#vm = parts.vm;
    this.#layout = parts.layout;
    this.#security = parts.security;
    this.#runDir = parts.runDir;
    this.#arbiter = parts.arbiter;
    this.#terms = parts.terms;
    this.#spoken = parts.spoken;
    this.#startAnew = options.startAnew;
    this.#prepared = options.prepared;
    this.#bandwidth = new Bandwidth({
      bytesPerSecond: options.config.seedBandwidth,
      burstBytes: limits.seedBurstBytes,
    });
    this.#identity = {
      node: options.config.self.name,
      pair: options.config.pair,
      qemu: parts.qemu,
      logLayout: parts.layout.qemu,
      vmFingerprint: parts.fingerprint,
    };
    this.#restarter = new Restarter({
      config: options.config,
      vmFingerprint: parts.fingerprint,
      qemuVersion: parts.qemu,
      runDir: parts.runDir.path,
      pidDir: parts.runDir.pids,
      reporter: this.reporter,
      log: options.log,
    });
    this.#store = this.#storeOf(options);
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
    const terms = new Terms(arbiter, config.self.name, randomBytes(6).toString('hex'));
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
      terms,
      spoken,
    });
  }

  /** Runs until the guest powers off or `stop` is called; everything is cleaned up then. */
  async run(): Promise<NodeOutcome> {
    try {
      await this.#open();
      return await this.#live();
    } finally {
      await this.#close();
    }
  }

  stop(): void {
    this.#stopping.abort();
    void this.#role?.stop();
  }

  status(): NodeStatus {
    const { config } = this.#options;
    const waitsFor = this.#waitsFor;
    return {
      node: config.self.name,
      pair: config.pair,
      role: this.#role === undefined ? 'starting' : roleName(this.#role),
      state: this.#role?.state ?? (waitsFor === undefined ? 'starting' : 'waiting'),
      ...(waitsFor === undefined ? {} : { reason: waitsFor }),
      term: this.#currentTerm,
      pid: process.pid,
    };
  }

  /** A primary that lost its backup goes on in a newer term than it began with. */
  get #currentTerm(): Term {
    return this.#role instanceof PrimaryRole ? this.#role.term : this.#term;
  }

  get #fullIdentity(): Identity {
    return { ...this.#identity, term: this.#currentTerm, standing: this.#standing };
  }

  get #standing(): Standing {
    const role = this.#role;
    const spoken = this.#spoken.term;
    const logged = loggedTerm(this.#options.config);
    if (role instanceof PrimaryRole) return { role: 'primary', isGranted: false, spoken, logged };
    if (role === undefined) return { ...nothing, isGranted: this.#isComing, spoken, logged };
    return { role: 'backup', isGranted: role.isGranted, spoken, logged };
  }

  async #open(): Promise<void> {
    const { config, log } = this.#options;
    const { host, port } = endpoint(config.self.listen);
    this.#listener = await listen({
      host,
      port,
      ...this.#security,
      identity: () => this.#fullIdentity,
      onLink: (link) => this.#takeLink(link),
      onRefused: (error, remote) => log.warn({ remote, error: error.message }, 'refused a link'),
    });
    this.#control = await ControlServer.start({
      path: this.#runDir.control,
      status: () => this.status(),
      verify: () => {
        if (this.#role instanceof PrimaryRole) return this.#role.verify();
        return Promise.reject(new UnderstudyError('cut', 'This node is not primary'));
      },
      takeSnapshot: async (label) => {
        if (this.#role !== undefined) return await this.#role.takeSnapshot(label);
        throw new UnderstudyError('cut', `${this.#called} has no primary to ask for a snapshot`);
      },
      removeSnapshot: (id) => this.#snapshotStore.remove(id),
      collectSnapshots: () => this.#snapshotStore.collect(),
      drill: () => {
        if (this.#role instanceof PrimaryRole) this.#role.drill();
        else throw new UnderstudyError('takeover', 'This node is not primary');
      },
      stop: () => this.stop(),
      console: this.#console,
      reporter: this.reporter,
    });
  }

  get #called(): string {
    return `Node '${this.#options.config.self.name}'`;
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
      `${this.#called} keeps no snapshots: its pair file has none`,
    );
  }

  #takeLink(link: Link): void {
    if (this.#role instanceof PrimaryRole) this.#role.backupConnected(link);
    else link.close(notPrimary);
  }

  /** Alternates between the roles. */
  async #live(): Promise<NodeOutcome> {
    let machine: Machine | undefined;
    while (!this.#isStopping) {
      if (machine !== undefined) {
        const outcome = await this.#serve(machine);
        if (outcome === 'stopped' || outcome === 'poweredOff') return outcome;
        machine = undefined;
        continue;
      }
      const place = await this.#findPlace();
      if (place?.type === 'boot') {
        // Known after a loss of power, before the machine speaks in it.
        await this.#remember(place.term);
        this.#term = place.term;
        this.#startAnew = false;
        machine = await this.#boot();
      }
      if (place?.type !== 'join') continue;
      if (this.#prepared !== undefined) {
        place.link.close('it was to go on from a snapshot');
        throw new UnderstudyError('config', 'The pair has a primary: no other can be started', {
          hint: 'stop both nodes first, or restore the snapshot as a pair of another name',
        });
      }
      const outcome = await this.#protect(place.link);
      if (outcome.kind === 'stopped' || outcome.kind === 'poweredOff') return outcome.kind;
      if (outcome.kind === 'tookOver') machine = outcome.machine;
      else await this.#pause(limits.dialRetryMs);
    }
    return 'stopped';
  }

  /** Where this node belongs now; `undefined` when it is to stop. Throws `arbiter`. */
  #findPlace(): Promise<Place | undefined> {
    const { config, log } = this.#options;
    return findPlace({
      node: config.self.name,
      terms: this.#terms,
      spoken: this.#spoken.term,
      startAnew: this.#startAnew,
      logged: () => loggedTerm(config),
      restartWaitMs: config.ack === 'durable' ? this.#restarter.waitMs : 0,
      dialPeer: () => this.#dialPeer().catch(() => undefined),
      canRestart: async (term) => (await this.#restarter.find(term)) !== undefined,
      checkImages: () => refuseMarked(Object.values(this.#diskImages)),
      onClaiming: (isClaiming) => {
        this.#isComing = isClaiming;
      },
      onWaiting: (reason) => {
        this.#waitsFor = reason;
        if (reason === undefined) return;
        log.info({ reason }, 'waiting');
        this.reporter.report({ type: 'state', state: 'waiting', detail: reason });
      },
      pause: (ms) => this.#pause(ms),
      isStopping: () => this.#isStopping,
    });
  }

  /** Nobody may speak in a term before it is remembered; so this is tried until it works. */
  async #remember(term: Term): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#spoken.save(term);
        return;
      } catch (thrown) {
        const error = asError(thrown).message;
        this.#options.log.error({ term, error }, 'the term cannot be remembered; trying again');
        await this.#pause(limits.rememberRetryMs);
      }
    }
  }

  async #boot(): Promise<Machine> {
    const vm = this.#vm;
    const dir = this.#nextDir();
    const { pids } = this.#runDir;
    const ramFile = `${dir}.ram`;
    const restart =
      this.#prepared === undefined
        ? await this.#restarter.prepare(toTerm(this.#term - 1))
        : undefined;
    const prepared = this.#prepared ?? restart?.machine;
    this.#prepared = undefined;
    if (prepared === undefined) createRamFile(ramFile, vm.memoryBytes);
    else await copySparse(prepared.ramFile, ramFile);
    const storage = await Storage.start({
      disks: vm.disks.map((disk) => ({ ...disk, path: this.#diskImages[disk.id] ?? '' })),
      dir: `${dir}/storage`,
      pidDir: pids,
    });
    const options = {
      instance: {
        vm,
        dir: `${dir}/recorder`,
        pidDir: pids,
        name: 'recorder',
        ramFile,
        nbdSocket: storage.nbdSocket,
      },
      layout: this.#layout,
      diskIds: vm.disks.map(({ id }) => id),
    };
    const handlers = this.#recorderHandlers;
    if (prepared === undefined) {
      const recorder = await startRecorder({ ...options, ...handlers });
      return { recorder, storage, ramFile };
    }
    const successor = await Successor.start(options);
    const deviceState = await prepared.claim();
    const recorder = await successor.takeOver(deviceState, prepared.facts.icount, handlers);
    if (restart !== undefined) await this.#restarter.wentOn(restart);
    return { recorder, storage, ramFile };
  }

  get #recorderHandlers(): Pick<RecorderOptions, 'onSegment' | 'onError'> {
    return {
      onSegment: (segment) => {
        if (this.#role instanceof PrimaryRole) this.#role.takeSegment(segment);
      },
      onError: (error) => {
        if (this.#role instanceof PrimaryRole) this.#role.recorderFailed(error);
        else this.#options.log.error({ error: error.message }, 'the recorder failed');
      },
    };
  }

  get #diskImages(): Readonly<Record<string, string>> {
    return this.#options.config.self.disks;
  }

  /** The one that was prepared, if there is one. */
  #cardEgresses(): CardEgresses {
    const { egress } = this.#options.config.self;
    this.#egress ??= CardEgresses.fromSpecs(cardSpecs(egress, this.#vm.nics.length));
    return this.#egress;
  }

  /** The primary's life. */
  async #serve(machine: Machine): Promise<PrimaryOutcome> {
    const { config, log } = this.#options;
    const egress = this.#cardEgresses();
    const role = new PrimaryRole({
      vm: this.#vm,
      layout: this.#layout,
      term: this.#term,
      terms: this.#terms,
      epochMs: config.epochMs,
      onBackupLost: config.onBackupLost,
      snapshotEveryMs: config.snapshots?.everyMs,
      detector: config,
      remember: (term) => this.#spoken.save(term),
      ...machine,
      diskImages: this.#diskImages,
      bandwidth: this.#bandwidth,
      egress,
      console: this.#console,
      reporter: this.reporter,
      log,
    });
    this.#role = role;
    this.#isComing = false;
    await egress.open();
    egress.announce(this.#vm.nics.map(({ mac }) => mac));
    if (this.#isStopping) void role.stop();
    const outcome = await role.ended;
    this.#term = role.term;
    this.#role = undefined;
    this.#egress = undefined;
    await egress.close();
    await machine.recorder.instance.destroy();
    await machine.storage.stop();
    // As a backup of the winner it needs little of that machine's RAM anew.
    this.#remains.keep({ ramFile: machine.ramFile, interrupted: undefined });
    return outcome;
  }

  /** The backup's life, for one link. */
  async #protect(link: Link): Promise<BackupOutcome> {
    const { log, config } = this.#options;
    this.#term = link.peer.term;
    const dir = this.#nextDir();
    const ramFile = `${dir}.ram`;
    const role = new BackupRole({
      vm: this.#vm,
      layout: this.#layout,
      dir,
      pidDir: this.#runDir.pids,
      ramFile,
      diskImages: this.#diskImages,
      link,
      term: link.peer.term,
      terms: this.#terms,
      detector: config,
      remains: this.#remains,
      spool: {
        path: path.join(
          config.self.spoolDir ?? this.#runDir.path,
          `${config.pair}-${config.self.name}.spool`,
        ),
        budgetBytes: config.spoolBudget,
      },
      durableLog:
        config.ack === 'received'
          ? undefined
          : {
              path: durableLogPath(config),
              budgetBytes: config.durableLogBudget,
              budgetKey: 'durableLogBudget',
            },
      keepSnapshots: this.#keepSnapshots(),
      recorderHandlers: this.#recorderHandlers,
      prepareToSpeak: async () => {
        await this.#cardEgresses().prepare();
      },
      reporter: this.reporter,
      log,
    });
    this.#role = role;
    const outcome = await role.ended;
    // To remember it takes a while, and what this node says of itself is older until then.
    this.#isComing = outcome.kind === 'tookOver';
    this.#role = undefined;
    if (outcome.kind === 'tookOver') {
      // It was proven: from here on these are the newest disks.
      await this.#remember(outcome.term);
      this.#term = outcome.term;
      this.#remains.discard();
      return outcome;
    }
    await fs.promises.rm(dir, { recursive: true, force: true });
    if (outcome.kind === 'discarded') {
      this.#remains.keep({ ramFile, interrupted: outcome.interrupted });
      await this.#pause(outcome.pauseMs ?? 0);
    } else {
      await fs.promises.rm(ramFile, { force: true });
    }
    return outcome;
  }

  /** Who keeps the cuts of a copy here, when the pair file says so. */
  #keepSnapshots(): BackupRoleOptions['keepSnapshots'] {
    const { config, log } = this.#options;
    const store = this.#store;
    if (store === undefined) return undefined;
    const { qemu: qemuVersion, vmFingerprint } = this.#identity;
    const vmFile = writeVmFile(this.#vm);
    return (seedId, term) => {
      const run = `${seedId}-${randomBytes(3).toString('hex')}`;
      return new SnapshotKeeper({
        facts: { vm: config.pair, run, seedId, term, vmFingerprint, qemuVersion, vmFile },
        layout: this.#layout,
        openStore: () => store.open(),
        afterKept: (kept) => store.afterKept(kept),
        reporter: this.reporter,
        log,
      });
    };
  }

  #dialPeer(): Promise<Link> {
    const { host, port } = endpoint(this.#options.config.peer.listen);
    const identity = this.#fullIdentity;
    return dial({ host, port, identity, ...this.#security, signal: this.#stopping.signal });
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Waits, but not past `stop`. */
  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  #nextDir(): string {
    const dir = `${this.#runDir.path}/m${this.#nextMachine}`;
    this.#nextMachine += 1;
    fs.mkdirSync(dir, { mode: 0o700, recursive: true });
    return dir;
  }

  async #close(): Promise<void> {
    this.reporter.end();
    this.#control?.close();
    await this.#egress?.close();
    await this.#listener?.close();
    const left = livingOwned(this.#runDir.pids);
    if (left.length > 0) this.#options.log.warn({ left }, 'processes were left; ending them');
    await endStale(this.#runDir.pids);
    this.#runDir.remove();
    await this.#arbiter.close();
  }
}

function roleName(role: PrimaryRole | BackupRole): 'primary' | 'backup' {
  return role instanceof PrimaryRole ? 'primary' : 'backup';
}

function endpoint(url: string): { host: string; port: number } {
  const address = parseListenAddress(url);
  if (address === undefined) throw new Error(`'${url}' passed the check of the pair file`);
  return address;
}
