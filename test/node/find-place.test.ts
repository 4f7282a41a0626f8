// A node may be started before its arbiter: it waits and says why, once. What it asks for is never
// asked for twice, and what waiting cannot mend ends it.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import { type Term, term } from '../../src/base/units.ts';
import { Terms } from '../../src/node/claims.ts';
import { findPlace, type Search } from '../../src/node/find-place.ts';
import type { Arbiter } from '../../src/ports/arbiter.ts';
import type { Link } from '../../src/ports/link.ts';
import { type ArbiterFault, FaultyArbiter, faultsInOrder } from '../doubles/faulty-arbiter.ts';
import { MemoryArbiter } from '../doubles/memory-arbiter.ts';

const silent = 'the arbiter does not answer: ';

/** A node's search, with what it told and how often it paused; it is stopped after `pausesMax`. */
function searchOf(arbiter: Arbiter, changes: Partial<Search> = {}, pausesMax = 50) {
  const told: (string | undefined)[] = [];
  const pauses: number[] = [];
  let dials = 0;
  const search: Search = {
    node: 'a',
    terms: new Terms(arbiter, 'a', 'life1'),
    spoken: term(0),
    startAnew: false,
    canRestart: async () => false,
    logged: () => term(0),
    restartWaitMs: 0,
    dialPeer: async () => {
      dials += 1;
      return undefined;
    },
    checkImages: () => undefined,
    onClaiming: () => undefined,
    onWaiting: (reason) => told.push(reason),
    pause: async (ms) => {
      pauses.push(ms);
    },
    isStopping: () => pauses.length >= pausesMax,
    ...changes,
  };
  return { told, pauses, dials: () => dials, place: findPlace(search) };
}

const faulty = (inner: Arbiter, ...faults: ArbiterFault[]) =>
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

