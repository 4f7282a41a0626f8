/** Groups with one rule broken: each must be caught by the checker of sets. */
import type { Millis } from '../../src/base/units.ts';
import { type GroupRules, groupRules } from '../../src/core/group.ts';
import { LinedPrimary } from '../../src/core/line.ts';
import { NodeCore } from '../../src/core/node.ts';
import type { PrimaryEffect, PrimaryEvent } from '../../src/core/primary-events.ts';
import { rules as soundRules } from '../../src/core/rules.ts';
import { type Seams, soundSeams } from '../seams.ts';

/** Where a group can be made to break a rule. */
export interface GroupSeams {
  readonly core: Seams['core'];
  readonly rules: GroupRules;
}

export const soundGroup: GroupSeams = { core: soundSeams.core, rules: groupRules };

export interface GroupMutant {
  readonly rule: string;
  /** What it does instead. */
  readonly what: string;
  readonly seams: GroupSeams;
}

/** Draws its line and holds nothing for it. */
class LooseLine extends LinedPrimary {
  protected override lower(): void {
    // Nothing is held.
  }
}

/** Holds what arrives behind its marker's return. */
class LateLine extends LinedPrimary {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    if (event.type === 'markerSeen' && this.drawn?.marker === event.epoch) super.lower();
    return super.step(event, now);
  }

  protected override lower(): void {
    // Not yet.
  }
}

/** Lets what it held leave as soon as the line is over. */
class HastyLine extends LinedPrimary {
  protected override get isPatient(): boolean {
    return false;
  }
}

const drawing = (line: typeof LinedPrimary): GroupSeams => ({
  ...soundGroup,
  core: (options) =>
    new NodeCore({
      ...options,
      rules: { ...soundRules, line: (core, options) => new line(core, options) },
    }),
});

const judging = (broken: Partial<GroupRules>): GroupSeams => ({
  ...soundGroup,
  rules: { ...groupRules, ...broken },
});

export const groupMutants: readonly GroupMutant[] = [
  {
    rule: 'line-without-hold',
    what: 'a member draws its line and holds no output for it',
    seams: drawing(LooseLine),
  },
  {
    rule: 'hold-from-the-marker-seen',
    what: 'a member holds what arrives after its marker came back',
    seams: drawing(LateLine),
  },
  {
    rule: 'leave-by-an-old-word',
    what: 'what a line held leaves by an acknowledgement from before it was opened',
    seams: drawing(HastyLine),
  },
  {
    rule: 'open-one-by-one',
    what: 'a member is opened as soon as it has passed its own line',
    seams: judging({ mayOpen: (members, which) => members[which]?.passed !== undefined }),
  },
  {
    rule: 'commit-across-terms',
    what: 'a set is committed although a member was taken over in between',
    seams: judging({
      whyNot: ({ kept, passed, opened, ...facts }) => {
        if (kept === undefined || passed === undefined || opened === undefined) return 'no answer';
        const { term } = passed;
        return groupRules.whyNot({
          ...{ ...facts, passed },
          ...{ kept: { ...kept, term }, opened: { ...opened, term } },
        });
      },
    }),
  },
  {
    rule: 'commit-after-the-hold-ran-out',
    what: 'a set is committed although a member let its outputs go before all had passed',
    seams: judging({
      whyNot: ({ opened, ...facts }) =>
        groupRules.whyNot({
          ...facts,
          ...(opened === undefined ? {} : { opened: { ...opened, isHeld: true } }),
        }),
    }),
  },
];
