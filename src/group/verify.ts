/** Whether a set can be restored: each snapshot is there, and its log as far as the line. */
import { reasonOf } from '../base/errors.ts';
import { whileOpen } from '../store/while-open.ts';
import { logEnd } from './log-end.ts';
import type { GroupSet } from './sets.ts';

/** What is wrong, a line for each member; empty: nothing. `deep`: reads all that its store has. */
export async function verifySet(
  set: GroupSet,
  { deep }: { readonly deep: boolean },
): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, member] of Object.entries(set.members)) {
    const problem = await problemOf(member, deep).catch(reasonOf);
    if (problem !== undefined) problems.push(`${name}: ${problem}`);
  }
  return problems;
}

function problemOf(
  { store: directory, snapshot: id, position }: GroupSet['members'][string],
  deep: boolean,
): Promise<string | undefined> {
  return whileOpen(directory, 'read', async (store) => {
    const { manifest } = await store.open(id);
    const end = await logEnd(store, manifest);
    if (end < position) return `its log ends at ${end}, the line is at ${position}`;
    if (!deep) return undefined;
    const { damaged } = await store.verify();
    const own = damaged.filter(({ snapshots }) => snapshots.includes(id));
    return own.length === 0 ? undefined : `damaged: ${own.map(({ what }) => what).join(', ')}`;
  });
}
