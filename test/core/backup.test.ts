/** The backup's protocol, told as incidents; then any incident at all, against the contract. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { logPosition, type Millis, term } from '../../src/base/units.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../../src/core/backup.ts';

const connected: BackupEvent = { type: 'connected', primary: 'a', term: term(3) };
const lost: BackupEvent = { type: 'linkLost', reason: 'reset by peer' };
const lostClaim: BackupEvent = { type: 'termLost', holder: 'a:7' };
const won: BackupEvent = { type: 'termWon', term: term(4) };

/** A core that has taken these events, and what the last one led to. */
function having(...events: BackupEvent[]) {
  const core = new BackupCore();
  let last: BackupEffect[] = [];
  for (const event of events) last = core.step(event, 1000 as Millis);
  return { core, last, types: last.map(({ type }) => type) };
}

const protecting: BackupEvent[] = [connected, { type: 'replicaReady' }, { type: 'granted' }];

describe('a backup', () => {
  it('reports ready when its copy executes, and acknowledges from then on', () => {
    // Goal: nothing is promised for a copy that is not there yet.
    const log: BackupEvent = { type: 'log', to: logPosition(500) };
    expect(having(connected, log).last).toEqual([]);
    expect(having(connected, { type: 'replicaReady' }).types).toEqual(['changed', 'reportReady']);
    const ack = { type: 'ack', position: 500 };
    expect(having(connected, { type: 'replicaReady' }, log).last).toEqual([ack]);
    expect(having(...protecting, log).last).toEqual([ack]);
  });

  it('primary dies before the grant: the copy is discarded, the arbiter is not asked (1, 2)', () => {
    for (const events of [[connected], [connected, { type: 'replicaReady' }]] as BackupEvent[][]) {
      expect(having(...events, lost).types).toEqual(['discardReplica', 'changed', 'end']);
    }
  });

  it('primary dies: claim first, take over only in the term that was won (1)', () => {
    const claiming = having(...protecting, lost);
    expect(claiming.last).toContainEqual({ type: 'claimTerm', expected: 3 });
    expect(claiming.types).not.toContain('takeOver');
    expect(having(...protecting, lost, won).last).toContainEqual({ type: 'takeOver', term: 4 });
  });

  it('primary was faster at the arbiter: the copy is discarded (1)', () => {
    const { last } = having(...protecting, lost, { type: 'termLost', holder: 'a:7' });
    expect(last).toContainEqual({ type: 'discardReplica', reason: 'node a:7 won the term' });
  });

  it('copy stalls: it is discarded, and no later loss makes it take over (3)', () => {
    const failed: BackupEvent = { type: 'replicaFailed', reason: 'stalled' };
    expect(having(...protecting, failed).last).toContainEqual({
      type: 'discardReplica',
      reason: 'stalled',
    });
    expect(having(...protecting, failed, lost).last).toEqual([]);
    expect(having(...protecting, failed, lost, won).last).toEqual([]);
    // Also when it stalls while the claim is on its way: the term that is won is never spoken in.
    const unproven = { type: 'end', outcome: 'unproven' };
    expect(having(...protecting, lost, failed).last).toContainEqual({
      type: 'discardReplica',
      reason: 'stalled',
    });
    expect(having(...protecting, lost, failed, won).last).toContainEqual(unproven);
    expect(having(...protecting, lost, failed, lostClaim).last).toContainEqual({
      type: 'end',
      outcome: 'discarded',
    });
    const away: BackupEvent = { type: 'arbiterUnreachable', reason: 'timeout' };
    expect(having(...protecting, lost, failed, away).last).toContainEqual(unproven);
    expect(having(...protecting, lost, away, failed).last).toContainEqual(unproven);
  });

  it('arbiter is away: the copy is kept, asking goes on, nothing speaks (5)', () => {
    const { core, last } = having(...protecting, lost, {
      type: 'arbiterUnreachable',
      reason: 'timeout',
    });
    expect(last).toEqual([]);
    const at = (ms: number) => core.step({ type: 'timer' }, (1000 + ms) as Millis);
    expect(at(limits.arbiterRetryMs - 1)).toEqual([]);
    expect(at(limits.arbiterRetryMs)).toEqual([{ type: 'claimTerm', expected: 3 }]);
    // One claim at a time.
    expect(at(limits.arbiterRetryMs * 10)).toEqual([]);
    expect(core.step(won, 9000 as Millis)).toContainEqual({ type: 'takeOver', term: 4 });
  });

  it('guest powers off: the copy follows, and the end of the link is no failure (6)', () => {
    const off: BackupEvent = { type: 'guestPoweredOff' };
    expect(having(...protecting, off).last).toContainEqual({ type: 'end', outcome: 'poweredOff' });
    expect(having(...protecting, off, lost).last).toEqual([]);
    expect(having(...protecting, off, off).last).toEqual([]);
  });

  it('primary dies behind its guest’s shutdown: that was no failure (6)', () => {
    // Goal: the message that the guest went off may have died with the primary.
    const logged: BackupEvent = { type: 'guestShutdownLogged' };
    for (const before of [protecting, protecting.slice(0, 2), protecting.slice(0, 1)]) {
      const { last, types } = having(...before, logged, lost);
      expect(last).toContainEqual({ type: 'end', outcome: 'poweredOff' });
      expect(types).not.toContain('claimTerm');
    }
  });

  it('takeover cannot be proven: the term is won and never spoken in (8)', () => {
    const failed: BackupEvent = { type: 'takeoverFailed', reason: 'the state proves nothing' };
    expect(having(...protecting, lost, won, failed).types).toEqual([
      'discardReplica',
      'changed',
      'end',
    ]);
    expect(having(...protecting, failed).last).toEqual([]);
  });

  it('acks are durable: only what is on disk is acknowledged (7)', () => {
    const core = new BackupCore({ ack: 'durable' });
    for (const event of protecting) core.step(event, 1000 as Millis);
    const at = (type: 'log' | 'durable') =>
      core.step({ type, to: logPosition(500) }, 1000 as Millis);
    expect(at('log')).toEqual([]);
    expect(at('durable')).toEqual([{ type: 'ack', position: 500 }]);
    expect(having(...protecting, { type: 'durable', to: logPosition(500) }).last).toEqual([]);
  });

  it('what was acknowledged is so once more when the copy has executed it (7)', () => {
    // Goal: a primary that hears nothing new would hold its backup for slow, and slow down its
    // guest. It hears of it with the next log, or else a little later, and once.
    const caughtUp: BackupEvent = { type: 'caughtUp' };
    const log: BackupEvent = { type: 'log', to: logPosition(500) };
    const ack = { type: 'ack', position: 500 };
    const told = (core: BackupCore, ...events: (BackupEvent | number)[]): BackupEffect[] => {
      let now = 1000;
      let last: BackupEffect[] = [];
      for (const event of [...protecting, ...events]) {
        if (typeof event === 'number') now += event;
        last = core.step(typeof event === 'number' ? { type: 'timer' } : event, now as Millis);
      }
      return last;
    };
    const after = limits.newsAfterMs;
    const received = () => new BackupCore();
    expect(told(received(), caughtUp, after)).toEqual([]);
    expect(told(received(), log, caughtUp)).toEqual([]);
    expect(told(received(), log, caughtUp, after - 1)).toEqual([]);
    expect(told(received(), log, caughtUp, after)).toEqual([ack]);
    expect(told(received(), log, caughtUp, after, after)).toEqual([]);
    expect(told(received(), log, caughtUp, log, after)).toEqual([]);
    expect(told(received(), log, lost, caughtUp, after)).toEqual([]);
    expect(told(new BackupCore({ ack: 'durable' }), log, caughtUp, after)).toEqual([]);
  });

  it('newer term is heard of: the arbiter is asked, nothing else (9)', () => {
    const heard = (number: number): BackupEvent => ({ type: 'termHeard', term: term(number) });
    expect(having(...protecting, heard(3)).last).toEqual([]);
    expect(having(...protecting, heard(4)).last).toContainEqual({ type: 'claimTerm', expected: 3 });
    expect(having(connected, heard(4)).types).toContain('discardReplica');
  });

  it('drill: a claim while the link lives, and only with a grant (10)', () => {
    const drill: BackupEvent = { type: 'drill' };
    expect(having(...protecting, drill).last).toContainEqual({ type: 'claimTerm', expected: 3 });
    expect(having(...protecting, drill, won).last).toContainEqual({ type: 'takeOver', term: 4 });
    expect(having(...protecting, drill, lostClaim).types).toContain('discardReplica');
    expect(having(connected, drill).last).toEqual([]);
  });

  it('a takeover that has begun is not disturbed', () => {
    // Goal: its machine is the only one there is.
    const failed: BackupEvent = { type: 'replicaFailed', reason: 'the old replayer ended' };
    const off: BackupEvent = { type: 'guestPoweredOff' };
    for (const event of [failed, lost, won, connected, off]) {
      expect(having(...protecting, lost, won, event).last).toEqual([]);
    }
  });

  it('keeps its contract in any incident', () => {
    // Goal: obligations 1-3 and 5 for random sequences, judged by what an onlooker could see.
    const event = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...protecting) },
      { weight: 2, arbitrary: fc.constantFrom(lost, won) },
      fc.constantFrom<BackupEvent>(
        { type: 'termLost', holder: 'a:1' },
        { type: 'arbiterUnreachable', reason: 'any' },
        { type: 'replicaFailed', reason: 'any' },
        { type: 'guestPoweredOff' },
        { type: 'takeoverFailed', reason: 'any' },
        { type: 'drill' },
        { type: 'termHeard', term: term(5) },
        { type: 'timer' },
        { type: 'log', to: logPosition(77) },
      ),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const core = new BackupCore();
        let [granted, failed, asked, over, ended] = [false, false, false, false, false];
        for (const [index, next] of events.entries()) {
          const before = core.state.kind;
          if (next.type === 'granted' && before === 'ready') granted = true;
          if (next.type === 'replicaFailed' && before !== 'takingOver') failed = true;
          for (const effect of core.step(next, (index * 60) as Millis)) {
            expect(ended).toBe(false);
            if (over) expect(['takeoverFailed']).toContain(next.type);
            if (effect.type === 'claimTerm') {
              expect([granted, failed, effect.expected]).toEqual([true, false, 3]);
              asked = true;
            }
            if (effect.type === 'takeOver') {
              expect([granted, failed, asked, next.type]).toEqual([true, false, true, 'termWon']);
              over = true;
            }
            if (effect.type === 'end') ended = true;
            if (effect.type === 'ack') expect(['ready', 'protecting']).toContain(before);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
