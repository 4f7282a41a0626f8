/** The backup's protocol, told as incidents; then any incident at all, against the contract. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { logPosition, type Millis, term } from '../../src/base/units.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../../src/core/backup.ts';

const connected: BackupEvent = { type: 'connected', primary: 'a', term: term(3) };
const lost: BackupEvent = { type: 'linkLost', reason: 'reset by peer' };
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
      expect(having(...events, lost).types).toEqual(['changed', 'discardReplica']);
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
    // Also when it stalls while the claim is on its way.
    expect(having(...protecting, lost, failed, won).last).toEqual([]);
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
        { type: 'timer' },
        { type: 'log', to: logPosition(77) },
      ),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const core = new BackupCore();
        let [granted, failed, asked, over] = [false, false, false, false];
        for (const [index, next] of events.entries()) {
          const before = core.state.kind;
          if (next.type === 'granted' && before === 'ready') granted = true;
          if (next.type === 'replicaFailed' && before !== 'takingOver') failed = true;
          if (next.type === 'connected' && before === 'connecting') failed = false;
          for (const effect of core.step(next, (index * 60) as Millis)) {
            expect(over).toBe(false);
            if (effect.type === 'claimTerm') {
              expect([granted, failed, effect.expected]).toEqual([true, false, 3]);
              asked = true;
            }
            if (effect.type === 'takeOver') {
              expect([granted, failed, asked, next.type]).toEqual([true, false, true, 'termWon']);
              over = true;
            }
            if (effect.type === 'discardReplica') [granted, asked] = [false, false];
            if (effect.type === 'ack') expect(['ready', 'protecting']).toContain(before);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
