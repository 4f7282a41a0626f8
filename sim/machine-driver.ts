/**
 * The machine side of a simulated node, as src/node/machine-driver.ts is in earnest: the one
 * machine or copy that is here, what the core says to it and what it reports, and the facts that
 * the checkers judge by.
 */
import { type Term, term as toTerm } from '../src/base/units.ts';
import type { LinkId, NodeEffect, NodeEvent } from '../src/core/effects.ts';
import type { NodeCore } from '../src/core/node.ts';
import { SimCopy } from './copy.ts';
import { SimDisk } from './disk.ts';
import { bootGuest } from './guest.ts';
import { History } from './history.ts';
import type { SimLinks } from './links.ts';
import { SimMachine, type SimReport } from './machine.ts';
import type { SimMessage } from './messages.ts';
import type { SimProcess } from './process.ts';
import type { Condition } from './settings.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * How long an output, and all else that a machine reports, takes to this process: each keeps its
 * order.
 */
const outputMs = 0.2;
const reportMs = 0.4;

export interface MachineDriverOptions {
  readonly process: SimProcess;
  readonly around: Surroundings;
  readonly condition: Condition;
  readonly core: () => NodeCore | undefined;
  /** The last term that this node's disk has. */
  readonly spoken: () => Term;
  readonly links: SimLinks;
  readonly tell: (event: NodeEvent) => void;
}

export class SimMachineDriver {
  readonly disk = new SimDisk();
  machine: SimMachine | undefined;
  copy: SimCopy | undefined;
  /** When the acknowledgement that is being handled reached this host. */
  ackArrivedAt: number | undefined;
  readonly #options: MachineDriverOptions;
  #seeding: { take(message: SimMessage): void } | undefined;
  /** Indices of outputs that wait at the gate, in order. */
  #outputs: number[] = [];
  #released = 0;
  #hadGranted = false;
  #mayBeHeard = false;
  #isDrill = false;

  constructor(options: MachineDriverOptions) {
    this.#options = options;
  }

  /** Says so of what it does not know: that is for the node. */
  perform(effect: NodeEffect): boolean {
    const { machine, copy } = this;
    switch (effect.type) {
      case 'sendMarker':
        machine?.sendMarker(effect.epoch);
        return true;
      case 'feed':
        this.#feed(effect.message as SimMessage);
        return true;
      case 'speak':
        this.#mayBeHeard = true;
        return true;
      case 'release':
        this.#release(effect.through);
        return true;
      case 'slowDown':
        machine?.slowDown(effect.share);
        return true;
      case 'boot':
        this.#boot(effect.term);
        return true;
      case 'stop':
        machine?.stop();
        return true;
      case 'go':
        machine?.go();
        return true;
      case 'seed':
        this.#seed(effect.seedId, effect.link);
        return true;
      case 'tellSeed':
        this.#seeding?.take(effect.message as SimMessage);
        return true;
      case 'cut':
        machine?.cut(effect);
        return true;
      case 'sendCut': {
        const end = this.#options.links.end(effect.link);
        if (end !== undefined) machine?.sendCut(effect.cutId, end);
        return true;
      }
      case 'destroyMachine':
        machine?.destroy();
        return true;
      case 'makeCopy':
        this.#makeCopy(effect.link, effect.term);
        return true;
      case 'compare':
        copy?.compare(effect.cut);
        return true;
      case 'copyGranted':
        copy?.granted();
        return true;
      case 'takeOver':
        copy?.takeOver();
        return true;
      case 'followPowerOff':
        copy?.followPowerOff();
        return true;
      case 'discardCopy':
        this.#options.process.say(`discards its copy: ${effect.reason}`);
        copy?.destroy();
        this.copy = undefined;
        return true;
      default:
        return false;
    }
  }

  /** Its primary hands over on purpose. */
  drilled(): void {
    this.#isDrill = true;
  }

  /** There is a backup that may take over. */
  granted(): void {
    this.#hadGranted = true;
  }

  /** The copy works for a while, and checkers see what waits. To be called every `coreTimerMs`. */
  tick(): void {
    const { process, around } = this.#options;
    this.copy?.tick(process.now);
    around.judge.sizes({
      node: process.name,
      heldOutputs: this.#outputs.length,
      heldOutputsMax: around.settings.heldOutputsMax,
      backlogEvents: this.copy?.backlog ?? 0,
    });
  }

  /** Its process is gone, and what belonged to it. */
  vanish(): void {
    this.machine?.vanish();
    this.copy?.vanish();
    this.machine = undefined;
    this.copy = undefined;
  }

