// A node may be started before its arbiter: it waits and says why, once. What it asks for is never
// asked for twice, and what waiting cannot mend ends it.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import { type Millis, type Term, term } from '../../src/base/units.ts';
import type { DisksSeen, NodeEffect, NodeEvent, PeerHello } from '../../src/core/effects.ts';
import { choose, type MembershipFacts } from '../../src/core/membership.ts';
import { type Place, type PlaceOptions, PlaceSearch } from '../../src/core/place.ts';
import type { Arbiter } from '../../src/ports/arbiter.ts';
import { type ArbiterFault, FaultyArbiter, faultsInOrder } from '../doubles/faulty-arbiter.ts';
import { MemoryArbiter } from '../doubles/memory-arbiter.ts';
import { answerOf } from '../doubles/terms.ts';

const silent = 'the arbiter gives no term: ';

interface World {
  readonly arbiter: Arbiter;
  /** The peer as it answers when it is dialled; `undefined`: it does not. */
  readonly peer?: () => PeerHello | undefined;
  readonly isRefused?: () => boolean;
  readonly disks?: (at: Term) => DisksSeen;
  readonly options?: Partial<PlaceOptions>;
  /** Called before each pause. */
  readonly onPause?: () => Promise<void>;
}

/** A node's search in a world that answers at once, with a clock that moves while it pauses. */
class SearchRig {
  readonly search: PlaceSearch;
  readonly told: (string | undefined)[] = [];
  readonly pauses: number[] = [];
  readonly closed: string[] = [];
  /** Terms whose machine was looked for on the disks. */
  readonly looked: Term[] = [];
  /** `isClaiming`, each time it changed, and when each compare-and-set was asked for. */
  readonly said: boolean[] = [];
  readonly whenSent: boolean[] = [];
  dials = 0;
  now = 1000;
  readonly #world: World;
  readonly #effects: NodeEffect[] = [];
  #asks = 0;

  constructor(world: World) {
    this.#world = world;
    this.search = new PlaceSearch({
      ...{ node: 'a', holder: 'a:life1', spoken: () => term(0), seen: () => term(0) },
      ...{ startAnew: false, restartWaitMs: 0, choose },
      nextAsk: () => {
        this.#asks += 1;
        return this.#asks;
      },
      emit: (effect) => this.#effects.push(effect),
      ...world.options,
    });
  }

  /** Runs until there is a place; `undefined` when it has paused `pausesMax` times. */
  async place(pausesMax = 50): Promise<Place | undefined> {
    while (true) {
      const effect = this.#effects.shift();
      const events = effect === undefined ? await this.#pause(pausesMax) : await this.#do(effect);
      if (events === undefined) return undefined;
      for (const event of events) {
        const place = this.step(event);
        if (place !== undefined) return place;
      }
    }
  }

  step(event: NodeEvent): Place | undefined {
    const place = this.search.step(event, this.now as Millis);
    const { isClaiming } = this.search;
    if (place === undefined && isClaiming !== (this.said.at(-1) ?? false)) {
      this.said.push(isClaiming);
    }
    for (const effect of this.#effects) {
      if (effect.type === 'compareAndSet') this.whenSent.push(isClaiming);
    }
    return place;
  }

  /** The effects that nobody has looked at yet. */
  left(): NodeEffect[] {
    return this.#effects.splice(0);
  }

