// A node keeps each of the obligations in the head of src/core/node.ts, told as incidents.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';
import type { Answer } from '../../src/core/effects.ts';
import { helloOf, NodeRig, types } from './node-rig.ts';

const refused = (code: string, problem: string) => ({ type: 'refused', code, problem });

describe('a node that won a term', () => {
  it('first node of a new pair: the term is on its disk before the machine boots (2)', () => {
    const rig = new NodeRig({}, 'remember');
    expect(types(rig.tick()).at(-1)).toBe('remember');
    expect(rig.pass(10_000)).toEqual([]);
    expect(rig.core.state).toBe('booting');
    const remembered = rig.step({ type: 'remembered', term: term(1) });
    expect(remembered[0]).toEqual({ type: 'boot', term: 1 });
    expect([rig.core.role, rig.core.standing.spoken]).toEqual(['primary', 1]);
  });

  it('its disk is full: it is asked again until it takes the term, and nothing boots (2)', () => {
    const rig = new NodeRig({}, 'remember');
    rig.tick();
    for (let round = 1; round <= 3; round += 1) {
      const what = { type: 'notRemembered', term: term(1), reason: 'ENOSPC' } as const;
      expect(rig.step(what)).toEqual([{ type: 'noted', what }]);
      expect(rig.pass(limits.rememberRetryMs - limits.coreTimerMs)).toEqual([]);
      expect(rig.pass(limits.coreTimerMs)).toEqual([{ type: 'remember', term: 1 }]);
      expect(rig.pass(limits.rememberRetryMs * 2), 'one at a time').toEqual([]);
    }
    rig.step({ type: 'remembered', term: term(1) });
    expect(rig.core.state).toBe('alone');
  });

  it('it takes over: not a word before the term to speak in is won and on its disk (2)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('remember');
    const lost = rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    expect(types(lost)).toContain('takeOver');
    expect([rig.core.role, rig.core.state, rig.core.term]).toEqual(['primary', 'proving', 2]);
    expect(rig.arbiter).toEqual({ term: 3, holder: 'a:life1' });
    expect(rig.all('remember')).toEqual([{ type: 'remember', term: 3 }]);
    expect(rig.core.standing.spoken).toBe(0);
    rig.step({ type: 'outputs', count: 3 });
    rig.step({ type: 'remembered', term: term(1) }); // of another term: late, or a disk's mistake
    expect(rig.all('release')).toEqual([]);
    rig.step({ type: 'notRemembered', term: term(3), reason: 'EIO' });
    rig.pass(limits.rememberRetryMs);
    expect(rig.all('remember')).toHaveLength(2);
    expect(rig.all('release')).toEqual([]);
    const remembered = rig.step({ type: 'remembered', term: term(3) });
    expect(types(remembered).slice(0, 2)).toEqual(['speak', 'changed']);
    expect(remembered).toContainEqual({ type: 'release', through: 3 });
    expect([rig.core.state, rig.core.term, rig.core.standing.spoken]).toEqual(['alone', 3, 3]);
  });

  it('it claims as a primary: what was held leaves when the new term is on its disk (2)', () => {
    const rig = NodeRig.protected();
    rig.holds.add('remember');
    rig.step({ type: 'outputs', count: 1 });
    rig.step({ type: 'linkClosed', link: 9, reason: 'reset' });
    expect(rig.arbiter).toEqual({ term: 2, holder: 'a:life1' });
    expect([rig.core.state, rig.all('release')]).toEqual(['claiming', []]);
    const remembered = rig.step({ type: 'remembered', term: term(2) });
    expect(remembered).toContainEqual({ type: 'release', through: 1 });
    expect([rig.core.state, rig.core.term]).toEqual(['alone', 2]);
  });

  it('its guest goes off before the disk has the term: it speaks then, and leaves (2, 6)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('remember');
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    rig.step({ type: 'outputs', count: 1 });
    rig.step({ type: 'poweredOff', logEnd: rig.position });
    expect(rig.pass(60_000)).toEqual([]);
    const remembered = rig.step({ type: 'remembered', term: term(3) });
    expect(remembered).toContainEqual({ type: 'release', through: 1 });
    const last = rig.pass(limits.powerOffMs);
    expect(types(last)).toEqual(['changed', 'destroyMachine', 'noted', 'became', 'leave']);
    expect([rig.core.role, rig.all('boot')]).toEqual(['none', []]);
  });
});

