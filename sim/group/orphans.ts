/**
 * What a set of a group promises: no member of it has heard what no member of it has said.
 *
 * A set is judged by what a restore of it would bring back: each snapshot's own recording, executed
 * to the end of the line's epoch, and not by what its member believes.
 */
import { Violation } from '../checkers/facts.ts';
import type { History } from '../history.ts';

/** What a set has of a member. */
export interface Restorable {
  /** The recording that its snapshot is of. */
  readonly history: History | undefined;
  readonly epoch: number;
}

export class Orphans {
  sets = 0;
  /** Words that a member had heard of another one, over all sets. */
  heard = 0;

  committed(members: readonly Restorable[]): void {
    this.sets += 1;
    const lines = members.map(({ history, epoch }, member) => {
      const line = history?.lineAt(epoch);
      if (line !== undefined) return line;
      throw new Violation('group', `member ${member} of a set cannot be restored to its line`);
    });
    for (const [member, { heard }] of lines.entries()) {
      for (const [other, line] of lines.entries()) {
        const last = heard[other] ?? 0;
        if (last > 0) this.heard += 1;
        if (last <= line.said) continue;
        throw new Violation(
          'group',
          `member ${member} has heard word ${last} of member ${other}, which had said ${line.said}`,
        );
      }
    }
  }
}
