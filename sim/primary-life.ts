/** A simulated primary: the core of src/core/primary.ts with a machine, a gate's queue and a link. */
import { limits } from '../src/base/limits.ts';
import { epoch, icount, logPosition, type Term } from '../src/base/units.ts';
import { FailureDetector } from '../src/core/failure-detector.ts';
import type { PrimaryCore, PrimaryEffect, PrimaryEvent } from '../src/core/primary.ts';
import { eventBytes } from './guest.ts';
import type { LogSegment, Machine, MachineHandlers } from './machine.ts';
import type { SimControl, SimMessage } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import type { SimProcess } from './process.ts';

interface Backup {
  readonly end: ConnectionEnd;
  readonly detector: FailureDetector;
  /** Log is shipped from here on; `undefined` before the cut. */
  shippedFrom: number | undefined;
}

/** Between two attempts to find a moment without a disk request. */
const cutRetryMs = 3;
const cutAttempts = 400;

export class PrimaryLife {
  readonly machine: Machine;
  readonly #node: SimProcess;
  readonly #core: PrimaryCore;
  /** Indices of outputs that wait at the gate, in order. */
  readonly #queue: number[] = [];
  #taken = 0;
  #backup: Backup | undefined;
  #hadGranted = false;
  /** When the ack that is being handled reached this host. */
  #ackArrivedAt: number | undefined;
  #flushedTo = 0;
  #ended = false;