describe('a guest that stands', () => {
  /** A drill that came to nothing: the won term lets the guest go on. */
  const goingOn = (): NodeRig => {
    const rig = NodeRig.protected();
    rig.ask({ wish: 'drill' });
    rig.record();
    rig.step({ type: 'stopped', logEnd: rig.position });
    rig.pass(limits.drillMs + limits.coreTimerMs);
    expect([rig.core.state, rig.all('go')]).toEqual(['alone', [{ type: 'go' }]]);
    return rig;
  };

  it('does not go on, however often it is told: it is no machine, and ends', () => {
    const rig = goingOn();
    for (let tries = 1; tries < limits.continueTriesMax; tries += 1) {
      rig.step({ type: 'notContinued', reason: 'the monitor does not answer' });
      expect(rig.all('go')).toHaveLength(tries);
      rig.pass(limits.continueRetryMs);
      expect(rig.all('go')).toHaveLength(tries + 1);
      expect(rig.pass(limits.continueRetryMs * 3), 'one order at a time').toEqual([]);
    }
    expect(rig.all('go')).toHaveLength(limits.continueTriesMax);
    rig.holds.add('destroyMachine');
    const ended = rig.step({ type: 'notContinued', reason: 'the monitor does not answer' });
    expect(ended).toContainEqual({
      ...{ type: 'destroyMachine' },
      reason: 'the guest does not go on: the monitor does not answer',
    });
    expect(rig.core.role).toBe('none');
  });

  it('goes on at the last try: that is no end, and the next time counts from the first', () => {
    const rig = goingOn();
    for (let tries = 1; tries < limits.continueTriesMax; tries += 1) {
      rig.step({ type: 'notContinued', reason: 'busy' });
      rig.pass(limits.continueRetryMs);
    }
    rig.step({ type: 'continued' });
    expect(rig.pass(10_000)).toEqual([]);
    expect(rig.all('go')).toHaveLength(limits.continueTriesMax);
    expect(rig.core.state).toBe('alone');
    rig.step({ type: 'notContinued', reason: 'busy' });
    expect(rig.all('destroyMachine')).toEqual([]);
  });

  it('cannot be stopped for a drill: it runs, protected, and is not told to go on', () => {
    const rig = NodeRig.protected();
    const ask = rig.ask({ wish: 'drill' });
    expect(rig.answer(ask)).toEqual({ type: 'begun' });
    const back = rig.step({ type: 'notStopped', reason: 'the log does not end' });
    const reason = 'it could not be stopped: the log does not end';
    expect(back).toContainEqual({ type: 'noted', what: { type: 'guestStands', reason } });
    expect([rig.core.state, rig.all('go')]).toEqual(['protected', []]);
  });
});

