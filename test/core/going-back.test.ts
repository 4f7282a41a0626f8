// A guest that failed by itself: its machine goes back to its past, in a term of its own, so that
// its backup, which would fail the same way, cannot take it over.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { term } from '../../src/base/units.ts';
import { helloOf, NodeRig, types } from './node-rig.ts';

const wish = { wish: 'goBack', reason: 'the guest has panicked' } as const;

describe('a machine whose guest failed', () => {
  it('ends when a term is won for it, and goes on from its past in that term', () => {
    const rig = NodeRig.protected();
    const from = rig.done.length;
    const ask = rig.ask(wish);
    expect(rig.answer(ask)).toEqual({ type: 'begun' });
    const order = types(rig.done.slice(from));
    const [won, ended, booted] = ['compareAndSet', 'destroyMachine', 'boot'].map((type) =>
      order.indexOf(type as never),
    );
    expect([won, ended, booted]).toEqual(
      [won, ended, booted].toSorted((a, b) => Number(a) - Number(b)),
    );
    expect(won).toBeGreaterThan(0);
    expect(rig.all('boot')).toEqual([
      { type: 'boot', term: 1 },
      { type: 'boot', term: 2, isBack: true },
    ]);
    expect(rig.all('remember').map((effect) => effect.term)).toEqual([1, 2]);
    expect(rig.arbiter).toEqual({ term: 2, holder: 'a:life1' });
    expect([rig.core.role, rig.core.state, rig.core.term]).toEqual(['primary', 'alone', 2]);
    // Its backup hears it by the end of the link, and is seeded anew.
    const reason = wish.reason;
    expect(rig.all('closeLink')).toContainEqual({ type: 'closeLink', link: 9, reason });
    rig.step({ type: 'linkOpened', link: 10, hello: helloOf(term(2)) });
    expect(rig.core.state).toBe('seeding');
  });

  it('is no machine that a peer may boot beside: it says that it comes, all the while (4, 7)', () => {
    const rig = NodeRig.protected();
    rig.holds.add('destroyMachine');
    rig.holds.add('boot');
    const from = rig.standings.length;
    rig.ask(wish);
    expect([rig.core.role, rig.core.state]).toEqual(['none', 'clearing']);
    rig.step({ type: 'gone' });
    expect(rig.core.state).toBe('booting');
    for (const { role, isGranted } of rig.standings.slice(from)) {
      expect(role === 'primary' || isGranted).toBe(true);
    }
  });

  it('stays, silent, while the arbiter does not answer', () => {
    const rig = NodeRig.protected();
    rig.holds.add('readArbiter');
    rig.ask(wish);
    rig.step({ type: 'outputs', count: 3 });
    rig.record();
    rig.acknowledge();
    expect(rig.core.state).toBe('claiming');
    expect([rig.all('destroyMachine'), rig.all('release')]).toEqual([[], []]);
    rig.holds.delete('readArbiter');
    const { ask = 0 } = rig.all('readArbiter').at(-1) ?? {};
    rig.step({ type: 'arbiterFailed', ask, reason: 'no answer', mayPass: true });
    rig.pass(limits.arbiterRetryMs + limits.coreTimerMs);
    expect(rig.all('boot').at(-1)).toEqual({ type: 'boot', term: 2, isBack: true });
  });

  it('alone, it wins a term, too: what is kept from then on is newer than what it leaves', () => {
    const rig = NodeRig.alone();
    rig.ask(wish);
    expect(rig.all('boot').at(-1)).toEqual({ type: 'boot', term: 2, isBack: true });
  });

  it('its backup was faster: it becomes the backup, and nothing of its past is booted', () => {
    const rig = NodeRig.protected();
    rig.arbiter = { term: term(2), holder: 'b:1' };
    rig.ask(wish);
    rig.pass(limits.coreTimerMs);
    expect(rig.core.role).toBe('none');
    expect(rig.all('boot')).toHaveLength(1);
  });

  it('its backup was faster, and has yet to prove that it can: it yields, and goes back later', () => {
    const rig = NodeRig.protected();
    rig.arbiter = { term: term(2), holder: 'b:1', unproven: true };
    rig.ask(wish);
    expect(rig.core.state).toBe('yielding');
    rig.step({ type: 'linkOpened', link: 10, hello: helloOf(term(2)) }); // it has no machine
    expect(rig.all('boot').at(-1)).toEqual({ type: 'boot', term: 3, isBack: true });
  });

  it('switched itself off meanwhile: it is off', () => {
    const rig = NodeRig.protected();
    rig.holds.add('remember');
    rig.ask(wish);
    rig.step({ type: 'poweredOff', logEnd: rig.position });
    rig.step({ type: 'remembered', term: term(2) });
    rig.pass(limits.powerOffMs + limits.coreTimerMs);
    expect(rig.done.at(-1)).toEqual({ type: 'leave' });
    expect(rig.all('boot')).toHaveLength(1);
  });

  it.each([
    ['while it is handed over', { wish: 'drill' }],
    ['twice', wish],
  ] as const)('does not go back %s', (_, first) => {
    const rig = NodeRig.protected();
    rig.holds.add('readArbiter');
    rig.ask(first);
    const { state } = rig.core;
    const problem = `The machine cannot go back now: ${state}`;
    expect(rig.answer(rig.ask(wish))).toEqual({ type: 'refused', code: 'takeover', problem });
    expect(rig.core.state).toBe(state);
  });

  it('is asked for where there is none: refused', () => {
    const rig = NodeRig.protecting();
    const answer = { type: 'refused', code: 'cut', problem: 'This node is not primary' };
    expect(rig.answer(rig.ask(wish))).toEqual(answer);
  });
});
