/**
 * A simulated node: a process that drives the core of src/core/node.ts, as src/node does in
 * earnest, with simulated links, machines and disks. It decides nothing.
 *
 * Contract
 *  1. What its process does follows process.ts; a crash may strike between any two effects.
 *  2. Disk, `spoken` and what was spooled survive crashes. Nothing else does.
 */
import { limits } from '../src/base/limits.ts';
import { icount, type Term, term as toTerm } from '../src/base/units.ts';
import type { Answer, LinkId, NodeEffect, NodeEvent, Wish } from '../src/core/effects.ts';
import type { NodeCore } from '../src/core/node.ts';
import type { Standing } from '../src/ports/link.ts';
import type { SimCopy } from './copy.ts';
import { SimLinks } from './links.ts';
import type { SimMachine, SimRun } from './machine.ts';
import { SimMachineDriver } from './machine-driver.ts';
import { noBytes, type SimHello, type SimLog, type SimMessage } from './messages.ts';
import { SimOwnArbiter } from './own-arbiter.ts';
import { SimProcess } from './process.ts';
import { type Condition, calmCondition } from './settings.ts';
import type { Surroundings } from './surroundings.ts';

type Narrated = Extract<
  NodeEffect,
  { type: 'became' | 'changed' | 'waiting' | 'noted' | 'concern' | 'answer' | 'leave' | 'fail' }
>;

export class SimNode {
  readonly name: string;
  readonly process: SimProcess;
  readonly condition: Condition;
  /** The guest switched itself off: this process has ended in order. */
  hasLeft = false;
  core: NodeCore | undefined;
  readonly #peerName: string;
  readonly #around: Surroundings;
  readonly #machines: SimMachineDriver;
  /** The last term in which the machine spoke from this disk. Durable. */
  #spoken: Term = toTerm(0);
  /** When the last save that was begun is done. */
  #savedAt = 0;
  readonly #links: SimLinks;
  readonly #arbiter: SimOwnArbiter;
  /** What happened while a step was being performed. */
  #events: NodeEvent[] = [];
  #isStepping = false;