describe('what was here ends', () => {
  it('machine fails: nothing begins before nothing is left of it (3)', () => {
    const rig = NodeRig.protected();
    rig.holds.add('destroyMachine');
    const failed = rig.step({ type: 'machineFailed', reason: 'signal 9' });
    expect(failed).toContainEqual({ type: 'destroyMachine', reason: 'signal 9' });
    expect(failed).toContainEqual({ type: 'closeLink', link: 9, reason: 'failed' });
    expect(failed.at(-1)).toEqual({ type: 'became', role: 'none', term: 1 });
    expect(rig.pass(60_000)).toEqual([]);
    rig.peer = helloOf(term(2), { role: 'primary', spoken: term(2) });
    rig.arbiter = { term: term(2), holder: 'b:x' };
    rig.step({ type: 'gone' });
    expect(types(rig.pass(limits.coreTimerMs)).slice(0, 3)).toEqual([
      'readArbiter',
      'dialPeer',
      'lookAtDisks',
    ]);
    expect(rig.core.role).toBe('backup');
  });

  it('machine fails while it is told to do something: the next one gets its orders (3)', () => {
    // Goal: what the old machine never answered must not keep the new one waiting.
    const rig = NodeRig.alone();
    rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(1)) });
    rig.step({ type: 'machineFailed', reason: 'signal 9' }); // in the middle of its seed
    rig.pass(limits.ownTermWaitMs * 2);
    expect([rig.core.state, rig.core.term]).toEqual(['alone', 2]);
    const joined = rig.step({ type: 'linkOpened', link: 10, hello: helloOf(term(1)) });
    expect(joined).toContainEqual({ type: 'seed', seedId: '2.1', link: 10 });
  });

  it('copy is given up: the next place is looked for when it is gone, and not at once (3)', () => {
    const rig = NodeRig.seeded();
    rig.holds.add('discardCopy');
    const given = rig.step({ type: 'copyFailed', reason: 'the spool is full', pauseMs: 2000 });
    expect(types(given)).toContain('discardCopy');
    expect(rig.core.state).toBe('clearing');
    expect(rig.pass(60_000)).toEqual([]);
    rig.step({ type: 'gone' });
    expect(rig.pass(2000 - limits.coreTimerMs)).toEqual([]);
    expect(types(rig.pass(limits.coreTimerMs))).toContain('readArbiter');
  });

  it('primary of a copy that has no grant is gone: the pause is the usual one (3)', () => {
    const rig = NodeRig.seeded();
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    rig.peer = undefined;
    expect(rig.pass(limits.dialRetryMs - limits.coreTimerMs)).toEqual([]);
    expect(types(rig.pass(limits.coreTimerMs))).toContain('readArbiter');
  });

  it('copy fails while it claims: it is gone before the claim is answered, and that is no end (3)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('compareAndSet');
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    rig.step({ type: 'copyFailed', reason: 'it stalled' });
    expect([rig.core.state, rig.all('discardCopy')]).toEqual([
      'withdrawing',
      [{ type: 'discardCopy', reason: 'it stalled' }],
    ]);
    const { ask } = rig.all('compareAndSet').at(-1) ?? { ask: 0 };
    rig.step({ type: 'arbiterSet', ask, result: { won: true } });
    expect(rig.core.state).toBe('pausing');
    expect(rig.all('takeOver')).toEqual([]);
  });

  it('takeover cannot be proven: the copy goes, and the node looks for its place (3)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('takeOver');
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    expect(rig.core.takingOverIn).toBe(2);
    rig.peer = undefined;
    rig.step({ type: 'takeoverFailed', reason: 'not proven' });
    expect(rig.all('discardCopy')).toEqual([{ type: 'discardCopy', reason: 'not proven' }]);
    expect([rig.core.role, rig.all('remember')]).toEqual(['none', []]);
    expect(types(rig.pass(limits.dialRetryMs))).toContain('readArbiter');
  });

  it('guest goes off: its backup is told where, before its link ends, and the node leaves (6)', () => {
    const rig = NodeRig.protected();
    rig.record();
    rig.step({ type: 'poweredOff', logEnd: rig.position });
    rig.acknowledge();
    const last = rig.pass(limits.powerOffCalmMs + limits.coreTimerMs);
    const told = last.findIndex(({ type }) => type === 'closeLink') - 1;
    expect(last[told]).toMatchObject({
      ...{ link: 9, message: { control: { type: 'powerOff', position: rig.position } } },
    });
    expect(last.at(-1)).toEqual({ type: 'leave' });
    expect(rig.pass(1000)).toEqual([]);
    expect(rig.step({ type: 'linkOpened', link: 12, hello: helloOf(term(1)) })).toEqual([]);
  });

  it('primary says that its guest is off: the copy follows it, and the node leaves (6)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('followPowerOff');
    rig.hear({ type: 'powerOff', reason: 'by the guest', position: rig.position }, 1);
    expect(types(rig.done)).toContain('followPowerOff');
    expect(rig.pass(60_000)).toEqual([]);
    expect(rig.step({ type: 'gone' })).toEqual([{ type: 'leave' }]);
    expect([rig.all('boot'), rig.all('takeOver')]).toEqual([[], []]);
  });

  it('machine cannot be booted: the node fails, and says nothing any more (6)', () => {
    const rig = new NodeRig({}, 'boot');
    rig.tick();
    expect(rig.step({ type: 'notBooted', reason: 'no KVM' })).toEqual([
      { type: 'fail', reason: 'no KVM' },
    ]);
    expect(rig.pass(10_000)).toEqual([]);
    expect(rig.step({ type: 'booted' })).toEqual([]);
    expect(rig.core.role).toBe('none');
  });

  it('it was to go on from a snapshot, and the pair has a primary: it fails, and joins nobody', () => {
    const rig = new NodeRig({ isPrepared: true, startAnew: false });
    rig.arbiter = { term: term(1), holder: 'b:x' };
    rig.peer = helloOf(term(1), { role: 'primary', spoken: term(1) });
    const tried = rig.tick();
    expect(tried).toContainEqual({
      ...{ type: 'closeLink', link: 1, reason: 'it was to go on from a snapshot' },
    });
    expect(tried.at(-1)).toMatchObject({ type: 'fail' });
    expect(types(tried)).not.toContain('makeCopy');
  });

  it('lost its term to the other one: the operator’s word for its first machine counts no more', () => {
    const rig = NodeRig.alone({ startAnew: true });
    rig.arbiter = { term: term(5), holder: 'b:x' };
    rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(5)) });
    expect(rig.core.role).toBe('none');
    expect(rig.pass(10_000).filter(({ type }) => type === 'compareAndSet')).toEqual([]);
    rig.peer = helloOf(term(5), { role: 'primary', spoken: term(5) });
    rig.pass(limits.dialRetryMs * 2);
    expect(rig.core.role).toBe('backup');
  });
});

