/**
 * Where the machines and copies of a node come from: from power-on, from what was kept, from a
 * primary's seed. It has what outlives each of them: the egresses, the RAM that a seed may use, the
 * snapshot store.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { limits } from '../base/limits.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import type { Wish } from '../core/effects.ts';
import { CardEgresses, cardSpecs } from '../egress/cards.ts';
import { inspectEgress } from '../egress/inspect.ts';
import { type BootFile, descriptionOf, type VmConfig } from '../hypervisor/config.ts';
import { refuseMarked } from '../hypervisor/disks/image-marker.ts';
import { imageBytes } from '../hypervisor/disks/storage.ts';
import {
  bootFromPowerOn,
  bootFromState,
  type LiveMachine,
  type MachinePlace,
} from '../hypervisor/machine-parts.ts';
import type { Upgrade } from '../hypervisor/qemu/upgrade.ts';
import { writeVmFile } from '../hypervisor/vm-file/write.ts';
import type { MachineReport } from '../ports/machine.ts';
import type { PreparedMachine } from '../restore/prepared.ts';
import type { Layout } from '../rrlog/layouts.ts';
import type { Concerns } from './concerns.ts';
import type { NodeDisks } from './driver.ts';
import { SnapshotKeeper } from './keeping/keeper.ts';
import type { NodeStore } from './keeping/node-store.ts';
import type { Logger } from './logger.ts';
import { CopiedMachine, type CopiedMachineOptions } from './machine/copied.ts';
import type { GuestPort } from './machine/guest-port.ts';
import { RecordedMachine } from './machine/recorded.ts';
import type { SerialPorts } from './machine/serial-ports.ts';
import type { BootOrder, MachineSource, Made } from './machine-driver.ts';
import { Outputs } from './outputs.ts';
import { durableLogPath, loggedTerm } from './pair-file/durable-log-place.ts';
import type { PairConfig } from './pair-file/pair-config.ts';
import type { Reporter } from './report.ts';
import { Restarter } from './restarter.ts';
import type { RunDir } from './run-dir.ts';
import { Bandwidth } from './seeding/bandwidth.ts';
import { SeedRemains } from './seeding/remains.ts';
import { type GuestFailures, Watchdog } from './watchdog/watchdog.ts';

export interface MachinesOptions {
  readonly config: PairConfig;
  readonly vm: VmConfig;
  readonly vmFingerprint: string;
  /** What the machine boots with. */
  readonly bootFiles: readonly BootFile[];
  /** As QEMU prints it. */
  readonly qemuVersion: string;
  readonly layout: Layout;
  /** Copies of machines that still have the older one are taken over with ours. */
  readonly upgrade: Upgrade | undefined;
  readonly runDir: RunDir;
  /** Where the pair file has snapshots. */
  readonly store: NodeStore | undefined;
  /** The first machine does not boot, but goes on from here. */
  readonly prepared: PreparedMachine | undefined;
  /** Asks the node's core. */
  readonly ask: (wish: Wish) => Promise<unknown>;
  readonly serials: SerialPorts;
  /** Of a guest that has one. */
  readonly guestPort: GuestPort | undefined;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export class Machines implements MachineSource, NodeDisks {
  readonly #options: MachinesOptions;
  readonly #bandwidth: Bandwidth;
  readonly #remains = new SeedRemains();
  readonly #restarter: Restarter;
  /** Where the pair file has one. */
  readonly #watchdog: Watchdog | undefined;
  #egress: CardEgresses | undefined;
  #nextMachine = 1;
  #prepared: PreparedMachine | undefined;
  /** The request of its guest that the machine which is booted goes on from. */
  #guest: string | undefined;

  constructor(options: MachinesOptions) {
    const { config, runDir, prepared } = options;
    this.#options = options;
    this.#prepared = prepared;
    this.#bandwidth = new Bandwidth({
      bytesPerSecond: config.seedBandwidth,
      burstBytes: limits.seedBurstBytes,
    });
    this.#restarter = new Restarter({ ...options, runDir: runDir.path, pidDir: runDir.pids });
    const { watchdog: policy } = config;
    if (policy !== undefined) {
      this.#watchdog = new Watchdog({ ...options, policy, runDir: runDir.path });
    }
  }

  /** Of the guests that were here; `undefined`: none. */
  get guestFailures(): GuestFailures | undefined {
    return this.#watchdog?.failures;
  }

  /** How long this node leaves it to a peer with all of the log to go on. */
  get restartWaitMs(): number {
    return this.#options.config.ack === 'durable' ? this.#restarter.waitMs : 0;
  }

  logged(): Term {
    return loggedTerm(this.#options.config);
  }

  async canRestart(term: Term): Promise<boolean> {
    return (await this.#restarter.find(term)) !== undefined;
  }

  checkBoot({ fromPowerOn }: { readonly fromPowerOn: boolean }): void {
    refuseMarked(Object.values(this.#diskImages));
    for (const spec of this.cardSpecs) inspectEgress(spec);
    if (!fromPowerOn) return;
    for (const { id } of this.#options.vm.disks) imageBytes(this.#diskImages[id] ?? '');
  }

  newMachine(term: () => Term, report: (report: MachineReport) => void): Made {
    const outputs = new Outputs({
      cards: this.#options.vm.nics.length,
      egress: this.#cardEgresses(),
      serials: this.#options.serials,
      reporter: this.#options.reporter,
    });
    const watch = this.#watchdog?.watch(() => machine.figures.icount);
    const machine: RecordedMachine = new RecordedMachine({
      vm: this.#options.vm,
      diskImages: this.#diskImages,
      bandwidth: this.#bandwidth,
      term,
      report,
      onDiskChanged: (what) => this.#diskChanged(what),
      onOutput: (channel, bytes) => {
        outputs.push(channel, bytes);
        if (channel.kind === 'serial' && channel.index === 0) watch?.output(bytes);
      },
      reporter: this.#options.reporter,
      log: this.#options.log,
    });
    return { machine, outputs, watch };
  }

  /**
   * From what was kept of the machine of the term before, where that is wanted, or from power-on;
   * or from its past, where the watchdog has prepared that.
   */
  async boot({ handlers }: RecordedMachine, { term, isBack }: BootOrder): Promise<LiveMachine> {
    const place = this.#nextPlace();
    if (isBack === true && this.#watchdog !== undefined) {
      // Its memory of before is of no use to anybody, and two of them may be too much.
      this.#remains.discard();
      const { machine, guest } = await this.#watchdog.boot(place, handlers, term);
      this.#guest = guest;
      return machine;
    }
    const restart =
      this.#prepared === undefined ? await this.#restarter.prepare(toTerm(term - 1)) : undefined;
    const prepared = this.#prepared ?? restart?.machine;
    this.#prepared = undefined;
    this.#watchdog?.begins(restart === undefined ? term : toTerm(term - 1));
    if (prepared === undefined) return bootFromPowerOn(place, handlers);
    const machine = await bootFromState(place, prepared, handlers);
    this.#guest = prepared.facts.guest;
    if (restart !== undefined) await this.#restarter.wentOn(restart);
    return machine;
  }

  newCopy(
    given: Pick<
      CopiedMachineOptions,
      'link' | 'term' | 'recorderHandlers' | 'report' | 'onConsole'
    >,
  ): CopiedMachine {
    this.#watchdog?.begins(given.term);
    const { log, config, reporter, runDir } = this.#options;
    const spool = path.join(
      config.self.spoolDir ?? runDir.path,
      `${config.pair}-${config.self.name}.spool`,
    );
    const { qemu } = given.link.peer;
    const place = this.#placeOfCopy(qemu);
    return new CopiedMachine({
      ...place,
      ...given,
      remains: this.#remains,
      spool: { path: spool, budgetBytes: config.spoolBudget },
      durableLog:
        config.ack === 'received'
          ? undefined
          : {
              path: durableLogPath(config),
              budgetBytes: config.durableLogBudget,
              budgetKey: 'durableLogBudget',
            },
      keepSnapshots: this.#keepSnapshots(place, qemu),
      prepareToSpeak: async () => {
        await this.#cardEgresses().prepare();
      },
      reporter,
      log,
    });
  }

  /** Lets whoever listens hear a machine that is there. */
  begin(machine: RecordedMachine, parts: LiveMachine): void {
    machine.begin(parts, this.#cardEgresses(), this.#options.serials);
    this.#options.guestPort?.begin(this.#guest);
    this.#guest = undefined;
  }

  /** As a backup of the winner this node needs little of that machine's RAM anew. */
  machineGone(parts: LiveMachine | undefined): void {
    this.#egress = undefined;
    this.#watchdog?.gone();
    this.#options.concerns.tell('disk', undefined);
    if (parts !== undefined) {
      this.#remains.keep({ ramFile: parts.ramFile, interrupted: undefined });
    }
  }

  /** The machine here speaks: what earlier seeds left is of no use. */
  speaks(): void {
    this.#remains.discard();
  }

  async close(): Promise<void> {
    await this.#egress?.close();
  }

  /** It stays wrong until the machine has another image: on the other node, after a drill. */
  #diskChanged(what: string): void {
    const hint = 'hand the machine over (`understudy drill`): this node is seeded anew then';
    this.#options.concerns.tell('disk', `${what}; ${hint}`);
  }

  get #diskImages(): Readonly<Record<string, string>> {
    return this.#options.config.self.disks;
  }

  /** The one that was prepared, if there is one. */
  #cardEgresses(): CardEgresses {
    this.#egress ??= CardEgresses.fromSpecs(this.cardSpecs);
    return this.#egress;
  }

  /** Where each card of the guest has its cable (egress/from-spec.ts). */
  get cardSpecs(): readonly string[] {
    return cardSpecs(this.#options.config.self.egress, this.#options.vm.nics.length);
  }

  /** Who keeps the cuts of a copy here, when the pair file says so; by the QEMU of its primary. */
  #keepSnapshots(
    { vm, layout }: MachinePlace,
    qemuVersion: string,
  ): CopiedMachineOptions['keepSnapshots'] {
    const { config, log, store, vmFingerprint, bootFiles } = this.#options;
    if (store === undefined) return undefined;
    const vmFile = writeVmFile(descriptionOf(vm));
    return (seedId, term) => {
      const run = `${seedId}-${randomBytes(3).toString('hex')}`;
      return new SnapshotKeeper({
        facts: { vm: config.pair, run, seedId, term, vmFingerprint, qemuVersion, vmFile },
        bootFiles,
        layout,
        openStore: () => store.open(),
        closeStore: (opened) => store.close(opened),
        afterKept: (kept) => store.afterKept(kept),
        reporter: this.#options.reporter,
        log,
      });
    };
  }

  /** Where the next copy lies, and with which QEMU it is executed: that of its primary. */
  #placeOfCopy(qemuVersion: string): MachinePlace {
    const place = this.#nextPlace();
    const { upgrade } = this.#options;
    if (upgrade === undefined || upgrade.older.text !== qemuVersion) return place;
    const { older, newer } = upgrade;
    return { ...place, vm: { ...place.vm, qemu: older.program }, layout: older.layout, newer };
  }

  /** Where the next machine, or copy, lies. */
  #nextPlace(): MachinePlace {
    const dir = `${this.#options.runDir.path}/m${this.#nextMachine}`;
    this.#nextMachine += 1;
    fs.mkdirSync(dir, { mode: 0o700, recursive: true });
    return {
      vm: this.#options.vm,
      layout: this.#options.layout,
      dir,
      pidDir: this.#options.runDir.pids,
      ramFile: `${dir}.ram`,
      diskImages: this.#diskImages,
    };
  }
}