describe('a node that looks for its place', () => {
  it.each([
    ['is won', undefined, [true]],
    ['is lost', { term: term(1), holder: 'b:x' }, [true, false]],
  ] as const)('its claim %s: the peer was told before it was sent (4)', async (_, other, told) => {
    // Goal: nobody who asks this node in between takes it for one that has no machine and gets
    // none.
    const arbiter = new MemoryArbiter();
    const said: boolean[] = [];
    const whenSent: boolean[][] = [];
    const watched: Arbiter = {
      read: () => arbiter.read(),
      compareAndSet: async (expected, next) => {
        whenSent.push([...said]);
        if (other !== undefined && said.length === 1) await arbiter.compareAndSet(expected, other);
        return arbiter.compareAndSet(expected, next);
      },
    };
    const search = searchOf(watched, { onClaiming: (is) => said.push(is) }, 1);
    const place = await search.place;
    expect(place?.type).toBe(other === undefined ? 'boot' : undefined);
    expect(whenSent[0]).toEqual([true]);
    expect(said).toEqual(told);
  });

  it('arbiter is started later: the node waits, says why once, and boots', async () => {
    const arbiter = faulty(new MemoryArbiter(), 'unreachable', 'unreachable', 'unreachable');
    const { place, told, pauses } = searchOf(arbiter);
    expect(await place).toEqual({ type: 'boot', term: 1 });
    const reason = `${silent}The arbiter is unreachable (a fault on purpose)`;
    expect(told).toEqual([reason, undefined]);
    expect(pauses).toEqual(Array(3).fill(limits.arbiterRetryMs));
  });

  it('the reason changes: it is told again', async () => {
    const errors = ['refused', 'refused', 'no route', 'refused'].map(away);
    const { place, told } = searchOf(failing(new MemoryArbiter(), errors));
    await place;
    expect(told).toEqual([`${silent}refused`, `${silent}no route`, `${silent}refused`, undefined]);
  });

  it('nothing is asked of the peer before the arbiter has answered', async () => {
    // Goal: only its term tells that a primary is one of a term that is over.
    const always = Array<ArbiterFault>(100).fill('unreachable');
    const { place, dials } = searchOf(faulty(new MemoryArbiter(), ...always));
    expect(await place).toBeUndefined();
    expect(dials()).toBe(0);
  });

  it('stopped while it waits: it ends without a place', async () => {
    const always = Array<ArbiterFault>(100).fill('unreachable');
    const { place, pauses } = searchOf(faulty(new MemoryArbiter(), ...always), {}, 2);
    expect(await place).toBeUndefined();
    expect(pauses).toHaveLength(2);
  });

  it.each<ArbiterFault>(['replyLost', 'unreachable', 'slow', 'slowReply', 'duplicate'])(
    'the claim to boot meets %s: one term is won, and it is the first',
    async (fault) => {
      // Goal: a node that won without knowing must not wait for a peer with newer disks for ever.
      const inner = new MemoryArbiter();
      const arbiter = faulty(inner, 'none', 'none', fault, fault, fault);
      expect(await searchOf(arbiter).place).toEqual({ type: 'boot', term: 1 });
      expect(await inner.read()).toEqual({ term: 1, holder: 'a:life1' });
    },
  );

  it('somebody else won meanwhile: the node looks again, and joins', async () => {
    const inner = new MemoryArbiter();
    const peer = {
      node: 'b',
      term: term(1),
      standing: { role: 'primary', isGranted: false, spoken: term(1) },
    };
    const link = { peer, close: () => undefined } as unknown as Link;
    let theirs: Term | undefined;
    const { place } = searchOf(faulty(inner, 'none', 'none', 'unreachable'), {
      dialPeer: async () => (theirs === undefined ? undefined : link),
      pause: async () => {
        if (theirs !== undefined) return;
        theirs = term(1);
        await inner.compareAndSet(undefined, { term: theirs, holder: 'b:life1' });
      },
      isStopping: () => false,
    });
    expect(await place).toEqual({ type: 'join', link });
  });

  it.each([
    ['none', true, { type: 'boot', term: 2 }],
    ['none', false, undefined],
    ['primary', true, { type: 'join' }],
  ] as const)(
    'all of the log is here, and the peer, which spoke last, is %s; a snapshot is here: %s',
    async (role, canRestart, wanted) => {
      const arbiter = new MemoryArbiter();
      await arbiter.compareAndSet(undefined, { term: term(1), holder: 'b:life1' });
      const standing = { role, isGranted: false, spoken: term(1), logged: term(0) };
      const peer = { node: 'b', term: term(1), standing };
      const closed: string[] = [];
      const close = (reason: string) => closed.push(reason);
      const looked: Term[] = [];
      const { place, told } = searchOf(arbiter, {
        logged: () => term(1),
        canRestart: async (at) => {
          looked.push(at);
          return canRestart;
        },
        dialPeer: async () => ({ peer, close }) as unknown as Link,
      });
      expect((await place)?.type).toBe(wanted?.type);
      if (wanted !== undefined) expect(await place).toMatchObject(wanted);
      // A machine that runs is not looked for in the store.
      expect(looked.length > 0).toBe(role === 'none');
      expect(closed.length > 0).toBe(role === 'none');
      expect(told[0]).toBe(
        wanted === undefined ? 'the peer has the newer disks and will boot' : undefined,
      );
    },
  );

  it('what will not pass by itself is thrown at once', async () => {
    const wrong = new UnderstudyError('arbiter', 'refused (401): another secret');
    const { place, told, pauses } = searchOf(failing(new MemoryArbiter(), [wrong]));
    await expect(place).rejects.toBe(wrong);
    expect([told, pauses]).toEqual([[], []]);

    const full: Arbiter = {
      read: async () => undefined,
      compareAndSet: () => Promise.reject(new UnderstudyError('arbiter', 'no space left')),
    };
    await expect(searchOf(full).place).rejects.toThrow('The arbiter does not answer: no space');
  });

  it('images that must not be booted from: the arbiter is not asked for a term', async () => {
    const inner = new MemoryArbiter();
    const checkImages = () => {
      throw new UnderstudyError('disk', 'a mixture');
    };
    await expect(searchOf(inner, { checkImages }).place).rejects.toThrow('a mixture');
    expect(await inner.read()).toBeUndefined();
  });

  it('waits for its peer: that is told, too, and ends with the stop', async () => {
    const inner = new MemoryArbiter();
    await inner.compareAndSet(undefined, { term: term(1), holder: 'b:life1' });
    const { place, told } = searchOf(inner, {}, 5);
    expect(await place).toBeUndefined();
    expect(told).toEqual([expect.stringContaining('the peer does not answer'), undefined]);
  });
});
