// Whoever asks for a cut, or a backup for a snapshot, is told once and truly what became of it.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { type Millis, term } from '../../src/base/units.ts';
import {
  type CutOrigin,
  Cuts,
  linkEnded,
  resultOf,
  SnapshotRequests,
} from '../../src/core/cuts.ts';
import type { Answer } from '../../src/core/effects.ts';
import type { Control, SnapshotRequest } from '../../src/ports/link.ts';

const asker = (ask: number): CutOrigin => ({ by: 'operator', ask });
const at = (ms: number) => ms as Millis;
const equal = { equal: true, differences: [] };
const found = (cutId: string) => ({ type: 'cutResult', cutId, ...equal }) as const;
const keptAs = (cutId: string, snapshot: string) => ({ type: 'kept', cutId, snapshot }) as const;
const refused = (problem: string, code = 'cut') => ({ type: 'refused', code, problem });

/** Makes the cut that waits, and has it confirmed and compared. */
function make(cuts: Cuts): string {
  const { cutId = '' } = cuts.next(term(7)) ?? {};
  cuts.ended(cutId, undefined);
  cuts.result(found(cutId));
  return cutId;
}

describe('a machine of which no cut is made (5)', () => {
  const policy = { compareEveryMs: 1000 };
  const at = (ms: number) => ms as Millis;

  it('is compared by samples, and nobody is answered', () => {
    const cuts = new Cuts(policy);
    cuts.timer(at(0), true);
    cuts.timer(at(999), true);
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.timer(at(1000), true);
    expect(cuts.next(term(7))).toMatchObject({ cutId: '7.1', keep: undefined, isSample: true });
    cuts.timer(at(5000), true);
    expect(cuts.next(term(7))).toBeUndefined();
    expect(cuts.ended('7.1', undefined)).toEqual([]);
    expect(cuts.result(found('7.1'))).toEqual([
      { origin: { by: 'pair' }, answer: { type: 'compared', equal: true, differences: [] } },
    ]);
    // And again, so long after.
    cuts.timer(at(6000), true);
    cuts.timer(at(6999), true);
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.timer(at(7000), true);
    expect(cuts.next(term(7))?.cutId).toBe('7.2');
  });

  it('is not while it has no backup, nor when somebody asked or a cut was kept', () => {
    const cuts = new Cuts(policy);
    cuts.timer(at(0), true);
    cuts.timer(at(900), false);
    cuts.timer(at(1000), true);
    cuts.timer(at(1999), true);
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.want({ origin: asker(1) });
    cuts.timer(at(2500), true);
    expect(cuts.next(term(7))).toMatchObject({ cutId: '7.1', isSample: false });
    expect(cuts.next(term(7))).toBeUndefined();
  });
});

