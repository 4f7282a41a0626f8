/** Who boots, who joins, who waits: told as the mornings after a night without power. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { term } from '../../src/base/units.ts';
import { choose, type MembershipFacts, type PeerStanding } from '../../src/core/membership.ts';

const peer = (overrides: Partial<PeerStanding> = {}): PeerStanding => ({
  role: 'none',
  term: term(5),
  isGranted: false,
  spoken: term(0),
  logged: term(0),
  ...overrides,
});

/** What a node chooses that held term 5 and spoke in it, unless said otherwise. */
const choice = (overrides: Partial<MembershipFacts> = {}) =>
  choose({
    term: term(5),
    lastSpoken: overrides.term ?? term(5),
    isOurs: true,
    spoken: term(5),
    seen: term(0),
    peer: undefined,
    waitedMs: limits.ownTermWaitMs,
    startAnew: false,
    canRestart: false,
    logged: term(0),
    restartWaitMs: 0,
    ...overrides,
  });

const claim = { type: 'claim', expected: 5 };

describe('a node without a machine', () => {
  it('new pair: both claim, and the arbiter chooses (5)', () => {
    expect(choice({ term: term(0), isOurs: false, spoken: term(0) })).toEqual({
      type: 'claim',
      expected: 0,
    });
  });

  it('the first term was won and its winner died before it booted: there is nothing to lose (5)', () => {
    const never = { term: term(1), isOurs: false, spoken: term(0) };
    const both = { ...never, peer: peer({ spoken: term(0) }) };
    expect(choice({ ...both, isOurs: true })).toEqual({ type: 'claim', expected: 1 });
    // Its peer does.
    expect(choice(both).type).toBe('wait');
    // Who does not answer may have spoken; who was granted may speak yet.
    expect(choice(never).type).toBe('wait');
    expect(choice({ ...never, peer: peer({ isGranted: true }) }).type).toBe('wait');
    // An arbiter that was set back: both have spoken, and one of them has the newer disks.
    expect(choice({ ...never, spoken: term(7), peer: peer({ spoken: term(5) }) }).type).toBe(
      'wait',
    );
  });

  it('has seen a newer term than the arbiter knows: it waits, whoever spoke last (5)', () => {
    const later = { seen: term(6) };
    for (const facts of [{}, { peer: peer({ spoken: term(4) }) }, { canRestart: true }]) {
      expect(choice({ ...later, ...facts })).toMatchObject({
        type: 'wait',
        reason: expect.stringContaining('has seen term 6: it was set back') as string,
      });
    }
    expect(choice({ ...later, startAnew: true })).toEqual(claim);
    // It never spoke; and the arbiter has lost every term.
    const none = { term: term(0), isOurs: false, spoken: term(0), seen: term(1) };
    expect(choice(none).type).toBe('wait');
    // A primary of the older term has lost to somebody, whatever the arbiter says now (6).
    const joins = (at: number) =>
      choice({ ...later, peer: peer({ role: 'primary', term: term(at) }) });
    expect(joins(5).type).toBe('wait');
    expect(joins(6).type).toBe('join');
  });

  it('it spoke last, the peer is gone: it looks for a while, then boots (2)', () => {
    expect(choice({ waitedMs: 0 }).type).toBe('wait');
    expect(choice()).toEqual(claim);
  });

  it('it spoke last, its backup is about to take over: the running machine goes first (2)', () => {
    const granted = peer({ role: 'backup', isGranted: true });
    expect(choice({ peer: granted, waitedMs: 0 }).type).toBe('wait');
    // A backup that cannot reach the arbiter must not keep the pair down.
    expect(choice({ peer: granted })).toEqual(claim);
    expect(choice({ isOurs: false, spoken: term(3), peer: granted }).type).toBe('wait');
  });

  it('the peer spoke last and is not back: old disks do not boot (4)', () => {
    const waits = choice({ isOurs: false, spoken: term(4), waitedMs: 1e9 });
    expect(waits).toMatchObject({ type: 'wait' });
    expect(choice({ isOurs: false, spoken: term(4), startAnew: true })).toEqual(claim);
  });

  it('the peer spoke last and is not back, its machine was kept here: it goes on from there (7)', () => {
    const kept = { isOurs: false, spoken: term(4), canRestart: true };
    expect(choice({ ...kept, waitedMs: 0 }).type).toBe('wait');
    expect(choice(kept)).toEqual(claim);
    // A peer that answers has newer disks, or the machine itself.
    expect(choice({ ...kept, peer: peer({ spoken: term(5) }) }).type).toBe('wait');
    expect(choice({ ...kept, peer: peer({ role: 'primary' }) }).type).toBe('join');
  });

  it('it spoke last, and its backup, which has all of the log, is not back: it is given time (8)', () => {
    const wait = { canRestart: true, restartWaitMs: 60_000 };
    expect(choice({ ...wait, waitedMs: 59_999 })).toEqual({
      type: 'wait',
      reason: 'looking for the peer, which may have more of the log: for at most 60 s',
    });
    expect(choice({ ...wait, waitedMs: 60_000 })).toEqual(claim);
    // Without a snapshot it boots from its disks, which have everything.
    expect(choice({ ...wait, canRestart: false })).toEqual(claim);
    // A peer that lost its log has nothing to wait for.
    expect(choice({ ...wait, peer: peer({ spoken: term(4) }) })).toEqual(claim);
    expect(choice({ ...wait, peer: peer({ logged: term(4) }) })).toEqual(claim);
  });

  it('both were down and are back: the one with all of the log goes on, and the other leaves it to it (8)', () => {
    const first = { restartWaitMs: 60_000, peer: peer({ logged: term(5) }) };
    expect(choice({ ...first, canRestart: true }).type).toBe('wait');
    expect(choice({ ...first, canRestart: false }).type).toBe('wait');
    // One that cannot, for 60 s, must not keep the pair down.
    expect(choice({ ...first, canRestart: true, waitedMs: 60_000 })).toEqual(claim);
    const second = { isOurs: false, spoken: term(4), peer: peer({ spoken: term(5) }) };
    const logged = { canRestart: true, logged: term(5) };
    expect(choice({ ...second, ...logged, waitedMs: 0 })).toEqual(claim);
    expect(choice({ ...second, canRestart: true, logged: term(4) }).type).toBe('wait');
    expect(choice({ ...second, canRestart: false, logged: term(5) }).type).toBe('wait');
    const granted = peer({ spoken: term(5), isGranted: true });
    expect(choice({ ...second, ...logged, peer: granted }).type).toBe('wait');
    expect(choice({ ...second, ...logged, peer: peer({ role: 'primary' }) }).type).toBe('join');
  });

  it('both were down and are back: exactly the one that spoke last boots (3)', () => {
    expect(choice({ peer: peer({ spoken: term(4) }), waitedMs: 0 })).toEqual(claim);
    const other = choice({ isOurs: false, spoken: term(4), peer: peer({ spoken: term(5) }) });
    expect(other.type).toBe('wait');
  });

  it('the last term was won and never spoken in: the one that spoke before it boots (3)', () => {
    const proven = { isOurs: false, spoken: term(4) };
    expect(choice({ ...proven, peer: peer({ spoken: term(0) }) })).toEqual(claim);
    expect(choice({ spoken: term(0), peer: peer({ spoken: term(4) }) }).type).toBe('wait');
    // Alone, its holder cannot know that its disks are good.
    expect(choice({ spoken: term(0), waitedMs: 1e9 }).type).toBe('wait');
  });

  it('a primary answers: it is joined, unless its term is over (6)', () => {
    const primary = (number: number) => peer({ role: 'primary', term: term(number) });
    expect(choice({ peer: primary(5), isOurs: false })).toEqual({ type: 'join' });
    expect(choice({ peer: primary(6) })).toEqual({ type: 'join' });
    expect(choice({ peer: primary(4) }).type).toBe('wait');
  });

  it('the arbiter knows less than a node: nobody claims from it, and both say why (5)', () => {
    const reason = 'was set back, or is not this pair';
    const empty = { term: term(0), isOurs: false, waitedMs: 1e9 };
    for (const facts of [
      { isOurs: false, spoken: term(9), peer: peer({ spoken: term(2) }) },
      { spoken: term(9), waitedMs: 1e9 },
      { ...empty, spoken: term(1) },
      { ...empty, spoken: term(0), peer: peer({ spoken: term(3) }) },
    ]) {
      expect(choice(facts)).toMatchObject({ type: 'wait' });
      expect(JSON.stringify(choice(facts))).toContain(reason);
    }
    // A primary that speaks counts, whatever the arbiter says.
    const speaks = peer({ role: 'primary', term: term(1), spoken: term(1) });
    expect(choice({ ...empty, spoken: term(0), peer: speaks })).toEqual({ type: 'join' });
    expect(choice({ ...empty, spoken: term(9), startAnew: true }).type).toBe('claim');
  });

  it('the last term is unproven: nobody spoke in it, and who spoke before it has the disks (2)', () => {
    const unproven = { term: term(5), lastSpoken: term(4), isOurs: false, spoken: term(4) };
    expect(choice({ ...unproven, waitedMs: 0 }).type).toBe('wait');
    expect(choice(unproven)).toEqual(claim);
    // Its holder is at work: a running machine goes first, for a while.
    const granted = peer({ role: 'backup', isGranted: true });
    expect(choice({ ...unproven, peer: granted }).type).toBe('wait');
    expect(choice({ ...unproven, peer: granted, waitedMs: limits.proofMs })).toEqual(claim);
    const proving = peer({ role: 'primary', term: term(5) });
    expect(choice({ ...unproven, peer: proving })).toEqual({ type: 'join' });
    // The holder itself has the older disks.
    const holder = { ...unproven, isOurs: true, spoken: term(2) };
    expect(choice({ ...holder, waitedMs: 1e9 }).type).toBe('wait');
  });

  it('two nodes that see each other never both boot, and one of two that spoke does (3)', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 6 }),
        fc.nat({ max: 6 }),
        fc.boolean(),
        (spokenHere, spokenThere, isOurs) => {
          const [here, there] = [term(spokenHere), term(spokenThere)];
          const facts = {
            ...{
              term: term(6),
              lastSpoken: term(6),
              startAnew: false,
              canRestart: false,
              waitedMs: 1e9,
            },
            ...{ seen: term(0), logged: term(0), restartWaitMs: 0 },
          };
          const a = choose({ ...facts, isOurs, spoken: here, peer: peer({ spoken: there }) });
          const b = choose({
            ...facts,
            isOurs: !isOurs,
            spoken: there,
            peer: peer({ spoken: here }),
          });
          const booting = [a, b].filter(({ type }) => type === 'claim').length;
          // Without a word ever spoken whose term it is boots (5).
          const areBothOld = spokenHere === spokenThere && spokenHere > 0 && booting === 0;
          expect(booting).toBe(areBothOld ? 0 : 1);
        },
      ),
    );
  });
});
