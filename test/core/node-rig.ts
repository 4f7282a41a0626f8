/**
 * The core of a node with a world around it that answers at once: an arbiter, a peer to dial,
 * disks, and a machine or a copy. What is in `holds` is not answered, so that a test can say what
 * comes of it.
 */
import { expect } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import {
  type Epoch,
  icount,
  type LogPosition,
  logPosition,
  type Millis,
  type Term,
  term,
} from '../../src/base/units.ts';
import type {
  Answer,
  DisksSeen,
  NodeEffect,
  NodeEvent,
  PeerHello,
  Wish,
} from '../../src/core/effects.ts';
import { NodeCore, type NodeOptions } from '../../src/core/node.ts';
import type { ArbiterState } from '../../src/ports/arbiter.ts';
import { sameState } from '../../src/ports/arbiter.ts';
import type { Control, Standing } from '../../src/ports/link.ts';

type Of<T extends NodeEffect['type']> = Extract<NodeEffect, { type: T }>;

const nothing: Standing = { role: 'none', isGranted: false, spoken: term(0), logged: term(0) };

export const helloOf = (of: Term, standing: Partial<Standing> = {}): PeerHello => ({
  ...{ node: 'b', term: of },
  standing: { ...nothing, ...standing },
});

export class NodeRig {
  readonly core: NodeCore;
  /** Everything that was done, in its order. */
  readonly done: NodeEffect[] = [];
  /** What a hello said after each step. */
  readonly standings: NodeCore['standing'][] = [];
  readonly answers = new Map<number, Answer[]>();
  /** Effects that get no answer of the world. */
  readonly holds: Set<NodeEffect['type']>;
  arbiter: ArbiterState | undefined;
  peer: PeerHello | undefined;
  disks: DisksSeen = { canRestart: false, logged: term(0) };
  now = 1000;
  #asks = 0;
  #position = 12;
  #markers: Epoch[] = [];
  readonly #events: NodeEvent[] = [];

  constructor(options: Partial<NodeOptions> = {}, ...holds: NodeEffect['type'][]) {
    this.holds = new Set(holds);
    this.core = new NodeCore({
      ...{
        node: 'a',
        holder: 'a:life1',
        spoken: term(0),
        seen: term(0),
        startAnew: false,
        isPrepared: false,
      },
      ...{ ack: 'received', onBackupLost: 'runAlone', epochMs: limits.epochMs, restartWaitMs: 0 },
      detector: { silenceMs: 60_000, heartbeatMs: 20_000 },
      ...options,
    });
  }

  /** A primary that runs alone in term 1. */
  static alone(options: Partial<NodeOptions> = {}): NodeRig {
    const rig = new NodeRig(options);
    rig.tick();
    expect([rig.core.role, rig.core.state, rig.core.term]).toEqual(['primary', 'alone', 1]);
    return rig;
  }

