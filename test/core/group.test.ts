/** The coordinator of a group, told as conversations with two members. */
import { describe, expect, it } from 'vitest';
import { epoch, icount, logPosition, type Millis, term } from '../../src/base/units.ts';
import {
  GroupCore,
  type GroupEffect,
  type GroupEvent,
  groupLimits,
  type MemberAnswer,
} from '../../src/core/group.ts';

type Ask = Extract<GroupEffect, { type: 'ask' }>;

const kept = (snapshot: string, of = 3): MemberAnswer => ({
  ...{ type: 'kept', snapshot, term: term(of) },
});
const passed = (of = 3): MemberAnswer => ({
  ...{ type: 'passed', term: term(of), epoch: epoch(40) },
  ...{ position: logPosition(5000), icount: icount(77) },
});
const opened = (isHeld = true, of = 3): MemberAnswer => ({
  ...{ type: 'opened', term: term(of), isHeld, heldMs: 4 },
});
const refused = (problem: string, mayPass = false): MemberAnswer => ({
  ...{ type: 'refused', code: 'cut', problem, mayPass },
});

class Rig {
  readonly core = new GroupCore({ members: ['web', 'db'], holdMaxMs: 250 });
  readonly asks: Ask[] = [];
  readonly others: Exclude<GroupEffect, Ask>[] = [];
  now = 0;

  step(event: GroupEvent): this {
    for (const effect of this.core.step(event, this.now as Millis)) {
      if (effect.type === 'ask') this.asks.push(effect);
      else this.others.push(effect);
    }
    return this;
  }

  /** What a member is asked and has not answered. */
  wish(member: string): string | undefined {
    return this.asks.find((ask) => ask.member === member)?.wish.wish;
  }

  answer(member: string, answer: MemberAnswer): this {
    const index = this.asks.findIndex((ask) => ask.member === member);
    const [ask] = this.asks.splice(index, 1);
    if (index < 0 || ask === undefined) throw new Error(`${member} is asked nothing`);
    return this.step({ type: 'answered', ask: ask.ask, answer });
  }

  /** Both members answer alike. */
  both(answer: MemberAnswer): this {
    return this.answer('web', answer).answer('db', answer);
  }

  get outcome() {
    return this.others.find(({ type }) => type === 'over');
  }

  get dropped() {
    return this.others.filter(({ type }) => type === 'drop');
  }
}

const begun = (): Rig => new Rig().step({ type: 'take', set: 's1' });
const lined = (): Rig => begun().answer('web', kept('w1')).answer('db', kept('d1'));

describe('a set', () => {
  it('is committed when all held, in one term, with their log stored', () => {
    const rig = lined();
    expect([rig.wish('web'), rig.wish('db')]).toEqual(['line', 'line']);
    rig.both(passed()).both(opened());
    expect([rig.wish('web'), rig.wish('db')]).toEqual(['stored', 'stored']);
    rig.both({ type: 'stored', upTo: logPosition(5000) });
    const member = { term: 3, epoch: 40, position: 5000, icount: 77, heldMs: 4 };
    expect(rig.others).toEqual([
      {
        ...{ type: 'over', set: 's1' },
        outcome: {
          type: 'committed',
          members: new Map([
            ['web', { ...member, snapshot: 'w1' }],
            ['db', { ...member, snapshot: 'd1' }],
          ]),
        },
      },
    ]);
  });

  it('opens nobody before all have passed', () => {
    const rig = lined().answer('web', passed());
    expect(rig.wish('web')).toBeUndefined();
    rig.answer('db', passed());
    expect([rig.wish('web'), rig.wish('db')]).toEqual(['open', 'open']);
  });

  it('asks again for a snapshot that may be had later', () => {
    const rig = begun().answer('web', kept('w1')).answer('db', refused('seeding', true));
    expect(rig.wish('db')).toBeUndefined();
    rig.now += groupLimits.againMs;
    rig.step({ type: 'timer' });
    expect(rig.wish('db')).toBe('snapshot');
  });

  const failures: [string, Rig, RegExp][] = [
    ['no snapshot', begun().answer('web', kept('w1')).answer('db', refused('alone')), /alone/],
    ['no line', lined().answer('web', passed()).answer('db', refused('gone')), /gone/],
    [
      'a hold that ran out',
      lined().both(passed()).answer('web', opened()).answer('db', opened(false)),
      /not held/,
    ],
    [
      'another term at the line',
      lined().answer('web', passed()).answer('db', passed(4)).both(opened()),
      /its term was 3, then 4/,
    ],
    [
      'another term when it is opened',
      lined().both(passed()).answer('web', opened()).answer('db', opened(true, 5)),
      /its term was 3, then 3, then 5/,
    ],
    [
      'log that is not stored',
      lined()
        .both(passed())
        .both(opened())
        .answer('web', { type: 'stored', upTo: logPosition(6000) })
        .answer('db', { type: 'stored', upTo: logPosition(4999) }),
      /not in its store/,
    ],
  ];
  for (const [what, rig, reason] of failures) {
    it(`is none with ${what}: everybody is opened, and nothing stays`, () => {
      expect(rig.outcome).toMatchObject({
        outcome: { type: 'failed', reason: expect.stringMatching(reason) },
      });
      const kepts = what === 'no snapshot' ? ['w1'] : ['w1', 'd1'];
      expect(rig.dropped.map((drop) => 'snapshot' in drop && drop.snapshot)).toEqual(kepts);
      const asked = rig.asks.map(({ wish }) => wish.wish);
      expect(asked.every((wish) => wish === 'open')).toBe(true);
      expect(rig.core.taking).toBeUndefined();
    });
  }

  it('is given up when a member says nothing, and its late snapshot is dropped', () => {
    const rig = begun().answer('web', kept('w1'));
    rig.now += groupLimits.prepareMs;
    rig.step({ type: 'timer' });
    expect(rig.outcome).toMatchObject({ outcome: { type: 'failed', member: 'db' } });
    rig.answer('db', kept('d1'));
    expect(rig.dropped).toEqual([
      { type: 'drop', member: 'web', snapshot: 'w1' },
      { type: 'drop', member: 'db', snapshot: 'd1' },
    ]);
  });

  it('while another one is taken is refused, and the other one goes on', () => {
    const rig = begun().step({ type: 'take', set: 's2' });
    expect(rig.outcome).toMatchObject({ set: 's2', outcome: { type: 'failed' } });
    expect(rig.core.taking).toBe('s1');
  });
});