describe('the cuts of a protected machine', () => {
  it('two ask at once: one cut at a time, in the order of asking (1)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1) });
    cuts.want({ origin: asker(2) });
    const first = cuts.next(term(7));
    expect(first).toEqual({ cutId: '7.1', number: 1, keep: undefined, isSample: false });
    expect(cuts.next(term(7))).toBeUndefined();
    expect(cuts.ended('7.1', undefined)).toEqual([]);
    expect(cuts.next(term(7))).toBeUndefined();
    expect(cuts.result(found('7.1'))).toEqual([
      { origin: asker(1), answer: { type: 'compared', ...equal } },
    ]);
    expect(cuts.next(term(7))?.cutId).toBe('7.2');
  });

  it('the copy answers before the log behind the cut was looked at: that is waited for (1, 3)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1) });
    cuts.next(term(7));
    const differs = { equal: false, differences: ['RAM at 0x40000'] };
    expect(cuts.result({ type: 'cutResult', cutId: '7.1', ...differs })).toEqual([]);
    expect(cuts.ended('7.1', undefined)).toEqual([
      { origin: asker(1), answer: { type: 'compared', ...differs } },
    ]);
  });

  it('nothing is asked for: there is no cut to make', () => {
    expect(new Cuts({}).next(term(7))).toBeUndefined();
  });

  it('one that is kept waits for the one before to be stored, a compare does not (2)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: { label: 'one' } });
    expect(cuts.next(term(7))).toEqual({
      cutId: '7.1',
      number: 1,
      keep: { label: 'one' },
      isSample: true,
    });
    cuts.ended('7.1', undefined);
    cuts.result(found('7.1'));
    cuts.want({ origin: asker(2) });
    expect(make(cuts)).toBe('7.2');
    cuts.want({ origin: asker(3), keep: {} });
    cuts.want({ origin: asker(4) });
    expect(cuts.next(term(7))).toBeUndefined();
    expect(cuts.kept(keptAs('7.1', 'x1'))).toEqual([
      { origin: asker(1), answer: { type: 'kept', snapshot: 'x1' } },
    ]);
    expect(cuts.next(term(7))).toEqual({ cutId: '7.3', number: 3, keep: {}, isSample: true });
  });

  it('it was stored before its compare was over: the next waits for that compare only (1, 2)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    cuts.want({ origin: asker(2), keep: {} });
    cuts.next(term(7));
    cuts.ended('7.1', undefined);
    expect(cuts.kept(keptAs('7.1', 'x1'))).toHaveLength(1);
    expect(cuts.next(term(7))).toBeUndefined();
    expect(cuts.result(found('7.1'))).toEqual([]);
    expect(cuts.next(term(7))?.cutId).toBe('7.2');
  });

  it('log behind the cut does not confirm it: a refusal, although the copy was equal (3)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1) });
    cuts.next(term(7));
    cuts.result(found('7.1'));
    expect(cuts.ended('7.1', 'a request was under way')).toEqual([
      { origin: asker(1), answer: refused('a request was under way') },
    ]);
    cuts.want({ origin: asker(2) });
    expect(cuts.next(term(7))?.cutId).toBe('7.2');
  });

  it('one to be kept is not confirmed: the store is not waited for, nor what it says later (3)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    cuts.want({ origin: asker(2), keep: {} });
    cuts.next(term(7));
    expect(cuts.ended('7.1', 'no cut could be made')).toEqual([
      { origin: asker(1), answer: refused('no cut could be made') },
    ]);
    expect(cuts.kept(keptAs('7.1', 'x1'))).toEqual([]);
    expect(cuts.next(term(7))?.cutId).toBe('7.2');
  });

  it.each([
    ['kept it', keptAs('7.1', 'x1'), { type: 'kept', snapshot: 'x1' }],
    [
      'has no store',
      { type: 'kept', cutId: '7.1', problem: 'no `snapshots`' } as const,
      refused('no `snapshots`', 'store'),
    ],
  ] as const)(
    'copy says that it %s before the cut is confirmed: one answer, and not before (3)',
    (_, said, answer) => {
      // Goal: a snapshot of a cut that was none must not be called kept, nor anybody told twice.
      for (const problem of [undefined, 'a request was under way']) {
        const cuts = new Cuts({});
        cuts.want({ origin: asker(1), keep: {} });
        cuts.next(term(7));
        expect(cuts.result(found('7.1'))).toEqual([]);
        expect(cuts.kept(said)).toEqual([]);
        expect(cuts.ended('7.1', problem)).toEqual([
          { origin: asker(1), answer: problem === undefined ? answer : refused(problem) },
        ]);
        expect(cuts.lost('the backup was lost')).toEqual([]);
      }
    },
  );

  it('the store refuses, with a word or without (3)', () => {
    const cuts = new Cuts({});
    for (const [problem, told] of [
      ['the disk is full', 'the disk is full'],
      [undefined, 'The backup kept no snapshot'],
    ]) {
      cuts.want({ origin: asker(1), keep: {} });
      const cutId = make(cuts);
      const said = { type: 'kept', cutId, ...(problem === undefined ? {} : { problem }) } as const;
      expect(cuts.kept(said)).toEqual([{ origin: asker(1), answer: refused(`${told}`, 'store') }]);
    }
  });

  it('backup is lost: all who wait are told, each once, whatever their cut has come to (3)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    make(cuts);
    cuts.want({ origin: asker(2) });
    cuts.next(term(7));
    cuts.want({ origin: asker(3), keep: {} });
    cuts.want({ origin: asker(4) });
    const answer = refused('The backup was lost: silence');
    expect(cuts.lost('The backup was lost: silence')).toEqual(
      [1, 2, 3, 4].map((ask) => ({ origin: asker(ask), answer })),
    );
    expect(cuts.lost('again')).toEqual([]);
    expect(cuts.next(term(8))).toBeUndefined();
  });

  it('one that may be kept later is refused so, to whoever asked the backup, too', () => {
    // Goal: a person who asks too early waits, instead of being told that there is no snapshot.
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    const cutId = cuts.next(term(7))?.cutId ?? '';
    cuts.ended(cutId, undefined);
    const problem = 'the copy is not followed yet';
    const [answered] = cuts.kept({ type: 'kept', cutId, problem, mayPass: true });
    const answer: Answer = { type: 'refused', code: 'store', problem, mayPass: true };
    expect(answered).toEqual({ origin: asker(1), answer });
    const requests = new SnapshotRequests();
    const request = requests.ask(5, undefined);
    const requestId = 'requestId' in request ? request.requestId : '';
    expect(requests.take(resultOf(requestId, answer))).toEqual([{ ask: 5, answer }]);
  });

  it('backup is lost while a cut that is kept is made: its asker is told once (3)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    cuts.next(term(7));
    expect(cuts.lost('gone')).toEqual([{ origin: asker(1), answer: refused('gone') }]);
    expect(cuts.ended('7.1', 'no copy')).toEqual([]);
  });

  it('what is said late of a cut of the backup before changes nothing (6)', () => {
    const cuts = new Cuts({});
    cuts.want({ origin: asker(1), keep: {} });
    cuts.next(term(7));
    cuts.lost('gone');
    cuts.want({ origin: asker(2), keep: {} });
    expect(cuts.next(term(8))).toEqual({ cutId: '8.2', number: 2, keep: {}, isSample: true });
    expect(cuts.ended('7.1', 'no copy')).toEqual([]);
    expect(cuts.result(found('7.1'))).toEqual([]);
    expect(cuts.kept(keptAs('7.1', 'x1'))).toEqual([]);
    cuts.ended('8.2', undefined);
    cuts.result(found('8.2'));
    expect(cuts.kept(keptAs('8.2', 'x2'))).toHaveLength(1);
  });
});

