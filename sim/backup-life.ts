/** A simulated backup, for the life of one link: the core of src/core/backup.ts with a copy. */
import { limits } from '../src/base/limits.ts';
import { logPosition, type Term } from '../src/base/units.ts';
import type { BackupCore, BackupEffect, BackupEvent } from '../src/core/backup.ts';
import { FailureDetector } from '../src/core/failure-detector.ts';
import { cloneGuest } from './guest.ts';
import type { History } from './history.ts';
import { Machine } from './machine.ts';
import type { SimControl, SimLog, SimMessage } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import type { SimProcess } from './process.ts';
import { SimReplica } from './replica.ts';

export class BackupLife {
  readonly #node: SimProcess;
  readonly #end: ConnectionEnd;
  readonly #core: BackupCore;
  readonly #detector: FailureDetector;
  /** The primary's term: what a claim must find unchanged. */
  readonly term: Term;
  replica: SimReplica | undefined;
  /** Log that came before the seed. */
  readonly #early: SimLog[] = [];
  /** End of the log in memory, and on disk. */
  #held = 0;
  #durable = 0;
  #isDrill = false;
  #ended = false;

  constructor(node: SimProcess, end: ConnectionEnd) {
    this.#node = node;
    this.#end = end;
    this.term = end.peerHello.term;
    const { settings, seams } = node.around;
    this.#core = seams.backupCore({ ack: settings.ack });
    this.#detector = new FailureDetector({ silenceMs: settings.silenceMs }, node.now);
  }

