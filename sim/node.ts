/**
 * A simulated node: a process that drives the core of src/core/node.ts, as src/node does in earnest, with
 * simulated links, machines and disks. It decides nothing.
 *
 * Contract
 *  1. What a process does happens in `enter`: nothing of a dead life runs, a paused process runs
 *     nothing until it goes on, and a crash may strike between any two effects.
 *  2. Disk, `spoken` and what was spooled survive crashes. Nothing else does.
 */
import { limits } from '../src/base/limits.ts';
import { type Millis, type Term, term as toTerm } from '../src/base/units.ts';
import type { LinkId, NodeEffect, NodeEvent } from '../src/core/effects.ts';
import type { NodeCore } from '../src/core/node.ts';
import type { Standing } from '../src/ports/link.ts';
import { SimCopy } from './copy.ts';
import { SimDisk } from './disk.ts';
import { bootGuest } from './guest.ts';
import { History } from './history.ts';
import { SimMachine, type SimReport, type SimRun } from './machine.ts';
import type { SimHello, SimLog, SimMessage } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import { type Condition, calmCondition } from './settings.ts';
import type { Surroundings } from './surroundings.ts';

/** Thrown inside of a process that dies at this very step. */
class CrashSignal extends Error {}

/** How long an output, and all else that a machine reports, takes to this process: each keeps its order. */
const outputMs = 0.2;
const reportMs = 0.4;

export class SimNode {
  readonly name: string;
  readonly peerName: string;
  readonly around: Surroundings;
  readonly disk = new SimDisk();
  readonly condition: Condition;
  /** The last term in which the machine spoke from this disk. Durable. */
  spoken: Term = toTerm(0);
  /** The guest switched itself off: this process has ended in order. */
  hasLeft = false;
  /** Effects until it dies at that very step. */
  crashIn: number | undefined;
  core: NodeCore | undefined;
  machine: SimMachine | undefined;
  copy: SimCopy | undefined;
  #life = 0;
  #isUp = false;
  #isPaused = false;
  #inbox: (() => void)[] = [];
  /** Clock jumps seen by this node. */
  #clockOffset = 0;
  #links = new Map<LinkId, ConnectionEnd>();
  #nextLink = 1;
  #seeding: { take(message: SimMessage): void } | undefined;
  /** Indices of outputs that wait at the gate, in order. */
  #outputs: number[] = [];
  #released = 0;
  #hadGranted = false;
  #isDrill = false;
  /** When the acknowledgement that is being handled reached this host. */
  #ackArrivedAt: number | undefined;
  #events: NodeEvent[] = [];
  #isStepping = false;