describe('cuts that are kept by policy', () => {
  const policy = { by: 'policy' };

  it('every so often while it is protected, and not at other times (4)', () => {
    const cuts = new Cuts({ keepEveryMs: 1000 });
    cuts.timer(at(0), true);
    cuts.timer(at(999), true);
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.timer(at(1000), true);
    const cutId = make(cuts);
    expect(cuts.kept(keptAs(cutId, 'x1'))).toMatchObject([{ origin: policy }]);
    cuts.timer(at(1999), true);
    cuts.timer(at(2000), false);
    cuts.timer(at(2500), true); // the one that was due is left out, not made up for
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.timer(at(3000), true);
    expect(cuts.next(term(7))).toMatchObject({ keep: {} });
  });

  it('no policy: none, however long it takes (4)', () => {
    const cuts = new Cuts({});
    for (let ms = 0; ms < 1e6; ms += 1e5) cuts.timer(at(ms), true);
    expect(cuts.next(term(7))).toBeUndefined();
  });

  it('the store is slow: what is due meanwhile is left out (4)', () => {
    const cuts = new Cuts({ keepEveryMs: 1000 });
    cuts.timer(at(0), true);
    cuts.timer(at(1000), true);
    const cutId = make(cuts);
    for (let ms = 2000; ms <= 9000; ms += 1000) cuts.timer(at(ms), true);
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.kept(keptAs(cutId, 'x1'));
    expect(cuts.next(term(7))).toBeUndefined();
    cuts.timer(at(10_000), true);
    expect(cuts.next(term(7))).toMatchObject({ keep: {} });
  });

  it('one waits behind a long compare: no second one joins it (4)', () => {
    const cuts = new Cuts({ keepEveryMs: 1000 });
    cuts.want({ origin: asker(1) });
    cuts.next(term(7));
    cuts.timer(at(0), true);
    for (let ms = 1000; ms <= 9000; ms += 1000) cuts.timer(at(ms), true);
    const origins = cuts.lost('gone').map(({ origin }) => origin.by);
    expect(origins).toEqual(['operator', 'policy']);
  });
});