  async #do(effect: NodeEffect): Promise<NodeEvent[]> {
    switch (effect.type) {
      case 'readArbiter':
      case 'compareAndSet':
        return [await answerOf(this.#world.arbiter, effect)];
      case 'dialPeer': {
        this.dials += 1;
        const hello = this.#world.peer?.();
        if (hello !== undefined) return [{ type: 'dialled', link: 5, hello }];
        return [{ type: 'dialled', isRefused: this.#world.isRefused?.() === true }];
      }
      case 'lookAtDisks': {
        this.looked.push(effect.term);
        const disks = this.#world.disks?.(effect.term) ?? { canRestart: false, logged: term(0) };
        return [{ type: 'disksSeen', ...disks }];
      }
      case 'closeLink':
        this.closed.push(effect.reason);
        return [];
      case 'waiting':
        this.told.push(effect.reason);
        return [];
      default:
        throw new Error(`a search has nothing to do with ${effect.type}`);
    }
  }

  /** Nothing is on its way: time passes until something is asked. */
  async #pause(pausesMax: number): Promise<NodeEvent[] | undefined> {
    if (this.pauses.length >= pausesMax) return undefined;
    await this.#world.onPause?.();
    const from = this.now;
    while (this.#effects.length === 0) {
      this.now += limits.coreTimerMs;
      if (this.now - from > 60_000) throw new Error('it waits for nothing');
      this.step({ type: 'timer' });
    }
    this.pauses.push(this.now - from);
    return [];
  }
}

const faulty = (inner: MemoryArbiter, ...faults: ArbiterFault[]) =>
  new FaultyArbiter(inner, { nextFault: faultsInOrder(faults), wait: async () => undefined });

/** Arbiters whose first questions all meet these errors. */
function failing(inner: Arbiter, errors: readonly Error[]): Arbiter {
  const left = [...errors];
  return {
    read: async () => {
      const error = left.shift();
      if (error !== undefined) throw error;
      return inner.read();
    },
    compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
  };
}

const away = (message: string) => new UnderstudyError('arbiter', message, { mayPass: true });

const helloOf = (role: 'primary' | 'none', spoken = 1): PeerHello => ({
  ...{ node: 'b', term: term(1) },
  standing: { role, isGranted: false, spoken: term(spoken), logged: term(0) },
});

/** An arbiter that has given `b` the first term. */
async function givenToPeer(): Promise<MemoryArbiter> {
  const arbiter = new MemoryArbiter();
  await arbiter.compareAndSet(undefined, { term: term(1), holder: 'b:life1' });
  return arbiter;
}

describe('a node that looks for its place', () => {
  it.each([
    ['is won', undefined, [true]],
    ['is lost', { term: term(1), holder: 'b:x' }, [true, false]],
  ] as const)('its claim %s: the peer was told before it was sent (4)', async (_, other, told) => {
    // Goal: nobody who asks this node in between takes it for one that has no machine and gets
    // none.
    const arbiter = new MemoryArbiter();
    const watched: Arbiter = {
      read: () => arbiter.read(),
      compareAndSet: async (expected, next) => {
        if (other !== undefined && rig.said.length === 1) {
          await arbiter.compareAndSet(expected, other);
        }
        return arbiter.compareAndSet(expected, next);
      },
    };
    const rig = new SearchRig({ arbiter: watched });
    const place = await rig.place(other === undefined ? 1 : 0);
    expect(place?.type).toBe(other === undefined ? 'boot' : undefined);
    expect(rig.whenSent[0]).toBe(true);
    expect(rig.said).toEqual(told);
  });

  it('arbiter is started later: the node waits, says why once, and boots', async () => {
    const arbiter = faulty(new MemoryArbiter(), 'unreachable', 'unreachable', 'unreachable');
    const rig = new SearchRig({ arbiter });
    expect(await rig.place()).toEqual({ type: 'boot', term: 1 });
    const reason = `${silent}The arbiter is unreachable (a fault on purpose)`;
    expect([...rig.told, ...reasons(rig.left())]).toEqual([reason, undefined]);
    expect(rig.pauses).toEqual(Array(3).fill(limits.arbiterRetryMs));
  });

  it('the reason changes: it is told again', async () => {
    const errors = ['refused', 'refused', 'no route', 'refused'].map(away);
    const rig = new SearchRig({ arbiter: failing(new MemoryArbiter(), errors) });
    await rig.place();
    const told = [...rig.told, ...reasons(rig.left())];
    expect(told).toEqual([`${silent}refused`, `${silent}no route`, `${silent}refused`, undefined]);
  });

  it('a reason of several lines is told in one', async () => {
    const arbiter = failing(new MemoryArbiter(), [away('refused\n  because: no route')]);
    const rig = new SearchRig({ arbiter });
    await rig.place(1);
    expect(rig.told).toEqual([`${silent}refused; because: no route`]);
  });

  it('nothing is asked of the peer before the arbiter has answered', async () => {
    // Goal: only its term tells that a primary is one of a term that is over.
    const always = Array<ArbiterFault>(100).fill('unreachable');
    const rig = new SearchRig({ arbiter: faulty(new MemoryArbiter(), ...always) });
    expect(await rig.place()).toBeUndefined();
    expect([rig.dials, rig.looked]).toEqual([0, []]);
  });

  it('arbiter goes away after it answered: the peer is looked at all the same', async () => {
    // Goal: a primary in its term can be joined through an outage; a claim would find out the rest.
    let role: 'primary' | 'none' = 'none';
    const rig = new SearchRig({
      arbiter: faulty(await givenToPeer(), 'none', 'unreachable', 'unreachable'),
      peer: () => helloOf(role),
      onPause: async () => {
        role = 'primary';
      },
    });
    expect(await rig.place()).toMatchObject({ type: 'join', link: 5 });
    expect(rig.dials).toBe(2);
  });

  // A node that is told to stop while it waits is the driver's now: it steps its core no more.

  it.each<ArbiterFault>(['replyLost', 'unreachable', 'slow', 'slowReply', 'duplicate'])(
    'the claim to boot meets %s: one term is won, and it is the first',
    async (fault) => {
      // Goal: a node that won without knowing must not wait for a peer with newer disks for ever.
      const inner = new MemoryArbiter();
      const rig = new SearchRig({ arbiter: faulty(inner, 'none', 'none', fault, fault, fault) });
      expect(await rig.place()).toEqual({ type: 'boot', term: 1 });
      expect(await inner.read()).toEqual({ term: 1, holder: 'a:life1' });
      // It was never judged anew: the peer was looked for once.
      expect([rig.dials, rig.said]).toEqual([1, [true]]);
    },
  );

  it('a claim that never left is judged anew: the peer is asked again', async () => {
    // Goal: two nodes that refused each other for their arbiters must see that it was mended.
    const inner = new MemoryArbiter();
    let reads = 0;
    const refusing: Arbiter = {
      read: async () => {
        reads += 1;
        if (reads === 1 || role === 'primary') return inner.read();
        throw away('the two nodes have two arbiters');
      },
      compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
    };
    let role: 'primary' | undefined;
    const rig = new SearchRig({
      arbiter: refusing,
      peer: () => (role === undefined ? undefined : helloOf(role)),
      onPause: async () => {
        if (reads > 4) role = 'primary';
      },
    });
    expect(await rig.place()).toMatchObject({ type: 'join', link: 5 });
    expect(rig.dials).toBeGreaterThan(1);
  });

  it('somebody else won meanwhile: the node looks again, and joins', async () => {
    const inner = new MemoryArbiter();
    let theirs: Term | undefined;
    const rig = new SearchRig({
      arbiter: faulty(inner, 'none', 'none', 'unreachable'),
      peer: () => (theirs === undefined ? undefined : helloOf('primary')),
      onPause: async () => {
        if (theirs !== undefined) return;
        theirs = term(1);
        await inner.compareAndSet(undefined, { term: theirs, holder: 'b:life1' });
      },
    });
    expect(await rig.place()).toEqual({ type: 'join', link: 5, hello: helloOf('primary') });
    // The link to what it joins stays open.
    expect([...rig.closed, ...rig.left().filter(({ type }) => type === 'closeLink')]).toEqual([]);
  });

  it.each([
    ['none', true, { type: 'boot', term: 2 }],
    ['none', false, undefined],
    ['primary', true, { type: 'join' }],
  ] as const)(
    'all of the log is here, and the peer, which spoke last, is %s; a snapshot is here: %s',
    async (role, canRestart, wanted) => {
      const facts: MembershipFacts[] = [];
      const rig = new SearchRig({
        arbiter: await givenToPeer(),
        peer: () => helloOf(role),
        disks: () => ({ canRestart, logged: term(1) }),
        options: {
          choose: (found) => {
            facts.push(found);
            return choose(found);
          },
        },
      });
      const place = await rig.place();
      expect(place?.type).toBe(wanted?.type);
      if (wanted !== undefined) expect(place).toMatchObject(wanted);
      // The disks are looked at in any case, which costs a look into the store and decides nothing.
      expect(new Set(rig.looked)).toEqual(new Set([1]));
      // A machine that runs elsewhere is not gone on from, whatever the store has.
      const mayRestart = facts.map((found) => found.canRestart);
      expect(new Set(mayRestart)).toEqual(new Set([role === 'none' && canRestart]));
      expect(rig.closed.length > 0).toBe(role === 'none');
      expect(rig.told[0]).toBe(
        wanted === undefined ? 'the peer has the newer disks and will boot' : undefined,
      );
    },
  );

  it('what will not pass by itself ends the search at once', async () => {
    const wrong = new UnderstudyError('arbiter', 'refused (401): another secret');
    const rig = new SearchRig({ arbiter: failing(new MemoryArbiter(), [wrong]) });
    expect(await rig.place()).toEqual({ type: 'fail', reason: 'refused (401): another secret' });
    expect([rig.told, rig.pauses]).toEqual([[], []]);

    const full: Arbiter = {
      read: async () => undefined,
      compareAndSet: () => Promise.reject(new UnderstudyError('arbiter', 'no space left')),
    };
    const claiming = new SearchRig({ arbiter: full });
    expect(await claiming.place()).toEqual({
      ...{ type: 'fail', reason: 'The arbiter gives no term: no space left' },
    });
  });

  it('waits with disks that cannot be booted from while the peer and it refuse each other', async () => {
    let isRefused = true;
    const disks = () => ({ canRestart: false, logged: term(0), problem: 'no image\n  try: one' });
    const arbiter = new MemoryArbiter();
    const rig = new SearchRig({ arbiter, disks, isRefused: () => isRefused });
    expect(await rig.place(5)).toBeUndefined();
    expect(rig.told).toEqual([
      'the peer and this node refuse each other, and this one cannot boot: no image; try: one',
    ]);
    expect(await arbiter.read()).toBeUndefined();
    isRefused = false;
    expect(await rig.place()).toMatchObject({ type: 'fail', reason: 'no image\n  try: one' });
  });

  it('images that must not be booted from: the arbiter is not asked for a term', async () => {
    const inner = new MemoryArbiter();
    const disks = () => ({ canRestart: false, logged: term(0), problem: 'a mixture' });
    const rig = new SearchRig({ arbiter: inner, disks });
    expect(await rig.place()).toEqual({ type: 'fail', reason: 'a mixture' });
    expect(await inner.read()).toBeUndefined();
  });

  it('images that must not be booted from, and a primary to join: they will be a copy', async () => {
    const disks = () => ({ canRestart: false, logged: term(0), problem: 'a mixture' });
    const arbiter = await givenToPeer();
    const rig = new SearchRig({ arbiter, disks, peer: () => helloOf('primary') });
    expect(await rig.place()).toMatchObject({ type: 'join' });
  });

  it('waits for its peer: that is told, too, and once', async () => {
    const rig = new SearchRig({ arbiter: await givenToPeer() });
    expect(await rig.place(5)).toBeUndefined();
    expect(rig.told).toEqual([expect.stringContaining('the peer does not answer')]);
    expect(rig.pauses).toEqual(Array(5).fill(limits.dialRetryMs));
  });

  it('the peer comes at last: what was waited for is over, and that is told (5)', async () => {
    let isThere = false;
    const rig = new SearchRig({
      arbiter: await givenToPeer(),
      peer: () => (isThere ? helloOf('primary') : undefined),
      onPause: async () => {
        isThere = true;
      },
    });
    expect(await rig.place()).toMatchObject({ type: 'join' });
    expect([...rig.told, ...reasons(rig.left())]).toEqual([
      expect.stringContaining('the peer does not answer'),
      undefined,
    ]);
  });

  it('the peer goes while the disks are looked at: nobody joins a link that is closed', () => {
    const rig = new SearchRig({ arbiter: new MemoryArbiter() });
    const state = { term: term(1), holder: 'b:life1' };
    rig.step({ type: 'arbiterRead', ask: 1, state });
    rig.step({ type: 'dialled', link: 5, hello: helloOf('primary') });
    rig.step({ type: 'linkClosed', link: 5, reason: 'reset' });
    const place = rig.step({ type: 'disksSeen', canRestart: false, logged: term(0) });
    expect(place).toBeUndefined();
    expect(rig.left().at(-1)).toMatchObject({ type: 'waiting' });
  });

  it('a late answer of the arbiter to an older question is no answer', () => {
    const rig = new SearchRig({ arbiter: new MemoryArbiter() });
    rig.step({ type: 'arbiterRead', ask: 77, state: undefined });
    rig.step({ type: 'arbiterFailed', ask: 77, reason: 'refused', mayPass: false });
    expect(rig.left()).toEqual([{ type: 'readArbiter', ask: 1 }]);
  });

  it('a disk says late that this node has spoken: what was saved since counts', async () => {
    // Goal: a term that was won and remembered meanwhile is a term that this machine spoke in.
    let spoken = term(0);
    const arbiter = new MemoryArbiter();
    await arbiter.compareAndSet(undefined, { term: term(1), holder: 'b:life1' });
    await arbiter.compareAndSet(await arbiter.read(), { term: term(2), holder: 'a:life0' });
    const rig = new SearchRig({
      arbiter,
      peer: () => helloOf('none'),
      options: { spoken: () => spoken },
      onPause: async () => {
        spoken = term(2);
      },
    });
    expect(await rig.place()).toEqual({ type: 'boot', term: 3 });
    expect(rig.told).toEqual(['the peer has the newer disks and will boot']);
  });
});

const reasons = (effects: readonly NodeEffect[]): (string | undefined)[] =>
  effects.flatMap((effect) => (effect.type === 'waiting' ? [effect.reason] : []));
