/**
 * A group whose members all lost their power goes on from the ends of their durable logs.
 *
 * Intuition: with `ack: durable` nothing leaves a machine that is not in its backup's durable log.
 * So whoever heard of it heard of what is in there: the ends of all durable logs together are a
 * state without orphans, and no set is needed.
 *
 * Contract
 *  1. All members, or none: what a member cannot go on from is told before a machine is executed,
 *     and no disk is touched before every one of them stands at the end of its log.
 *  2. The log of a member is used only when it is that of the last term in which its machine may
 *     have spoken. One that ran alone since then has said what is in no log.
 *  3. No node of a member runs on this host.
 */
import fs from 'node:fs';
import path from 'node:path';
import { openArbiter } from '../arbiter/open.ts';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import { type Term, term } from '../base/units.ts';
import { loadVmConfig, vmFingerprint } from '../hypervisor/config.ts';
import { qemuVersion } from '../hypervisor/qemu/version.ts';
import { durableLogPath, loggedTerm } from '../node/pair-file/durable-log-place.ts';
import { loadPairConfig, nodeNames, type PairConfig } from '../node/pair-file/pair-config.ts';
import { answeringNodes } from '../observe/pair-nodes.ts';
import type { SnapshotManifest } from '../ports/snapshot-store.ts';
import { findDurableTail } from '../restore/durable-tail.ts';
import { prepareMachine } from '../restore/prepare.ts';
import { type PreparedMachine, preparedPaths } from '../restore/prepared.ts';
import { findRestart, replaceDisks } from '../restore/restart.ts';
import { whileOpen } from '../store/while-open.ts';
import type { GroupConfig, GroupMember } from './group-file.ts';
import { logEnd } from './log-end.ts';

/** From what a member goes on. */
export interface MemberRestart {
  readonly member: string;
  readonly store: string;
  /** As the node sees it that has the log. */
  readonly config: PairConfig;
  readonly snapshot: SnapshotManifest;
  /** When the last of its log was received, milliseconds since 1970. */
  readonly logEndMs: number;
}

/**
 * Looks at all members, and changes nothing. Throws `config` when one of them has not `ack:
 * durable`, `store` when there is one that cannot go on; each with why.
 */
export async function planRestart({ name, members }: GroupConfig): Promise<MemberRestart[]> {
  const received = members.filter(({ pairFile }) => configsOf(pairFile)[0]?.ack !== 'durable');
  if (received.length > 0) {
    const names = received.map((member) => `'${member.name}'`).join(', ');
    throw new UnderstudyError('config', `Not all members of '${name}' have ack: durable`, {
      cause: new Error(`${names}: what they have said may be in no log that is on a disk`),
      hint: 'restore a set of the group with `understudy group restore`',
    });
  }
  const plans: MemberRestart[] = [];
  const problems: string[] = [];
  for (const member of members) {
    try {
      plans.push(await planMember(member));
    } catch (thrown) {
      problems.push(`${member.name}: ${reasonOf(thrown)}`);
    }
  }
  if (problems.length === 0) return plans;
  const message = `Group '${name}' cannot go on from its durable logs:\n  ${problems.join('\n  ')}`;
  throw new UnderstudyError('store', message, {
    hint: 'mend that, or restore a set of the group with `understudy group restore`',
  });
}

async function planMember({ name, pairFile, store }: GroupMember): Promise<MemberRestart> {
  const [running] = await answeringNodes(pairFile);
  if (running !== undefined) throw new Error(`its node '${running.config.name}' runs: stop it`);
  const configs = configsOf(pairFile);
  const config = configs.reduce((best, next) =>
    loggedTerm(next) > loggedTerm(best) ? next : best,
  );
  const logged = loggedTerm(config);
  if (logged === 0) {
    const places = configs.map((one) => durableLogPath(one)).join(' and ');
    throw new Error(`there is no durable log in ${places}: its backup was on another host`);
  }
  const spoken = await lastSpoken(config);
  if (spoken !== logged) {
    throw new Error(`its log is of term ${logged}, and its machine may have spoken in ${spoken}`);
  }
  const vm = await loadVmConfig(config.vmFile);
  const snapshot = await findRestart({
    ...{ store, vm: config.pair, term: logged },
    vmFingerprint: await vmFingerprint(vm),
    qemuVersion: (await qemuVersion(vm.qemu)).text,
  });
  if (snapshot === undefined) {
    throw new Error(`'${store}' has no snapshot of term ${logged} that this host can go on from`);
  }
  const tail = await tailOf({ config, store, snapshot });
  return { member: name, store, config, snapshot, logEndMs: tail.endMs };
}

/** All log behind the snapshot. Throws when there is not all of it. */
async function tailOf({ config, store, snapshot }: Pick<MemberRestart, Used>) {
  const keptTo = await whileOpen(store, 'read', (open) => logEnd(open, snapshot));
  const tail = await findDurableTail(durableLogPath(config), snapshot, keptTo);
  if ('whyNot' in tail) throw new Error(tail.whyNot);
  return tail;
}

type Used = 'config' | 'store' | 'snapshot';

/** In which the member's machine may have spoken. Throws `arbiter`. */
async function lastSpoken({ arbiter, arbiterAuth, pair }: PairConfig): Promise<Term> {
  const opened = await openArbiter(arbiter, { pair, auth: arbiterAuth });
  try {
    const state = await opened.read();
    return term(state === undefined ? 0 : state.term - (state.unproven === true ? 1 : 0));
  } finally {
    await opened.close();
  }
}

/**
 * Executes a member to the end of its durable log, into a new directory. Throws like
 * `prepareMachine`.
 */
export async function standAtEnd(
  plan: MemberRestart,
  { dir, runDir }: { readonly dir: string; readonly runDir: string },
): Promise<PreparedMachine> {
  const { pieces } = await tailOf(plan);
  const { snapshot } = plan;
  const until = { kind: 'end' } as const;
  return await whileOpen(plan.store, 'read', async (store) => {
    const { machine } = await prepareMachine({ store, snapshot, until, dir, runDir, pieces });
    return machine;
  });
}

/**
 * Its disks become those of the node; what they were stays beside them. Throws like `replaceDisks`.
 */
export async function takeDisks(
  machine: PreparedMachine,
  { config }: MemberRestart,
): Promise<void> {
  await replaceDisks(machine, config.self.disks);
  for (const id of machine.facts.disks) {
    const own = preparedPaths(machine.dir).disk(id);
    fs.rmSync(own);
    fs.symlinkSync(path.resolve(config.self.disks[id] ?? ''), own);
  }
}

const configsOf = (pairFile: string): PairConfig[] =>
  nodeNames(pairFile).map((name) => loadPairConfig(pairFile, name));
