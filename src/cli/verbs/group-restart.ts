/**
 * All members of a group at the ends of their durable logs: each is executed to it and stands, and
 * when all of them do, all go on together, as the pairs that they were.
 */
import path from 'node:path';
import type { GroupConfig } from '../../group/group-file.ts';
import { type MemberRestart, planRestart, standAtEnd, takeDisks } from '../../group/restart.ts';
import { fillNewDirectory } from '../../restore/new-directory.ts';
import type { PreparedMachine } from '../../restore/prepared.ts';
import { Progress } from '../../text/progress.ts';
import type { RestartGroupOptions } from '../group-options.ts';
import { inRunDir } from './restore.ts';
import { runTogether, type StandingMember } from './together.ts';

interface Standing {
  readonly plan: MemberRestart;
  readonly machine: PreparedMachine;
}

/** Throws like `planRestart` and `prepareMachine`, and `resources` without room for the disks. */
export async function restartGroup(
  config: GroupConfig,
  { out, start, json }: RestartGroupOptions,
): Promise<void> {
  const progress = new Progress(process.stderr);
  const standing: Standing[] = [];
  const base = path.resolve(out);
  try {
    progress.status('looking at the durable logs');
    const plans = await planRestart(config);
    // A part of a group is of no use.
    await fillNewDirectory(base, async () => {
      for (const plan of plans) {
        progress.status(`executing ${plan.member} to the end of its log`);
        const dir = path.join(base, plan.member);
        const machine = await inRunDir((runDir) => standAtEnd(plan, { dir, runDir }));
        standing.push({ plan, machine });
      }
    });
    progress.status('putting the disks in their places');
    for (const { plan, machine } of standing) await takeDisks(machine, plan);
  } finally {
    progress.end();
  }
  const members = standing.map(({ plan: { member, config: pair }, machine: { dir } }) => ({
    ...{ member, pairFile: pair.file, node: pair.self.name, dir, startAnew: true },
  }));
  tell(standing, members, { start, json });
  if (start) await runTogether(members);
}

function tell(
  standing: readonly Standing[],
  members: readonly StandingMember[],
  { start, json }: { readonly start: boolean; readonly json: boolean | undefined },
): void {
  if (json === true) {
    const told = standing.map(({ plan, machine }, index) => [
      plan.member,
      {
        ...{ dir: machine.dir, pair: plan.config.file, node: members[index]?.node },
        ...{ snapshot: plan.snapshot.id, icount: machine.facts.icount, logEndMs: plan.logEndMs },
      },
    ]);
    process.stdout.write(`${JSON.stringify({ members: Object.fromEntries(told) })}\n`);
    return;
  }
  const lines = standing.flatMap(({ plan: { member, config, logEndMs }, machine }) => {
    const node = (name: string): string => `understudy node --pair ${config.file} --name ${name}`;
    const startsBy = `${node(config.self.name)} --from ${machine.dir} --start-anew`;
    return [
      `${member}: at the end of its log, ${new Date(logEndMs).toISOString()}`,
      ...(start ? [] : [`start it:   ${startsBy}`]),
      `protect it: ${node(config.peer.name)}`,
    ];
  });
  process.stdout.write(`${lines.join('\n')}\n`);
}