  begin(): void {
    const [node, end] = [this.#node, this.#end];
    node.say(`is a backup of ${end.peerHello.node} in term ${this.term}`);
    this.#step({ type: 'connected', primary: end.peerHello.node, term: this.term });
    this.#tick();
    end.handlers = {
      onMessage: (message) => node.enter(() => this.#takeMessage(message)),
      onClose: (reason) => node.enter(() => this.#step({ type: 'linkLost', reason })),
    };
  }

  get isGranted(): boolean {
    return this.#core.isGranted;
  }

  get state(): string {
    return this.#core.state.kind;
  }

  /** For the checkers: which machine this is a copy of. */
  get history(): History | undefined {
    return this.replica?.history;
  }

  /** For the checkers: what it truly holds. */
  holds(mode: 'received' | 'durable'): number {
    return mode === 'received' ? this.#held : this.#durable;
  }

  destroy(silently: boolean): void {
    this.#ended = true;
    if (silently) this.#end.vanish();
    else this.#end.close('the process ended');
  }

  #tick(): void {
    if (this.#ended) return;
    const node = this.#node;
    this.#step({ type: 'timer' });
    for (const effect of this.#detector.step({ type: 'timer' }, node.now)) {
      if (effect.type === 'sendHeartbeat') this.#send(effect.heartbeat);
      if (effect.type === 'suspect') {
        node.say(`suspects ${node.peerName}`);
        this.#end.close('silent for too long');
        this.#step({ type: 'linkLost', reason: `silent for ${effect.silentMs} ms` });
      }
    }
    const { replica } = this;
    if (replica !== undefined && !this.#ended) {
      const hadWork = replica.backlog > 0;
      const failure = replica.work(node.now);
      if (failure !== undefined) this.#step({ type: 'replicaFailed', reason: failure });
      else {
        if (hadWork && replica.backlog === 0) this.#step({ type: 'caughtUp' });
        if (this.state === 'seeding' && replica.backlog <= 1) this.#step({ type: 'replicaReady' });
      }
      const waiting = { backlogEvents: replica.backlog };
      node.around.judge.sizes({ node: node.name, waiting });
    }
    node.later(limits.coreTimerMs, () => this.#tick());
  }

  #takeMessage(message: SimMessage): void {
    if (this.#ended) return;
    const node = this.#node;
    this.#detector.step({ type: 'received' }, node.now);
    const verdict = node.around.seams.judgeTerm(this.term, message.term);
    if (verdict.type === 'refuse') {
      const { refused, current } = verdict;
      this.#send({ type: 'staleTerm', refused, current });
      return;
    }
    if (verdict.type === 'overruled') {
      this.#step({ type: 'termHeard', term: verdict.term });
      return;
    }
    if (message.kind === 'log') this.#takeLog(message);
    if (message.kind === 'control') this.#takeControl(message.control);
  }

  #takeControl(control: SimControl): void {
    const node = this.#node;
    switch (control.type) {
      case 'seed': {
        const { image } = control;
        node.disk.overwrite(image.disk);
        this.replica = new SimReplica(image, node.disk, node.around.seams, node.now);
        this.#held = Math.max(this.#held, image.position);
        for (const log of this.#early.splice(0)) this.#feed(log);
        return;
      }
      case 'grant':
        this.#step({ type: 'granted' });
        return;
      case 'handOver':
        this.#isDrill = true;
        this.#step({ type: 'drill' });
        return;
      case 'compare':
        this.replica?.compareAt(control.position, control.digest);
        return;
      case 'powerOff':
        this.#step({ type: 'guestPoweredOff' });
        return;
      case 'staleTerm':
        this.#step({ type: 'termHeard', term: control.current });
        return;
      case 'heartbeat':
        this.#detector.step({ type: 'heartbeat', heartbeat: control }, node.now);
        return;
      case 'seedReady':
        return;
    }
  }

  #takeLog(log: SimLog): void {
    const { seams } = this.#node.around;
    const gap = this.#held !== 0 && log.from !== this.#held && this.replica !== undefined;
    if (seams.refusesTornLog && (log.torn === true || gap)) {
      const reason = log.torn === true ? 'a torn event' : `log from ${log.from}, not ${this.#held}`;
      this.#end.close(reason);
      this.#step({ type: 'linkLost', reason });
      return;
    }
    this.#held = log.to;
    if (this.replica === undefined) this.#early.push(log);
    else this.#feed(log);
    if (log.events.some(({ kind }) => kind === 'shutdown')) {
      this.#step({ type: 'guestShutdownLogged' });
    }
    this.#step({ type: 'log', to: logPosition(log.to) });
    this.#spool(log.to);
  }

  #feed(log: SimLog): void {
    if (log.to > (this.replica?.fedTo ?? 0)) this.replica?.feed(log, this.#node.now);
  }

  #spool(to: number): void {
    const node = this.#node;
    const ms = node.condition.spoolMs();
    if (ms === undefined) {
      // Without durable acknowledgements the spool is a convenience.
      if (node.around.settings.ack === 'durable') {
        this.#step({ type: 'replicaFailed', reason: 'the spool is full' });
      }
      return;
    }
    node.later(ms, () => {
      if (this.#ended || to <= this.#durable) return;
      this.#durable = to;
      this.#step({ type: 'durable', to: logPosition(to) });
    });
  }

  #step(event: BackupEvent): void {
    if (this.#ended) return;
    for (const effect of this.#core.step(event, this.#node.now)) {
      if (this.#ended) return;
      this.#node.step();
      this.#perform(effect);
    }
  }

  #perform(effect: BackupEffect): void {
    const node = this.#node;
    switch (effect.type) {
      case 'ack': {
        const received = node.around.seams.ackPosition(effect.position);
        node.around.judge.acknowledged({
          node: node.name,
          history: this.history,
          position: received,
          mode: node.around.settings.ack,
          held: this.#held,
          durable: this.#durable,
        });
        this.#end.send({ kind: 'ack', term: this.term, received });
        return;
      }
      case 'reportReady':
        this.#send({ type: 'seedReady' });
        return;
      case 'claimTerm':
        node.claim(effect.expected, (outcome) => this.#step(outcome));
        return;
      case 'takeOver':
        // Draining and proving, then loading: measured on real pairs, see sim/fleet/figures.ts.
        node.later(node.around.world.prng.between(12, 60), () => this.#takeOver(effect.term));
        return;
      case 'discardReplica':
        node.say(`discards its copy: ${effect.reason}`);
        this.replica = undefined;
        return;
      case 'changed':
        node.say(`backup: ${effect.from.kind} -> ${effect.to.kind}`);
        return;
      case 'end':
        this.#finish(effect.outcome === 'poweredOff' ? 'poweredOff' : 'seek');
        return;
    }
  }

  #takeOver(term: Term): void {
    const node = this.#node;
    const { world, judge, seams } = node.around;
    const { replica } = this;
    if (this.#ended || replica === undefined) return;
    const failure = replica.drain();
    if (failure !== undefined) {
      this.#step({ type: 'takeoverFailed', reason: failure });
      return;
    }
    const state = cloneGuest(replica.state);
    const { history, position } = replica;
    const { disk, name, holder } = node;
    for (const write of state.pending) seams.completeInFlight(disk, write);
    node.remember(term, () => {
      if (this.#ended) return;
      node.say(`takes over at position ${position}`);
      const isDrill = this.#isDrill;
      judge.tookOver({ node: name, holder, term, history, position, state, disk, isDrill });
      this.#ended = true;
      this.#end.close('took over');
      node.becomePrimary(
        (handlers) =>
          new Machine({
            world,
            disk,
            state,
            history: history.continuedAt(state),
            handlers,
            diskMs: () => node.condition.diskMs(),
            complete: seams.complete,
          }),
        term,
      );
    });
  }

  #finish(outcome: 'poweredOff' | 'seek'): void {
    this.#ended = true;
    this.#end.close(outcome);
    this.#node.roleEnded(outcome);
  }

  #send(control: SimControl): void {
    this.#end.send({ kind: 'control', term: this.term, control });
  }
}
