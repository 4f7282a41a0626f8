/**
 * Machines of a set again: each is executed to its line and stands, and when all of them do, all go
 * on together. What was in transit between them is lost; TCP repeats it.
 */
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import type { GroupSet } from '../../group/sets.ts';
import { verifySet } from '../../group/verify.ts';
import { fillNewDirectory } from '../../restore/new-directory.ts';
import { prepareMachine } from '../../restore/prepare.ts';
import { whileOpen } from '../../store/while-open.ts';
import { Progress } from '../../text/progress.ts';
import type { RestoreGroupOptions } from '../group-options.ts';
import { checkPairName, firstNode, goOnLines, writePairFile } from './new-pair.ts';
import { inRunDir } from './restore.ts';
import { runTogether } from './together.ts';

interface Restored {
  readonly member: string;
  readonly dir: string;
  readonly pairFile: string;
}

/** Throws like `prepareMachine`; `config` for a member that the set has not. */
export async function restoreSet(set: GroupSet, options: RestoreGroupOptions): Promise<void> {
  const { out, as, egress, start, json } = options;
  const names = Object.keys(set.members);
  for (const name of names) checkPairName(pairName(as, name));
  for (const name of egress.keys()) {
    if (names.includes(name)) continue;
    throw new UnderstudyError('config', `--egress: the set has no member '${name}'`, {
      hint: `its members are ${names.join(', ')}`,
    });
  }
  const problems = await verifySet(set, { deep: false });
  if (problems.length > 0) {
    throw new UnderstudyError('store', `Set '${set.set}' cannot be restored`, {
      cause: new Error(problems.join('; ')),
      hint: 'restore another one: `understudy group verify` tells which are well',
    });
  }
  const progress = new Progress(process.stderr);
  const restored: Restored[] = [];
  const base = path.resolve(out);
  // A part of a set is of no use.
  await fillNewDirectory(base, async () => {
    for (const [member, part] of Object.entries(set.members)) {
      progress.status(`executing ${member} to its line`);
      const dir = path.join(base, member);
      const disks = await prepare(part, dir);
      const wanted = { name: pairName(as, member), disks, egress: egress.get(member) ?? 'none' };
      restored.push({ member, dir, pairFile: await writePairFile(dir, wanted) });
    }
  }).finally(() => progress.end());
  tell(set, restored, { start, json });
  if (start) await runTogether(restored.map((one) => ({ ...one, node: firstNode })));
}

const pairName = (prefix: string, member: string): string => `${prefix}-${member}`;

/** Returns the ids of its disks. */
function prepare(
  { store: directory, snapshot: id, epoch }: GroupSet['members'][string],
  dir: string,
): Promise<string[]> {
  return whileOpen(directory, 'read', async (store) => {
    const { manifest: snapshot } = await store.open(id);
    const until = { kind: 'epoch', epoch } as const;
    const { vm } = await inRunDir((runDir) =>
      prepareMachine({ store, snapshot, until, dir, runDir }),
    );
    return vm.disks.map((disk) => disk.id);
  });
}

function tell(
  { set }: GroupSet,
  restored: readonly Restored[],
  { start, json }: { readonly start: boolean; readonly json: boolean | undefined },
): void {
  if (json === true) {
    const members = Object.fromEntries(
      restored.map(({ member, dir, pairFile }) => [member, { dir, pair: pairFile }]),
    );
    process.stdout.write(`${JSON.stringify({ set, members })}\n`);
    return;
  }
  const lines = restored.flatMap(({ member, dir, pairFile }) => [
    `${member}:`,
    ...goOnLines(pairFile, { startsBy: start ? undefined : `--from ${dir}` }),
  ]);
  process.stdout.write(`prepared from set ${set}\n${lines.join('\n')}\n`);
}