  constructor(name: string, peerName: string, around: Surroundings) {
    this.name = name;
    this.#peerName = peerName;
    this.#around = around;
    this.condition = calmCondition(around.world.prng);
    this.process = new SimProcess(name, around.world, () => this.crash('process'));
    const { process, condition } = this;
    const spoken = (): Term => this.#spoken;
    const tell = (event: NodeEvent): void => this.#step(event);
    this.#arbiter = new SimOwnArbiter({ process, around, spoken, tell });
    this.#links = new SimLinks({
      ...{ process, network: around.network, tell },
      onMet: (hello) => this.#arbiter.met(hello),
      onMessage: (link, message, arrivedAt) => this.#takeMessage(link, message, arrivedAt),
    });
    this.#machines = new SimMachineDriver({
      ...{ process, around, condition, spoken, links: this.#links, tell },
      core: () => this.core,
    });
  }

  get isUp(): boolean {
    return this.process.isUp;
  }

  get role(): Standing['role'] {
    return this.core?.role ?? 'none';
  }

  get state(): string {
    return this.core?.state ?? 'down';
  }

  get machine(): SimMachine | undefined {
    return this.#machines.machine;
  }

  get copy(): SimCopy | undefined {
    return this.#machines.copy;
  }

  /** The last term that it spoke in, and the newest that it has seen, as its disk has them. */
  get spoken(): Term {
    return this.#spoken;
  }

  get seen(): Term {
    return this.#arbiter.seen;
  }

  /** Another host takes its place: nothing is on its disks. */
  replaceHost(): void {
    this.crash('power');
    this.process.say('is another host from now on');
    this.#spoken = toTerm(0);
    this.#arbiter.forget();
    this.#machines.disk.overwrite([]);
  }

  start(startAnew = false): void {
    const { process } = this;
    if (process.isUp) return;
    process.start();
    this.hasLeft = false;
    process.say('starts');
    const { settings, seams, network } = this.#around;
    const { epochMs, onBackupLost, ack, silenceMs, heldOutputsMax, cuts } = settings;
    this.core = seams.core({
      ...{ node: this.name, holder: process.holder, startAnew },
      ...{ spoken: this.#spoken, seen: this.#arbiter.seen },
      ...{ isPrepared: false, restartWaitMs: 0, ack, onBackupLost, epochMs, heldOutputsMax },
      ...{ detector: { silenceMs }, cuts },
    });
    const host = network.host(this.name);
    host.isUp = true;
    host.answer = () => (process.isUp && !process.isPaused ? this.#hello() : undefined);
    host.accept = (end) => process.enter(() => this.#links.accept(end));
    process.run(() => this.#tick());
  }

  /** The process is killed, or its host loses power. */
  crash(kind: 'process' | 'power'): void {
    if (!this.process.isUp) return;
    this.process.say(kind === 'process' ? 'is killed' : 'loses power');
    this.#end(kind === 'power');
  }

  /** Somebody asks for something; `heard` is not called by a node that dies before. */
  ask(wish: Wish, heard?: (answer: Answer) => void): void {
    const { judge, world } = this.#around;
    const { holder } = this.process;
    const ask = judge.asked({ node: this.name, holder, atMs: world.now, heard });
    this.process.enter(() => this.#step({ type: 'asked', ask, for: wish }));
  }

  /** A message of another connection arrives on the one with the backup. */
  stray(message: SimMessage): boolean {
    const { open } = this.#links;
    open?.[1].deliver(message, this.#around.world.now);
    return open !== undefined;
  }

  /** A part of the log that is being written leaves while the process dies. */
  tearLog(): void {
    const { open } = this.#links;
    const { machine, core } = this;
    if (open === undefined || machine === undefined || core === undefined) return;
    open[1].send({ ...machine.tornLog(), kind: 'log', term: core.term });
  }

  /** Tells the core, and performs what it says before it is told anything else. */
  #step(event: NodeEvent): void {
    if (this.#isStepping) {
      this.#events.push(event);
      return;
    }
    this.#isStepping = true;
    const { process } = this;
    const { life } = process;
    try {
      let next: NodeEvent | undefined = event;
      for (; next !== undefined; next = this.#events.shift()) {
        const effects = this.core?.step(next, process.now);
        if (effects === undefined) continue;
        for (const effect of effects) {
          process.step();
          this.#perform(effect);
          if (life.isOver) return;
        }
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #end(silently: boolean): void {
    const host = this.#around.network.host(this.name);
    host.answer = undefined;
    host.accept = undefined;
    if (silently) host.isUp = false;
    this.#links.vanish(silently);
    this.#machines.vanish();
    this.#savedAt = 0;
    this.#around.judge.ended(this.process.holder);
    this.core = undefined;
    this.#arbiter.concern = undefined;
    this.process.end();
    this.#events = [];
  }

  #hello(): SimHello {
    const { core } = this;
    if (core === undefined) throw new Error('no core says hello');
    // No snapshots here that a machine could go on from.
    const standing: Standing = { ...core.standing, logged: toTerm(0) };
    return { node: this.name, term: core.term, standing, ...this.#arbiter.said };
  }

  #tick(): void {
    this.#step({ type: 'timer' });
    this.#machines.tick();
    this.#arbiter.judge(this.role);
    this.process.later(limits.coreTimerMs, () => this.#tick());
  }

  #takeMessage(link: LinkId, message: SimMessage, arrivedAt: number): void {
    const machines = this.#machines;
    if (message.kind === 'ack') machines.ackArrivedAt = arrivedAt;
    if (message.kind === 'control' && message.control.type === 'drill') machines.drilled();
    try {
      this.#step({ type: 'message', link, message });
    } finally {
      machines.ackArrivedAt = undefined;
    }
  }

  #perform(effect: NodeEffect): void {
    switch (effect.type) {
      case 'send':
        this.#send(effect.link, effect.message as SimMessage);
        return;
      case 'ship':
        this.#send(effect.link, shipped(effect.term, effect.run as SimRun));
        return;
      case 'closeLink':
        this.#links.close(effect.link, effect.reason);
        return;
      case 'readArbiter':
      case 'compareAndSet':
        this.#arbiter.ask(effect);
        return;
      case 'dialPeer':
        this.#links.dial(this.#peerName, this.#hello());
        return;
      case 'lookAtDisks':
        this.process.later(0.1, () =>
          this.#step({ type: 'disksSeen', canRestart: false, logged: toTerm(0) }),
        );
        return;
      case 'remember':
        this.#remember(effect.term);
        return;
      case 'became':
      case 'changed':
      case 'waiting':
      case 'noted':
      case 'concern':
      case 'answer':
      case 'leave':
      case 'fail':
        this.#narrate(effect);
        return;
      default:
        this.#machines.perform(effect);
    }
  }

  /** What people see of it. */
  #narrate(effect: Narrated): void {
    const { process } = this;
    switch (effect.type) {
      case 'answer':
        this.#around.judge.answered(effect.ask, effect.answer);
        return;
      case 'became': {
        const { role, term } = effect;
        process.say(`is ${role === 'none' ? 'without a machine' : `a ${role}`}, term ${term}`);
        return;
      }
      case 'changed':
        if (effect.to === 'protected') this.#machines.granted();
        process.say(`${effect.role}: ${effect.from} -> ${effect.to}`);
        return;
      case 'waiting':
        if (effect.reason !== undefined) process.say(`waits: ${effect.reason}`);
        return;
      case 'concern':
        if (effect.about === 'arbiter') this.#arbiter.concern = effect.problem;
        process.say(`${effect.about}: ${effect.problem ?? 'nothing is wrong any more'}`);
        return;
      case 'noted':
        if ('reason' in effect.what) process.say(`${effect.what.type}: ${effect.what.reason}`);
        if (effect.what.type === 'machineEnded' && effect.what.outcome === 'termLost') {
          this.#around.judge.gaveUp({ node: this.name, holder: process.holder });
        }
        return;
      case 'leave':
        process.say('leaves: the guest is off');
        this.hasLeft = true;
        this.#end(false);
        return;
      case 'fail':
        throw new Error(`node ${this.name} failed: ${effect.reason}`);
    }
  }

  #send(link: LinkId, message: SimMessage): void {
    if (message.kind === 'ack' && message.received > 0) this.#machines.judgeAck(message.received);
    this.#links.end(link)?.send(message);
  }

  #remember(term: Term): void {
    const { world, seams } = this.#around;
    const ms = this.condition.rememberMs();
    if (ms === undefined) {
      world.struck('full disk at remember');
      const reason = 'the disk is full';
      this.process.later(1, () => this.#step({ type: 'notRemembered', term, reason }));
      return;
    }
    // One after the other, as src/node/spoken.ts saves them.
    this.#savedAt = Math.max(world.now, this.#savedAt) + ms;
    this.process.later(this.#savedAt - world.now, () => {
      if (seams.remembersSpoken) this.#spoken = term;
      this.#step({ type: 'remembered', term });
    });
  }
}

/**
 * Word by word, as all that is made for each message: a spread gives every object a shape of its
 * own.
 */
const shipped = (term: Term, { from, to, events }: SimRun): SimLog => ({
  kind: 'log',
  term,
  from,
  to,
  icount: icount(to),
  rawBytes: 0,
  codec: 0,
  payload: noBytes,
  events,
});