describe('what a node says that it is', () => {
  it('from its grant to its first word: it may come, without a gap (4)', () => {
    const rig = NodeRig.protecting();
    for (const held of ['compareAndSet', 'takeOver', 'remember'] as const) rig.holds.add(held);
    const from = rig.standings.length - 1;
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    const { ask } = rig.all('compareAndSet').at(-1) ?? { ask: 0 };
    rig.step({ type: 'arbiterFailed', ask, reason: 'away', mayPass: true });
    rig.pass(limits.arbiterRetryMs);
    const again = rig.all('compareAndSet').at(-1)?.ask ?? 0;
    rig.step({ type: 'arbiterSet', ask: again, result: { won: true } });
    rig.pass(1000);
    rig.arbiter = { term: term(2), holder: 'a:life1', unproven: true };
    rig.step({ type: 'tookOver' });
    rig.pass(1000);
    const proof = rig.all('compareAndSet').at(-1)?.ask ?? 0;
    expect(proof).not.toBe(again);
    rig.step({ type: 'arbiterSet', ask: proof, result: { won: true } });
    rig.step({ type: 'remembered', term: term(3) });
    const said = rig.standings.slice(from);
    expect(said.filter(({ role, isGranted }) => role !== 'primary' && !isGranted)).toEqual([]);
    expect(said.at(-1)).toEqual({ role: 'primary', isGranted: false, spoken: 3 });
  });

  it('from its claim to the boot of its machine: the same, whatever the arbiter does (4)', () => {
    const rig = new NodeRig({}, 'compareAndSet', 'remember', 'boot');
    expect(rig.core.standing).toEqual({ role: 'none', isGranted: false, spoken: 0 });
    rig.tick();
    const from = rig.standings.length - 1;
    const { ask } = rig.all('compareAndSet')[0] ?? { ask: 0 };
    rig.step({ type: 'arbiterFailed', ask, reason: 'away', mayPass: true });
    rig.pass(limits.arbiterRetryMs);
    const again = rig.all('compareAndSet').at(-1)?.ask ?? 0;
    rig.step({ type: 'arbiterSet', ask: again, result: { won: true } });
    rig.pass(1000);
    rig.step({ type: 'remembered', term: term(1) });
    rig.pass(1000);
    rig.step({ type: 'booted' });
    const said = rig.standings.slice(from);
    expect(said.filter(({ role, isGranted }) => role !== 'primary' && !isGranted)).toEqual([]);
    expect(rig.core.standing).toEqual({ role: 'primary', isGranted: false, spoken: 1 });
  });

  it('a copy that has no grant does not come (4)', () => {
    expect(NodeRig.seeded().core.standing).toEqual({
      ...{ role: 'backup', isGranted: false, spoken: 0 },
    });
  });

  it('its claim is lost: it does not come any more (4)', () => {
    const rig = NodeRig.protecting();
    rig.peer = undefined;
    rig.arbiter = { term: term(2), holder: 'b:x' };
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    expect(rig.core.standing).toEqual({ role: 'none', isGranted: false, spoken: 0 });
  });
});