  /** A primary in term 1 whose backup, on link 9, may take over. */
  static protected(options: Partial<NodeOptions> = {}): NodeRig {
    const rig = NodeRig.alone(options);
    rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(1)) });
    rig.step({ type: 'seedCut', position: rig.position });
    rig.step({ type: 'seedEnded' });
    rig.hear({ type: 'seedReady', seedId: '1.1' });
    rig.seeMarkers();
    expect(rig.core.state).toBe('protected');
    return rig;
  }

  /** A backup of `b` on link 1, whose copy is not there yet. */
  static seeded(options: Partial<NodeOptions> = {}): NodeRig {
    const rig = new NodeRig(options);
    rig.arbiter = { term: term(1), holder: 'b:x' };
    rig.peer = helloOf(term(1), { role: 'primary', spoken: term(1) });
    rig.tick();
    expect([rig.core.role, rig.core.state]).toEqual(['backup', 'seeding']);
    return rig;
  }

  /** A backup of `b` that may take over. */
  static protecting(options: Partial<NodeOptions> = {}): NodeRig {
    const rig = NodeRig.seeded(options);
    rig.step({ type: 'copyReady', seedId: '1.1' });
    rig.hear({ type: 'grant' }, 1);
    expect(rig.core.state).toBe('protecting');
    return rig;
  }

  get position(): LogPosition {
    return logPosition(this.#position);
  }

  /** All that comes of an event at once. */
  step(event: NodeEvent): NodeEffect[] {
    const from = this.done.length;
    this.#events.push(event);
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const effects = this.core.step(next, this.now as Millis);
      this.standings.push(this.core.standing);
      for (const effect of effects) this.#perform(effect);
    }
    return this.done.slice(from);
  }

  tick(): NodeEffect[] {
    return this.step({ type: 'timer' });
  }

  /** All that comes of time that passes, but for looks at the arbiter by a node that has a role. */
  pass(ms: number): NodeEffect[] {
    const done: NodeEffect[] = [];
    for (let left = ms; left > 0; left -= limits.coreTimerMs) {
      this.now += Math.min(left, limits.coreTimerMs);
      const hasRole = this.core.role !== 'none';
      done.push(...this.tick().filter(({ type }) => !hasRole || type !== 'readArbiter'));
    }
    return done;
  }

  /** The peer says something, in this term. */
  hear(control: Control, link = 9, of: Term = this.core.term): NodeEffect[] {
    return this.step({ type: 'message', link, message: { kind: 'control', term: of, control } });
  }

  acknowledge(received: LogPosition = this.position, link = 9): NodeEffect[] {
    const message = { kind: 'ack', term: this.core.term, received, appliedIcount: icount(0) };
    return this.step({ type: 'message', link, message: message as never });
  }

  /** The machine records on; all markers that were given come back. */
  seeMarkers(): NodeEffect[] {
    const markers = this.#markers.splice(0);
    return this.record(...markers);
  }

  record(...markers: Epoch[]): NodeEffect[] {
    const from = this.position;
    this.#position += 100;
    const at = { position: from, icount: icount(this.#position * 1e6) };
    return this.step({
      type: 'recorded',
      run: {
        ...{ from, to: this.position, bytes: 100 },
        markers: markers.map((epoch) => ({ epoch, ...at })),
      },
    });
  }

  /** Somebody asks; the number to look for the answer with. */
  ask(wish: Wish): number {
    this.#asks += 1;
    this.step({ type: 'asked', ask: this.#asks, for: wish });
    return this.#asks;
  }

  /** The one answer; `undefined`: none yet. */
  answer(ask: number): Answer | undefined {
    const given = this.answers.get(ask) ?? [];
    expect(given.length).toBeLessThanOrEqual(1);
    return given[0];
  }

  all<T extends NodeEffect['type']>(type: T): Of<T>[] {
    return this.done.filter((effect): effect is Of<T> => effect.type === type);
  }

  #perform(effect: NodeEffect): void {
    this.done.push(effect);
    if (effect.type === 'sendMarker') this.#markers.push(effect.epoch);
    if (effect.type === 'answer') {
      const given = this.answers.get(effect.ask) ?? [];
      this.answers.set(effect.ask, [...given, effect.answer]);
    }
    if (this.holds.has(effect.type)) return;
    const answer = this.#answerTo(effect);
    if (answer !== undefined) this.#events.push(answer);
  }

  #answerTo(effect: NodeEffect): NodeEvent | undefined {
    switch (effect.type) {
      case 'readArbiter':
        return { type: 'arbiterRead', ask: effect.ask, state: this.arbiter };
      case 'compareAndSet': {
        const won = sameState(this.arbiter, effect.expected);
        if (won) this.arbiter = effect.next;
        const result = won ? { won } : { won, current: this.arbiter };
        return { type: 'arbiterSet', ask: effect.ask, result };
      }
      case 'dialPeer':
        if (this.peer === undefined) return { type: 'dialled' };
        return { type: 'dialled', link: 1, hello: this.peer };
      case 'lookAtDisks':
        return { type: 'disksSeen', ...this.disks };
      case 'remember':
        return { type: 'remembered', term: effect.term };
      case 'boot':
        return { type: 'booted' };
      case 'takeOver':
        return { type: 'tookOver' };
      case 'destroyMachine':
      case 'discardCopy':
      case 'followPowerOff':
        return { type: 'gone' };
      default:
        return undefined;
    }
  }
}

export const types = (effects: readonly NodeEffect[]): NodeEffect['type'][] =>
  effects.map(({ type }) => type);
