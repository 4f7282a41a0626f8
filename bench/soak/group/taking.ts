/** Has sets of a bank taken, and for comparison states that have no line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../../src/base/errors.ts';
import type { GroupSet } from '../../../src/group/sets.ts';
import { askNode } from '../../../src/observe/control-client.ts';
import type { Bank } from './bank.ts';
import { GroupVerb } from './verbs.ts';

const everySeconds = 1;
/** A group that takes none for so long will not. */
const patienceMs = 180_000;
const triesMax = 20;
const againMs = 500;

export interface Taken {
  readonly sets: readonly string[];
  /** How long each member held its outputs for each set. */
  readonly heldMs: readonly number[];
  /** Why sets were not taken that were tried. */
  readonly refused: readonly string[];
}

type Said = ({ readonly type: 'set' } & GroupSet) | { readonly type: 'noSet'; reason: string };

/** With `group run`, until there are so many. Throws `cut` when none comes for minutes. */
export async function takeSets(
  bank: Bank,
  count: number,
  onSet: (taken: number) => void,
): Promise<Taken> {
  const sets: string[] = [];
  const heldMs: number[] = [];
  const refused: string[] = [];
  let isLate = false;
  const args = ['run', '--group', bank.groupFile, '--every', `${everySeconds}s`, '--json'];
  const verb = new GroupVerb(args, (line) => {
    const said = JSON.parse(line) as Said;
    if (said.type === 'noSet') {
      refused.push(said.reason);
      return;
    }
    if (sets.length === count) return;
    sets.push(said.set);
    heldMs.push(...Object.values(said.members).map((member) => member.heldMs));
    late.refresh();
    onSet(sets.length);
    if (sets.length === count) verb.kill('SIGTERM');
  });
  const late = setTimeout(() => {
    isLate = true;
    verb.kill('SIGKILL');
  }, patienceMs);
  const { code, stderr } = await verb.ended;
  clearTimeout(late);
  if (!isLate && code === 0) return { sets, heldMs, refused };
  throw new UnderstudyError('cut', `The group took ${sets.length} of ${count} sets`, {
    cause: new Error(stderr || refused.at(-1) || `it ended with ${code}`),
  });
}

/**
 * A snapshot of each member, one behind the other as a script would, and no line: what somebody has
 * without a group. Returns their names, in the order of the members. Throws `cut` when a member
 * takes none.
 */
export async function takeWithoutLine(bank: Bank): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const member of bank.members) {
    const { control } = await member.primary();
    ids.push(await takeOne(control));
  }
  return ids;
}

async function takeOne(control: string): Promise<string> {
  let problem = '';
  for (let tries = 0; tries < triesMax; tries += 1) {
    const answer = await askNode<{ snapshot?: string; error?: string }>(control, 'snapshot');
    if (answer.snapshot !== undefined) return answer.snapshot;
    problem = answer.error ?? problem;
    await sleep(againMs);
  }
  throw new UnderstudyError('cut', 'A member took no snapshot', { cause: new Error(problem) });
}