describe('who asks a node', () => {
  const wishes = [
    { wish: 'compare' },
    { wish: 'snapshot', label: 'x' },
    { wish: 'drill' },
  ] as const;

  it.each([
    ['looks for its place', () => started('readArbiter')],
    ['remembers the term to boot in', () => started('remember')],
    ['boots', () => started('boot')],
    ['waits to look again', () => started('readArbiter', true)],
    ['ends its machine', () => ending()],
  ])('and it %s: each is refused, at once and once (5)', (_, set) => {
    const rig = set();
    const noPrimary = "Node 'a' has no primary to ask for a snapshot";
    expect(wishes.map((wish) => rig.answer(rig.ask(wish)))).toEqual([
      refused('cut', 'This node is not primary'),
      refused('cut', noPrimary),
      refused('takeover', 'This node is not primary'),
    ]);
    for (const wish of [
      { wish: 'line', set: 's1', holdMaxMs: 250 },
      { wish: 'open', set: 's1' },
    ]) {
      const answer = rig.answer(rig.ask(wish as Parameters<typeof rig.ask>[0]));
      expect(answer).toEqual(refused('cut', 'This node is not primary'));
    }
  });

  it('a primary alone, or before its takeover is proved: refused with its state (5)', () => {
    const rig = NodeRig.alone();
    const taken = NodeRig.protecting();
    taken.holds.add('remember');
    taken.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    // One that is about to be protected may be asked again.
    for (const [asked, state, more] of [
      [rig, 'alone', {}],
      [taken, 'proving', { mayPass: true }],
    ] as const) {
      expect(wishes.map((wish) => asked.answer(asked.ask(wish)))).toEqual([
        { ...refused('cut', `There is nothing to compare: state is ${state}`), ...more },
        { ...refused('cut', `There is nothing to compare: state is ${state}`), ...more },
        refused('takeover', `There is no backup to hand over to: ${state}`),
      ]);
    }
  });

  it('a protected one for a compare: answered when the cut is confirmed and found equal (5)', () => {
    const rig = NodeRig.protected();
    const ask = rig.ask({ wish: 'compare' });
    const order = { cutId: '1.1', number: 1, keep: undefined, isSample: false };
    expect(rig.all('cut')).toEqual([{ type: 'cut', ...order }]);
    rig.step({ type: 'cutMade', cutId: '1.1', position: rig.position });
    expect(rig.all('sendCut')).toEqual([{ type: 'sendCut', link: 9, cutId: '1.1' }]);
    rig.hear({ type: 'cutResult', cutId: '1.1', equal: true, differences: [] });
    expect(rig.answer(ask)).toBeUndefined();
    rig.step({ type: 'cutEnded', cutId: '1.1' });
    expect(rig.answer(ask)).toEqual({ type: 'compared', equal: true, differences: [] });
  });

  it('a protected one whose backup is lost meanwhile: all are refused, each once (5)', () => {
    const rig = NodeRig.protected();
    const asks = [wishes[0], wishes[1], wishes[0]].map((wish) => rig.ask(wish));
    rig.step({ type: 'linkClosed', link: 9, reason: 'reset' });
    const answer = refused('cut', 'The backup was lost: reset');
    expect(asks.map((ask) => rig.answer(ask))).toEqual([answer, answer, answer]);
    rig.step({ type: 'cutEnded', cutId: '1.1', problem: 'the link closed' });
    for (const ask of asks) rig.answer(ask);
  });

  it('one whose machine ends meanwhile: refused (5)', () => {
    const rig = NodeRig.protected();
    const ask = rig.ask({ wish: 'compare' });
    rig.step({ type: 'machineFailed', reason: 'signal 9' });
    expect(rig.answer(ask)).toEqual(refused('cut', 'This node ended: failed'));
  });

  it('a backup has compared: its primary is told, and people hear it from the copy alone', () => {
    const rig = NodeRig.protecting();
    const [position, digest] = [logPosition(20), { ram: [1] }];
    const cut = { cutId: '1.1', position, icount: icount(5), deviceStateBytes: 0, digest };
    rig.hear({ type: 'cut', ...cut }, 1);
    const effects = rig.step({ type: 'compared', cutId: '1.1', differences: [] });
    expect(effects).toMatchObject([
      { type: 'send', message: { control: { type: 'cutResult', cutId: '1.1', equal: true } } },
    ]);
  });

  it('a backup: a snapshot is asked of its primary, and the rest is refused (5)', () => {
    const rig = NodeRig.protecting();
    const [compare, snapshot, drill] = wishes.map((wish) => rig.ask(wish)) as [number, ...number[]];
    expect(rig.answer(compare)).toEqual(refused('cut', 'This node is not primary'));
    expect(rig.answer(drill ?? 0)).toEqual(refused('takeover', 'This node is not primary'));
    expect(rig.answer(snapshot ?? 0)).toBeUndefined();
    const [sent] = rig.all('send').filter(({ message }) => {
      return message.kind === 'control' && message.control.type === 'snapshotRequest';
    });
    expect(sent).toMatchObject({ link: 1, message: { control: { label: 'x', requestId: '1' } } });
    rig.hear({ type: 'snapshotResult', requestId: '1', snapshot: 'x1' }, 1);
    expect(rig.answer(snapshot ?? 0)).toEqual({ type: 'kept', snapshot: 'x1' });
  });

  it('a backup whose primary is lost: what waits, and who asks later, is told the first reason (5)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('compareAndSet');
    const before = rig.ask({ wish: 'snapshot' });
    rig.step({ type: 'linkClosed', link: 1, reason: 'nothing was heard for 300 ms' });
    rig.step({ type: 'linkClosed', link: 1, reason: 'closed' });
    const later = rig.ask({ wish: 'snapshot' });
    for (const ask of [before, later]) {
      expect(rig.answer(ask)).toMatchObject({
        ...{ type: 'refused', code: 'link', mayPass: true },
        problem: expect.stringMatching(/^The link to the primary ended.*heard for 300 ms$/),
        hint: expect.stringContaining('snapshot ls'),
      });
    }
  });

  it('a backup that takes over in a drill, or whose guest goes off: what waits is told (5)', () => {
    for (const control of [
      { type: 'drill' },
      { type: 'powerOff', reason: 'by the guest', position: NodeRig.alone().position },
    ] as const) {
      const rig = NodeRig.protecting();
      const ask = rig.ask({ wish: 'snapshot' });
      rig.hear(control, 1);
      expect(rig.answer(ask)).toMatchObject({ type: 'refused', code: 'link' });
    }
  });

  it('a primary, from its backup: the backup is told what became of its snapshot (5)', () => {
    const rig = NodeRig.protected();
    const told = () =>
      rig.all('send').flatMap(({ message }) => {
        if (message.kind !== 'control' || message.control.type !== 'snapshotResult') return [];
        return [message.control];
      });
    rig.hear({ type: 'snapshotRequest', requestId: '4', label: 'before' });
    expect(rig.all('cut')).toMatchObject([{ cutId: '1.1', keep: { label: 'before' } }]);
    rig.step({ type: 'cutEnded', cutId: '1.1' });
    rig.hear({ type: 'cutResult', cutId: '1.1', equal: true, differences: [] });
    rig.hear({ type: 'kept', cutId: '1.1', snapshot: 'x1' });
    expect(told()).toEqual([{ type: 'snapshotResult', requestId: '4', snapshot: 'x1' }]);
    rig.ask({ wish: 'drill' });
    rig.hear({ type: 'snapshotRequest', requestId: '5' });
    expect(told().at(-1)).toMatchObject({
      requestId: '5',
      problem: expect.stringContaining('nothing to compare'),
    });
  });

  const started = (held: 'readArbiter' | 'remember' | 'boot', isPausing = false): NodeRig => {
    const rig = new NodeRig({}, held);
    rig.tick();
    if (isPausing) rig.step({ type: 'arbiterFailed', ask: 1, reason: 'away', mayPass: true });
    return rig;
  };
  const ending = (): NodeRig => {
    const rig = NodeRig.alone();
    rig.holds.add('destroyMachine');
    rig.step({ type: 'machineFailed', reason: 'signal 9' });
    expect(rig.core.state).toBe('clearing');
    return rig;
  };

  it('everybody who ever asked got one answer (5)', () => {
    // Goal: asks in every role of one life, with a takeover in it and the guest off at its end.
    const rig = new NodeRig({}, 'boot');
    const asks: number[] = [];
    const askAll = () => {
      for (const wish of wishes) asks.push(rig.ask(wish));
    };
    rig.arbiter = { term: term(1), holder: 'b:x' };
    askAll();
    rig.tick();
    askAll();
    rig.peer = helloOf(term(1), { role: 'primary', spoken: term(1) });
    rig.pass(limits.dialRetryMs * 2);
    askAll();
    rig.step({ type: 'copyReady', seedId: '1.1' });
    rig.hear({ type: 'grant' }, 1);
    askAll();
    rig.hear({ type: 'drill' }, 1);
    askAll();
    expect(rig.core.role).toBe('primary');
    rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(1)) });
    askAll();
    rig.step({ type: 'seedCut', position: rig.position });
    rig.step({ type: 'seedEnded' });
    rig.hear({ type: 'seedReady', seedId: '2.1' });
    rig.seeMarkers();
    expect(rig.core.state).toBe('protected');
    asks.push(rig.ask(wishes[0]), rig.ask(wishes[1]));
    rig.step({ type: 'poweredOff', logEnd: rig.position });
    askAll();
    rig.acknowledge();
    rig.pass(limits.powerOffCalmMs * 2);
    expect(rig.done.at(-1)).toEqual({ type: 'leave' });
    const given = asks.map((ask) => rig.answers.get(ask) ?? []);
    expect(given.filter((answers: Answer[]) => answers.length !== 1)).toEqual([]);
  });
});