  constructor(name: string, peerName: string, around: Surroundings) {
    this.name = name;
    this.peerName = peerName;
    this.around = around;
    this.condition = calmCondition(around.world.prng);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get holder(): string {
    return `${this.name}:${this.#life}`;
  }

  get role(): Standing['role'] {
    return this.core?.role ?? 'none';
  }

  get state(): string {
    return this.core?.state ?? 'down';
  }

  /** On this node's own monotonic clock. */
  get now(): Millis {
    return (this.around.world.now + this.#clockOffset) as Millis;
  }

  start(startAnew = false): void {
    if (this.#isUp) return;
    this.#life += 1;
    this.#isUp = true;
    this.hasLeft = false;
    this.say('starts');
    const { settings, seams, network } = this.around;
    const { epochMs, onBackupLost, ack, silenceMs, heldOutputsMax, snapshotEveryMs } = settings;
    this.core = seams.core({
      ...{ node: this.name, holder: this.holder, spoken: this.spoken, startAnew },
      ...{ isPrepared: false, restartWaitMs: 0, ack, onBackupLost, epochMs, heldOutputsMax },
      ...{ detector: { silenceMs }, snapshotEveryMs },
    });
    const host = network.host(this.name);
    host.isUp = true;
    host.answer = () => (this.#isUp && !this.#isPaused ? this.#hello() : undefined);
    host.accept = (end) => this.enter(() => this.#accept(end));
    this.#run(() => this.#tick());
  }

  /** The process is killed, or its host loses power. */
  crash(kind: 'process' | 'power'): void {
    if (!this.#isUp) return;
    this.say(kind === 'process' ? 'is killed' : 'loses power');
    this.#end(kind === 'power');
  }

  /** SIGSTOP: its machine, a process of its own, runs on. */
  pause(): void {
    if (!this.#isUp || this.#isPaused) return;
    this.say('stands still');
    this.#isPaused = true;
  }

  go(): void {
    if (!this.#isPaused) return;
    this.say('goes on');
    this.#isPaused = false;
    // A crash empties the inbox.
    for (let act = this.#inbox.shift(); act !== undefined; act = this.#inbox.shift())
      this.#run(act);
  }

  jumpClock(ms: number): void {
    this.#clockOffset += ms;
  }

  /** An operator asks for something. */
  ask(wish: Extract<NodeEvent, { type: 'asked' }>['for']): void {
    const ask = this.around.judge.asked(this.name, this.holder, this.around.world.now);
    this.enter(() => this.step({ type: 'asked', ask, for: wish }));
  }

  /** A message of another connection arrives on the one with the backup. */
  stray(message: SimMessage): boolean {
    const found = [...this.#links].find(([, end]) => end.isOpen);
    if (found === undefined) return false;
    const [link] = found;
    this.enter(() => this.#takeMessage(link, message, this.around.world.now));
    return true;
  }

  /** A part of the log that is being written leaves while the process dies. */
  tearLog(): void {
    const end = [...this.#links.values()].find(({ isOpen }) => isOpen);
    const { machine, core } = this;
    if (end === undefined || machine === undefined || core === undefined) return;
    end.send({ ...machine.tornLog(), kind: 'log', term: core.term });
  }

  step(event: NodeEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    const life = this.#life;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of this.core?.step(next, this.now) ?? []) {
          this.#mayCrash();
          this.#perform(effect);
          if (life !== this.#life || !this.#isUp) return;
        }
      }
    } finally {
      this.#isStepping = false;
    }
  }

  enter(act: () => void): void {
    if (this.#isPaused) this.#inbox.push(act);
    else this.#run(act);
  }

  say(what: string): void {
    this.around.world.say(this.name, what);
  }

  /** Runs `act` in this life, in `delayMs`, when the process is not standing still. */
  #later(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.around.world.after(delayMs, () => {
      if (life === this.#life && this.#isUp) this.enter(act);
    });
  }

  #inThisLife<Arg>(act: (arg: Arg) => void): (arg: Arg) => void {
    const life = this.#life;
    return (arg) => {
      if (life === this.#life && this.#isUp) this.enter(() => act(arg));
    };
  }

  #mayCrash(): void {
    if (this.crashIn === undefined) return;
    this.crashIn -= 1;
    if (this.crashIn > 0) return;
    this.crashIn = undefined;
    throw new CrashSignal();
  }

  #run(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      if (!(thrown instanceof CrashSignal)) throw thrown;
      this.around.world.struck('crash at a step');
      this.crash('process');
    }
  }

  #end(silently: boolean): void {
    const host = this.around.network.host(this.name);
    host.answer = undefined;
    host.accept = undefined;
    if (silently) host.isUp = false;
    for (const end of this.#links.values()) {
      if (silently) end.vanish();
      else end.close('the process ended');
    }
    this.machine?.vanish();
    this.copy?.vanish();
    this.around.judge.ended(this.holder);
    this.#links = new Map();
    this.machine = undefined;
    this.copy = undefined;
    this.core = undefined;
    this.#isUp = false;
    this.#isPaused = false;
    this.#inbox = [];
    this.#events = [];
    this.crashIn = undefined;
  }

  #hello(): SimHello {
    const { core } = this;
    if (core === undefined) throw new Error('no core says hello');
    // No snapshots here that a machine could go on from.
    const standing: Standing = { ...core.standing, logged: toTerm(0) };
    return { node: this.name, term: core.term, standing };
  }

  #tick(): void {
    this.step({ type: 'timer' });
    this.copy?.tick(this.now);
    const { judge, settings } = this.around;
    judge.sizes({
      node: this.name,
      heldOutputs: this.#outputs.length,
      heldOutputsMax: settings.heldOutputsMax,
      backlogEvents: this.copy?.backlog ?? 0,
    });
    this.#later(limits.coreTimerMs, () => this.#tick());
  }

  #accept(end: ConnectionEnd): void {
    const link = this.#name(end);
    this.step({ type: 'linkOpened', link, hello: end.peerHello });
    this.#listen(link, end);
  }

  #name(end: ConnectionEnd): LinkId {
    const link = this.#nextLink;
    this.#nextLink += 1;
    this.#links.set(link, end);
    return link;
  }

  #listen(link: LinkId, end: ConnectionEnd): void {
    const life = this.#life;
    const alive = (act: () => void): void => {
      if (life === this.#life && this.#isUp) this.enter(act);
    };
    end.handlers = {
      onMessage: (message, { arrivedAt }) =>
        alive(() => this.#takeMessage(link, message, arrivedAt)),
      onClose: (reason) => alive(() => this.#lost(link, reason)),
    };
  }

  #lost(link: LinkId, reason: string): void {
    this.#links.delete(link);
    this.step({ type: 'linkClosed', link, reason });
  }

  #takeMessage(link: LinkId, message: SimMessage, arrivedAt: number): void {
    if (!this.#links.has(link)) return;
    if (message.kind === 'ack') this.#ackArrivedAt = arrivedAt;
    if (message.kind === 'control' && message.control.type === 'drill') this.#isDrill = true;
    try {
      this.step({ type: 'message', link, message });
    } finally {
      this.#ackArrivedAt = undefined;
    }
  }

  #perform(effect: NodeEffect): void {
    const { arbiter } = this.around;
    const { machine, copy } = this;
    switch (effect.type) {
      case 'readArbiter': {
        const { ask } = effect;
        const back = this.#inThisLife((event: NodeEvent) => this.step(event));
        arbiter.read(this.name, (state) =>
          back(state === 'unreachable' ? silent(ask) : { type: 'arbiterRead', ask, state }),
        );
        return;
      }
      case 'compareAndSet': {
        const { ask, expected, next } = effect;
        const back = this.#inThisLife((event: NodeEvent) => this.step(event));
        arbiter.compareAndSet(this.name, expected, next, (result) =>
          back(result === 'unreachable' ? silent(ask) : { type: 'arbiterSet', ask, result }),
        );
        return;
      }
      case 'dialPeer':
        this.#dial();
        return;
      case 'send':
        this.#send(effect.link, effect.message as SimMessage);
        return;
      case 'closeLink': {
        this.#links.get(effect.link)?.close(effect.reason);
        this.#links.delete(effect.link);
        return;
      }
      case 'lookAtDisks':
        this.#later(0.1, () =>
          this.step({ type: 'disksSeen', canRestart: false, logged: toTerm(0) }),
        );
        return;
      case 'remember':
        this.#remember(effect.term);
        return;
      case 'boot':
        this.#boot(effect.term);
        return;
      case 'sendMarker':
        machine?.sendMarker(effect.epoch);
        return;
      case 'release':
        this.#release(effect.through);
        return;
      case 'slowDown':
        machine?.slowDown(effect.share);
        return;
      case 'stop':
        machine?.stop();
        return;
      case 'go':
        machine?.go();
        return;
      case 'seed': {
        const end = this.#links.get(effect.link);
        if (end !== undefined) this.#seeding = machine?.seed(effect.seedId, end);
        else this.#later(0, () => this.step({ type: 'seedEnded', problem: 'the link closed' }));
        return;
      }
      case 'tellSeed':
        this.#seeding?.take(effect.message as SimMessage);
        return;
      case 'ship': {
        const { term } = effect;
        const { from, to, events } = effect.run as SimRun;
        const message = { kind: 'log', term, from, to, icount: to, events } as unknown as SimLog;
        this.#send(effect.link, message);
        return;
      }
      case 'cut':
        machine?.cut(effect);
        return;
      case 'sendCut': {
        const end = this.#links.get(effect.link);
        if (end !== undefined) machine?.sendCut(effect.cutId, end);
        return;
      }
      case 'destroyMachine':
        machine?.destroy();
        return;
      case 'makeCopy':
        this.#makeCopy(effect.link, effect.term);
        return;
      case 'feed':
        this.#feed(effect.message as SimMessage);
        return;
      case 'compare':
        copy?.compare(effect.cut);
        return;
      case 'copyGranted':
        copy?.granted();
        return;
      case 'takeOver':
        copy?.takeOver();
        return;
      case 'followPowerOff':
        copy?.followPowerOff();
        return;
      case 'discardCopy':
        this.say(`discards its copy: ${effect.reason}`);
        copy?.destroy();
        this.copy = undefined;
        return;
      case 'answer':
        this.around.judge.answered(effect.ask);
        return;
      case 'became':
        this.say(
          `is ${effect.role === 'none' ? 'without a machine' : `a ${effect.role}`}, term ${effect.term}`,
        );
        return;
      case 'changed':
        this.#hadGranted ||= effect.to === 'protected';
        this.say(`${effect.role}: ${effect.from} -> ${effect.to}`);
        return;
      case 'waiting':
        if (effect.reason !== undefined) this.say(`waits: ${effect.reason}`);
        return;
      case 'noted':
        if ('reason' in effect.what) this.say(`${effect.what.type}: ${effect.what.reason}`);
        return;
      case 'leave':
        this.say('leaves: the guest is off');
        this.hasLeft = true;
        this.#end(false);
        return;
      case 'fail':
        throw new Error(`node ${this.name} failed: ${effect.reason}`);
    }
  }