  /** An acknowledgement leaves. */
  judgeAck(position: number): void {
    const { copy } = this;
    if (copy === undefined) return;
    const { process, around } = this.#options;
    around.judge.acknowledged({
      node: process.name,
      history: copy.history,
      position,
      mode: around.settings.ack,
      held: copy.holds('received'),
      durable: copy.holds('durable'),
    });
  }

  #boot(term: Term): void {
    const { process, around, tell } = this.#options;
    const { name: node, holder } = process;
    around.boots += 1;
    const state = bootGuest(this.disk.nextRequest, this.disk.digest);
    const history = History.ofBoot(around.boots, state);
    process.say(`boots the guest, term ${term}`);
    around.judge.booted({ node, holder, term, history, disk: this.disk });
    this.#adopt(state, history);
    tell({ type: 'booted' });
  }

  /** A machine runs here from now on. */
  #adopt(state: SimMachine['state'], history: History): void {
    const { process, around, condition, core } = this.#options;
    this.#outputs = [];
    this.#released = 0;
    this.#hadGranted = false;
    this.#mayBeHeard = false;
    const machine: SimMachine = new SimMachine({
      world: around.world,
      disk: this.disk,
      state,
      history,
      condition,
      term: () => core()?.term ?? toTerm(0),
      complete: around.seams.complete,
      report: (report) =>
        process.later(report.type === 'outputs' ? outputMs : reportMs, () => {
          if (this.machine === machine) this.#takeReport(report);
        }),
    });
    this.machine = machine;
  }

  #takeReport(report: SimReport): void {
    if (report.index !== undefined) this.#outputs.push(report.index);
    if (report.type === 'gone') this.machine = undefined;
    this.#options.tell(report);
  }

  #seed(seedId: string, link: LinkId): void {
    const { process, links, tell } = this.#options;
    const end = links.end(link);
    if (end !== undefined) this.#seeding = this.machine?.seed(seedId, end);
    else process.later(0, () => tell({ type: 'seedEnded', problem: 'the link closed' }));
  }

  #makeCopy(link: LinkId, term: Term): void {
    const { process, around, condition, links, tell } = this.#options;
    const { world, seams, settings, judge } = around;
    const end = links.end(link);
    if (end === undefined) throw new Error(`there is no link ${link}`);
    this.#isDrill = false;
    const copy: SimCopy = new SimCopy({
      world,
      disk: this.disk,
      end,
      term,
      seams,
      condition,
      isDurable: settings.ack === 'durable',
      keep: (cut) => judge.kept({ node: process.name, ...cut }),
      report: process.inThisLife((report) => {
        if (report.type === 'tookOver') this.#tookOver(copy);
        else if (this.copy === copy || report.type === 'gone') tell(report);
      }),
    });
    this.copy = copy;
    links.listen(link);
  }

  /** What a handler of a link does with what it cannot take: the link ends with that. */
  #feed(message: SimMessage): void {
    try {
      this.copy?.take(message);
    } catch (thrown) {
      this.#options.links.closeAll((thrown as Error).message);
    }
  }

  #tookOver(copy: SimCopy): void {
    const { process, around, core, tell } = this.#options;
    const { judge, seams } = around;
    if (this.copy !== copy) return;
    const { disk } = this;
    const { state, position, history } = copy.become();
    for (const write of state.pending) seams.completeInFlight(disk, write);
    process.say(`takes over at position ${position}`);
    const { name: node, holder } = process;
    this.copy = undefined;
    const term = core()?.takingOverIn ?? toTerm(0);
    judge.tookOver({ node, holder, term, history, position, state, disk, isDrill: this.#isDrill });
    this.#adopt(state, history.continuedAt(state));
    tell({ type: 'tookOver' });
  }

  #release(through: number): void {
    const { process, around, spoken } = this.#options;
    const { machine } = this;
    const core = this.#options.core();
    if (machine === undefined || core === undefined) return;
    const indices = this.#outputs.splice(0, through - this.#released);
    this.#released = through;
    const { history } = machine;
    const { name: node, holder } = process;
    const { state } = core;
    around.judge.released({
      atMs: around.world.now,
      node,
      holder,
      term: core.term,
      history,
      indices,
      state,
      spoken: spoken(),
      mayBeHeard: this.#mayBeHeard,
      mustHold: around.settings.onBackupLost === 'hold' && this.#hadGranted,
      backupHolds: state === 'protected' ? around.heldByPeerOf(node, history) : undefined,
      ackArrivedAt: this.ackArrivedAt,
    });
  }
}