  constructor(node: SimProcess, machine: (handlers: MachineHandlers) => Machine, term: Term) {
    this.#node = node;
    const { settings, seams } = node.around;
    this.#core = seams.primaryCore({ term, ...settings });
    this.machine = machine({
      // One delay for all of a kind keeps their order.
      onOutput: (output) => node.later(0.2, () => this.#takeOutput(output.index)),
      onSegment: (segment) => node.later(0.4, () => this.#takeSegment(segment)),
      onOff: () => node.later(0.6, () => this.#guestOff()),
    });
    this.#tick();
  }

  get term(): Term {
    return this.#core.term;
  }

  get state(): string {
    return this.#core.state.kind;
  }

  heardOf(term: Term): void {
    this.#step({ type: 'termHeard', term });
  }

  backupConnected(end: ConnectionEnd): void {
    if (this.state !== 'alone' && this.state !== 'holding') {
      end.close(`this primary is ${this.state} already`);
      return;
    }
    const node = this.#node;
    const { silenceMs } = node.around.settings;
    const detector = new FailureDetector({ silenceMs }, node.now);
    this.#backup = { end, detector, shippedFrom: undefined };
    this.#step({ type: 'backupJoined', backup: end.peerHello.node });
    end.handlers = {
      onMessage: (message, { arrivedAt }) =>
        node.enter(() => this.#takeMessage(end, message, arrivedAt)),
      onClose: (reason) =>
        node.enter(() => {
          if (this.#backup?.end === end) this.#step({ type: 'backupLost', reason });
        }),
    };
  }

  drill(): void {
    this.#step({ type: 'drill' });
  }

  /** Makes the backup compare its state with the machine's. */
  compare(): void {
    if (this.state !== 'protected' || this.machine.isStanding) return;
    const image = this.machine.cut();
    if (image === undefined) return;
    const digest = image.history.digestAt(image.position) ?? 0;
    // Behind the log up to there, which is on its way to the link.
    this.#node.later(0.4, () => this.#send({ type: 'compare', position: image.position, digest }));
  }

  /** The process dies: so does its machine, and the kernel closes its connections or cannot. */
  destroy(silently: boolean): void {
    this.#ended = true;
    this.machine.destroy();
    if (silently) this.#backup?.end.vanish();
    else this.#backup?.end.close('the process ended');
  }

  /** A message of another connection arrives on this one. */
  stray(message: SimMessage): boolean {
    const backup = this.#backup;
    if (backup === undefined) return false;
    const arrivedAt = this.#node.around.world.now;
    this.#node.enter(() => this.#takeMessage(backup.end, message, arrivedAt));
    return true;
  }

  /** A part of the log that is being written leaves while the process dies. */
  tearLog(): void {
    const backup = this.#backup;
    if (backup?.shippedFrom === undefined) return;
    const from = this.#flushedTo;
    const events = [{ kind: 'input', value: 77 }] as const;
    const to = from + eventBytes(events[0]);
    backup.end.send({ kind: 'log', term: this.term, from, to, events, torn: true });
  }

  #tick(): void {
    const node = this.#node;
    if (this.#ended) return;
    this.#step({ type: 'timer' });
    const backup = this.#backup;
    for (const effect of backup?.detector.step({ type: 'timer' }, node.now) ?? []) {
      if (effect.type === 'sendHeartbeat') this.#send(effect.heartbeat);
      if (effect.type === 'suspect' && this.#backup === backup) {
        node.say(`suspects ${node.peerName}`);
        this.#step({ type: 'backupLost', reason: `silent for ${effect.silentMs} ms` });
      }
    }
    node.around.judge.sizes({ node: node.name, waiting: { heldOutputs: this.#queue.length } });
    node.later(limits.coreTimerMs, () => this.#tick());
  }

  #takeOutput(index: number): void {
    this.#queue.push(index);
    this.#step({ type: 'outputs', count: 1 });
  }

  #takeSegment({ from, to, events }: LogSegment): void {
    this.#flushedTo = to;
    const backup = this.#backup;
    if (backup?.shippedFrom !== undefined && from >= backup.shippedFrom) {
      backup.end.send({ kind: 'log', term: this.term, from, to, events });
    }
    let position = from;
    for (const event of events) {
      if (event.kind === 'marker') {
        const at = logPosition(position);
        // The simulated guest's log grows as it works.
        const work = icount(position * limits.idleInstructionsPerMs);
        this.#step({ type: 'markerSeen', epoch: epoch(event.epoch), position: at, icount: work });
      }
      position += eventBytes(event);
    }
  }

  #guestOff(): void {
    this.#step({ type: 'guestPoweredOff', logEnd: logPosition(this.#flushedTo) });
  }

  #takeMessage(end: ConnectionEnd, message: SimMessage, arrivedAt: number): void {
    const backup = this.#backup;
    if (this.#ended || backup?.end !== end) return;
    const node = this.#node;
    backup.detector.step({ type: 'received' }, node.now);
    const verdict = node.around.seams.judgeTerm(this.term, message.term);
    if (verdict.type === 'refuse') {
      const { refused, current } = verdict;
      this.#send({ type: 'staleTerm', refused, current });
      return;
    }
    if (verdict.type === 'overruled') {
      this.heardOf(verdict.term);
      return;
    }
    if (message.kind === 'ack') {
      this.#ackArrivedAt = arrivedAt;
      this.#step({ type: 'ack', position: logPosition(message.received) });
      this.#ackArrivedAt = undefined;
      return;
    }
    if (message.kind !== 'control') return;
    const { control } = message;
    if (control.type === 'seedReady') this.#step({ type: 'backupReady' });
    if (control.type === 'staleTerm') this.heardOf(control.current);
    if (control.type === 'heartbeat') {
      backup.detector.step({ type: 'heartbeat', heartbeat: control }, node.now);
    }
  }

  #step(event: PrimaryEvent): void {
    if (this.#ended) return;
    for (const effect of this.#core.step(event, this.#node.now)) {
      if (this.#ended) return;
      this.#node.step();
      this.#perform(effect);
    }
  }

  #perform(effect: PrimaryEffect): void {
    const node = this.#node;
    switch (effect.type) {
      case 'sendMarker':
        this.machine.sendMarker(effect.epoch);
        return;
      case 'release':
        this.#release(effect.through);
        return;
      case 'seed':
        this.#seed(this.#backup, cutAttempts);
        return;
      case 'refuseBackup':
        return;
      case 'grant':
        this.#hadGranted = true;
        this.#send({ type: 'grant' });
        return;
      case 'handOver':
        this.#send({ type: 'handOver' });
        return;
      case 'dropBackup': {
        const backup = this.#backup;
        this.#backup = undefined;
        node.say(`drops its backup: ${effect.reason}`);
        backup?.end.close(effect.reason);
        return;
      }
      case 'claimTerm':
        node.claim(effect.expected, (outcome) => {
          if (outcome.type !== 'termWon') return this.#step(outcome);
          node.remember(outcome.term, () => this.#step(outcome));
        });
        return;
      case 'stopGuest':
        this.machine.stop();
        if (effect.purpose === 'drill') {
          // Behind the segment that the stop has pushed out.
          node.later(0.5, () =>
            this.#step({ type: 'guestStopped', logEnd: logPosition(this.#flushedTo) }),
          );
        }
        return;
      case 'continueGuest':
        this.machine.go();
        return;
      case 'changed':
        node.say(`primary: ${effect.from.kind} -> ${effect.to.kind}`);
        return;
      case 'destroyMachine':
        this.machine.destroy();
        return;
      case 'end':
        this.#finish(effect.outcome);
        return;
    }
  }

  #finish(outcome: 'poweredOff' | 'termLost' | 'failed'): void {
    if (outcome === 'poweredOff') this.#send({ type: 'powerOff' });
    this.#ended = true;
    this.#backup?.end.close(outcome);
    this.#node.roleEnded(outcome === 'poweredOff' ? 'poweredOff' : 'seek');
  }

  #release(through: number): void {
    const node = this.#node;
    const { around, holder, name } = node;
    const indices = this.#queue.splice(0, through - this.#taken);
    this.#taken = through;
    const { history } = this.machine;
    around.judge.released({
      atMs: around.world.now,
      node: name,
      holder,
      term: this.term,
      history,
      indices,
      state: this.state,
      mustHold: around.settings.onBackupLost === 'hold' && this.#hadGranted,
      backupHolds: this.state === 'protected' ? around.heldByPeerOf(name, history) : undefined,
      ackArrivedAt: this.#ackArrivedAt,
    });
  }

  #seed(backup: Backup | undefined, attempts: number): void {
    if (backup === undefined || this.#backup !== backup || this.#ended) return;
    const image = this.machine.cut();
    const node = this.#node;
    if (image === undefined) {
      const again = (): void => this.#seed(backup, attempts - 1);
      if (attempts > 0) node.later(cutRetryMs, again);
      else this.#step({ type: 'backupLost', reason: 'no valid cut could be made' });
      return;
    }
    backup.shippedFrom = image.position;
    const bulkMs = node.around.world.prng.between(20, 200);
    const control: SimControl = { type: 'seed', image };
    backup.end.send({ kind: 'control', term: this.term, control }, bulkMs);
  }

  #send(control: SimControl): void {
    this.#backup?.end.send({ kind: 'control', term: this.term, control });
  }
}