  #dial(): void {
    const { network } = this.around;
    const life = this.#life;
    network.dial(this.name, this.peerName, this.#hello(), (end) => {
      if (life !== this.#life || !this.#isUp) {
        end?.vanish();
        return;
      }
      this.enter(() => {
        if (end === undefined) this.step({ type: 'dialled' });
        else this.step({ type: 'dialled', link: this.#name(end), hello: end.peerHello });
      });
    });
  }

  #send(link: LinkId, message: SimMessage): void {
    if (message.kind === 'ack' && message.received > 0) this.#judgeAck(message.received);
    this.#links.get(link)?.send(message);
  }

  #judgeAck(position: number): void {
    const { copy } = this;
    if (copy === undefined) return;
    const { judge, settings } = this.around;
    judge.acknowledged({
      node: this.name,
      history: copy.history,
      position,
      mode: settings.ack,
      held: copy.holds('received'),
      durable: copy.holds('durable'),
    });
  }

  #remember(term: Term): void {
    const ms = this.condition.rememberMs();
    if (ms === undefined) {
      this.around.world.struck('full disk at remember');
      this.#later(1, () => this.step({ type: 'notRemembered', term, reason: 'the disk is full' }));
      return;
    }
    this.#later(ms, () => {
      if (this.around.seams.remembersSpoken) this.spoken = term;
      this.step({ type: 'remembered', term });
    });
  }

  #boot(term: Term): void {
    const { judge } = this.around;
    this.around.boots += 1;
    const state = bootGuest(this.disk.nextRequest, this.disk.digest);
    const history = History.ofBoot(this.around.boots, state);
    this.say(`boots the guest, term ${term}`);
    judge.booted({ node: this.name, holder: this.holder, term, history, disk: this.disk });
    this.#adopt(state, history);
    this.step({ type: 'booted' });
  }

  /** A machine runs here from now on. */
  #adopt(state: SimMachine['state'], history: History): void {
    const { world, seams } = this.around;
    this.#outputs = [];
    this.#released = 0;
    this.#hadGranted = false;
    const machine: SimMachine = new SimMachine({
      ...{ world, disk: this.disk, state, history, condition: this.condition },
      term: () => this.core?.term ?? toTerm(0),
      complete: seams.complete,
      report: (report) =>
        this.#later(report.type === 'outputs' ? outputMs : reportMs, () => {
          if (this.machine === machine) this.#takeReport(report);
        }),
    });
    this.machine = machine;
  }

  #takeReport(report: SimReport): void {
    if (report.index !== undefined) this.#outputs.push(report.index);
    if (report.type === 'gone') this.machine = undefined;
    this.step(report);
  }

  #makeCopy(link: LinkId, term: Term): void {
    const end = this.#links.get(link);
    if (end === undefined) throw new Error(`there is no link ${link}`);
    const { world, seams, settings, judge } = this.around;
    this.#isDrill = false;
    const copy: SimCopy = new SimCopy({
      ...{ world, disk: this.disk, end, term, seams, condition: this.condition },
      isDurable: settings.ack === 'durable',
      keep: (cut) => judge.kept({ node: this.name, ...cut }),
      report: this.#inThisLife((report) => {
        if (report.type === 'tookOver') this.#tookOver(copy);
        else if (this.copy === copy || report.type === 'gone') this.step(report);
      }),
    });
    this.copy = copy;
    this.#listen(link, end);
  }

  /** What a handler of a link does with what it cannot take: the link ends with that. */
  #feed(message: SimMessage): void {
    try {
      this.copy?.take(message);
    } catch (thrown) {
      const reason = (thrown as Error).message;
      for (const [link, end] of this.#links) {
        end.close(reason);
        this.#lost(link, reason);
      }
    }
  }

  #tookOver(copy: SimCopy): void {
    const { judge, seams } = this.around;
    if (this.copy !== copy) return;
    const { state, position, history } = copy.become();
    for (const write of state.pending) seams.completeInFlight(this.disk, write);
    this.say(`takes over at position ${position}`);
    const { name: node, holder, disk } = this;
    this.copy = undefined;
    const term = this.core?.takingOverIn ?? toTerm(0);
    judge.tookOver({ node, holder, term, history, position, state, disk, isDrill: this.#isDrill });
    this.#adopt(state, history.continuedAt(state));
    this.step({ type: 'tookOver' });
  }

  #release(through: number): void {
    const { around, holder, name, machine, core } = this;
    if (machine === undefined || core === undefined) return;
    const indices = this.#outputs.splice(0, through - this.#released);
    this.#released = through;
    const { history } = machine;
    around.judge.released({
      atMs: around.world.now,
      node: name,
      holder,
      term: core.term,
      history,
      indices,
      state: core.state,
      spoken: this.spoken,
      mustHold: around.settings.onBackupLost === 'hold' && this.#hadGranted,
      backupHolds: core.state === 'protected' ? around.heldByPeerOf(name, history) : undefined,
      ackArrivedAt: this.#ackArrivedAt,
    });
  }
}

const silent = (ask: number): NodeEvent => ({
  ...{ type: 'arbiterFailed', ask },
  ...{ reason: 'no answer', mayPass: true },
});