describe('snapshots that a backup asks its primary for', () => {
  const requested = (control: Control | { readonly type: 'refused' }): SnapshotRequest => {
    if (control.type !== 'snapshotRequest') throw new Error(`it is ${control.type}`);
    return control;
  };
  const ask = (requests: SnapshotRequests, number: number, label?: string): string =>
    requested(requests.ask(number, label)).requestId;

  it('each is answered with its own snapshot, in whatever order', () => {
    const requests = new SnapshotRequests();
    const sent = [
      requested(requests.ask(1, 'one')),
      requested(requests.ask(2, undefined)),
      requested(requests.ask(3, 'two')),
    ];
    expect(sent.map(({ label }) => label)).toEqual(['one', undefined, 'two']);
    expect(new Set(sent.map(({ requestId }) => requestId)).size).toBe(3);
    const answers = sent.toReversed().flatMap(({ requestId, label }) => {
      return requests.take(resultOf(requestId, { type: 'kept', snapshot: `id of ${label}` }));
    });
    expect(answers).toEqual([
      { ask: 3, answer: { type: 'kept', snapshot: 'id of two' } },
      { ask: 2, answer: { type: 'kept', snapshot: 'id of undefined' } },
      { ask: 1, answer: { type: 'kept', snapshot: 'id of one' } },
    ]);
  });

  it('what the primary refuses is refused here, in the same words', () => {
    const requests = new SnapshotRequests();
    const requestId = ask(requests, 1);
    const problem = 'state is seeding';
    const result = resultOf(requestId, { type: 'refused', code: 'cut', problem });
    expect(requests.take(result)).toEqual([{ ask: 1, answer: refused(problem, 'store') }]);
  });

  it('an answer without a word, twice, or to nobody does no harm', () => {
    const requests = new SnapshotRequests();
    const requestId = ask(requests, 1);
    const type = 'snapshotResult';
    expect(requests.take({ type, requestId: 'another', snapshot: 'x' })).toEqual([]);
    expect(requests.take({ type, requestId })).toEqual([
      { ask: 1, answer: refused('The primary kept no snapshot', 'store') },
    ]);
    expect(requests.take({ type, requestId, snapshot: 'late' })).toEqual([]);
    expect(requests.lost('closed')).toEqual([]);
    expect(resultOf('9', { type: 'begun' })).toEqual({
      ...{ type, requestId: '9', problem: 'The primary kept no snapshot' },
    });
  });

  it('the primary is lost: what waits is told why, once, and what to look at', () => {
    // Who asks later is told the same by BackupNode, which knows the first reason (node.test.ts).
    const requests = new SnapshotRequests();
    ask(requests, 1, 'a');
    ask(requests, 2);
    const answers = requests.lost('nothing was heard for 300 ms');
    expect(answers.map((answered) => answered.ask)).toEqual([1, 2]);
    for (const { answer } of answers) {
      expect(answer).toEqual(linkEnded('nothing was heard for 300 ms'));
      expect(answer).toMatchObject({
        ...{ code: 'link', mayPass: true },
        problem: expect.stringMatching(/^The link to the primary ended.*nothing was heard for 300/),
        hint: expect.stringContaining('snapshot ls'),
      });
    }
    expect(requests.lost('closed')).toEqual([]);
  });

  it('too many at once are refused, and one more goes when one was answered', () => {
    const requests = new SnapshotRequests();
    const ids = Array.from({ length: limits.snapshotRequestsMax }, (_, n) => ask(requests, n));
    expect(requests.ask(99, undefined)).toMatchObject({
      ...{ type: 'refused', code: 'resources', mayPass: true },
    });
    requests.take({ type: 'snapshotResult', requestId: ids[0] ?? '', snapshot: 'id' });
    expect(ids).not.toContain(ask(requests, 100));
    expect(requests.ask(101, undefined)).toMatchObject({ type: 'refused' });
    expect(requests.lost('over')).toHaveLength(limits.snapshotRequestsMax);
  });
});