describe('who dials a node that is not primary', () => {
  const opened = { type: 'linkOpened', link: 20, hello: helloOf(term(1)) } as const;
  const closed = { type: 'closeLink', link: 20, reason: 'this node is not primary' };

  it.each([
    ['looks for its place', () => new NodeRig({}, 'readArbiter')],
    ['boots', () => new NodeRig({}, 'boot')],
    ['is a backup', () => NodeRig.seeded()],
    ['may take over', () => NodeRig.protecting()],
  ])('it %s: the link is closed, and that is said', (_, set) => {
    const rig = set();
    rig.tick();
    expect(rig.step(opened)).toEqual([closed]);
  });

  it('its machine ends, or it waits to look again: the same', () => {
    const rig = NodeRig.alone();
    rig.holds.add('destroyMachine');
    rig.step({ type: 'machineFailed', reason: 'signal 9' });
    expect(rig.step(opened)).toEqual([closed]);
    rig.step({ type: 'gone' });
    expect(rig.core.state).toBe('pausing');
    expect(rig.step(opened)).toEqual([closed]);
  });

  it('a second one dials a primary: that link is closed with what it does, the first is served on', () => {
    const rig = NodeRig.protected();
    expect(rig.step(opened)).toEqual([
      { type: 'closeLink', link: 20, reason: 'this primary is protected already' },
    ]);
    // What the other one says all the same, and the end of its link, are nobody's.
    expect(rig.hear({ type: 'seedFailed', seedId: '1.1', reason: 'x' }, 20)).toEqual([]);
    expect(rig.step({ type: 'linkClosed', link: 20, reason: 'reset' })).toEqual([]);
    expect(rig.core.state).toBe('protected');
  });
});

describe('the effects of a takeover', () => {
  it('come in an order in which whoever dies between two of them has kept every promise (1)', () => {
    const rig = NodeRig.protecting();
    const from = rig.done.length;
    rig.step({ type: 'outputs', count: 1 }); // of a copy: nobody's
    rig.step({ type: 'linkClosed', link: 1, reason: 'reset' });
    rig.step({ type: 'outputs', count: 1 });
    const order = ['takeOver', 'compareAndSet', 'remember', 'speak', 'release'];
    const done = types(rig.done.slice(from)).filter((type) => order.includes(type));
    // The first term lets it prove that it can, the second one lets it speak.
    expect(done).toEqual(['compareAndSet', ...order]);
  });
});
