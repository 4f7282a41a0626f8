/**
 * Soaks groups: real pairs whose guests transfer money to each other over kept TCP connections, and
 * journal each transfer on the disk before anybody can know of it. Sets are taken meanwhile. In
 * none of them may a transfer have been received that was not sent; without a line that is what
 * happens, which is shown, too. Then the coordinator, and each member's primary, is killed at each
 * step of a set. At last the machines of a set go on together, and no connection has lost, or
 * doubled, anything.
 *
 *   npm run soak -- group [--sets 20] [--members 3] [--kills N] [--json]
 *
 * `--sets`: so many, and as many without a line; `--members`: machines; `--kills`: how many of
 * them. Needs root, for the network between the machines. What it judges: docs/groups.md.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, runCommand } from '../../src/cli/exit.ts';
import { Sets } from '../../src/group/sets.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import type { World } from '../../src/lab/world.ts';
import { Progress } from '../../src/text/progress.ts';
import { readArguments, type SoakArguments, usage } from './group/arguments.ts';
import { Bank, bankAddresses, bankNodes, drain } from './group/bank.ts';
import { journalOnDisk } from './group/disk-journal.ts';
import {
  journalsGoneOn,
  journalsOfSet,
  journalsOfSnapshots,
  type Place,
} from './group/examining.ts';
import { type Journal, type Judgement, judge } from './group/journal.ts';
import { type Killed, killAt } from './group/killing.ts';
import { Pings, type Stretch } from './group/pings.ts';
import { killPlan } from './group/steps.ts';
import { findingsOf, type SoakResult, summaryOf, summaryTable } from './group/summary.ts';
import { takeSets, takeWithoutLine } from './group/taking.ts';

const progress = new Progress(process.stderr);
/** Transfers flow, and pings find out what is usual. */
const warmUpMs = 5_000;
/** Machines are restored beside each other, one a processor. */
const besides = os.availableParallelism();

/** What the living bank showed. */
type Lived = Pick<SoakResult, 'heldMs' | 'refused' | 'pings' | 'killed' | 'drained'> & {
  readonly controls: readonly (readonly string[])[];
};

async function soak(args: SoakArguments, dir: string): Promise<SoakResult> {
  const world = await openWorld({ kind: 'netns', nodes: bankNodes(args.members) });
  let bank: Bank | undefined;
  try {
    bank = await Bank.open({ world, dir, members: args.members });
    const lived = await live(bank, world, args);
    const members = bank.members.map(({ name }) => name);
    const stores = bank.members.map(({ store }) => store);
    const place = { groupFile: bank.groupFile, members, scratch: dir };
    const names = new Sets(path.join(dir, 'sets')).list().sets.map(({ set }) => set);
    const { judgements, last } = await examine(names, place);
    const controls: Judgement[] = [];
    for (const ids of lived.controls) {
      controls.push(judge(await journalsOfSnapshots(ids, stores, place)));
      progress.status(`${controls.length} states without a line examined`);
    }
    progress.event(`the machines of set ${last.name} go on together`);
    const egress = members.map((_, index) => world.egressSpecs[2 * index] ?? 'none');
    const after = await journalsGoneOn(last.name, egress, place);
    return { ...lived, sets: judgements, controls, again: { before: last.journals, after } };
  } finally {
    await bank?.close();
    await world.close();
  }
}

/** Everything that needs the bank's machines; they are stopped at the end. */
async function live(bank: Bank, world: World, args: SoakArguments): Promise<Lived> {
  const { members } = bank;
  progress.event(`${members.length} guests are booting`);
  await Promise.all(members.map((member) => member.boot()));
  await Promise.all(members.map((member) => member.protect()));
  progress.event('all are protected');
  const pings = new Pings(world, bankAddresses(members.length));
  const idle = await stretchOf(() => sleep(warmUpMs));
  let taken: Awaited<ReturnType<typeof takeSets>> | undefined;
  const taking = await stretchOf(async () => {
    taken = await takeSets(bank, args.sets, (count) => progress.status(`${count} sets taken`));
  });
  progress.event(`${args.sets} sets taken`);
  const controls: (readonly string[])[] = [];
  while (controls.length < args.sets) {
    controls.push(await takeWithoutLine(bank));
    progress.status(`${controls.length} states without a line taken`);
  }
  const killed: Killed[] = [];
  for (const kill of killPlan(members.length).slice(0, args.kills)) {
    const done = await killAt(bank, kill);
    killed.push(done);
    const who = kill.victim === 'coordinator' ? kill.victim : members[kill.victim]?.name;
    const held = Math.round(Math.max(0, ...done.heldMs));
    const how = done.isTaken ? 'a set all the same' : 'no set';
    progress.event(`${kill.step}: ${who} killed: ${how}, held for ${held} ms at most`);
  }
  const primaries = await Promise.all(members.map((member) => member.primary()));
  await drain(primaries.map(({ control }) => control));
  await Promise.all(members.map((member) => member.stop()));
  const drained: Journal[] = [];
  for (const [index, { stage }] of members.entries()) {
    const image = path.join(stage.dir, `data-${primaries[index]?.name}.raw`);
    drained.push(await journalOnDisk(image));
  }
  return {
    ...{ heldMs: taken?.heldMs ?? [], refused: taken?.refused ?? [], controls, killed, drained },
    pings: { taking: pings.within([taking]), idle: pings.within([idle]) },
  };
}

async function stretchOf(work: () => Promise<unknown>): Promise<Stretch> {
  const fromMs = performance.now();
  await work();
  return { fromMs, toMs: performance.now() };
}

/** All sets; and of the newest one the journals as they are. */
async function examine(names: readonly string[], place: Place) {
  const judgements: Judgement[] = [];
  let last: { name: string; journals: Journal[] } | undefined;
  const queue = [...names];
  const work = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const journals = await journalsOfSet(name, place);
      const found = judge(journals);
      judgements.push(found);
      if (name === names.at(-1)) last = { name, journals };
      progress.status(`${judgements.length} of ${names.length} sets examined`);
      if (found.orphans > 0) progress.event(`set ${name}: ${found.orphans} orphans`);
    }
  };
  await Promise.all(Array.from({ length: besides }, work));
  if (last === undefined) throw new Error('there is no set');
  return { judgements, last };
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-soak-'));
  let isGood = false;
  try {
    const result = await soak(args, dir);
    progress.end();
    const findings = findingsOf(result);
    if (args.json) {
      for (const finding of findings) process.stderr.write(`${finding}\n`);
      process.stdout.write(`${JSON.stringify(summaryOf(result))}\n`);
    } else process.stdout.write(summaryTable(result));
    isGood = findings.length === 0;
    process.exitCode = isGood ? exitCodes.ok : exitCodes.failed;
  } finally {
    progress.end();
    if (isGood) fs.rmSync(dir, { recursive: true, force: true });
    else progress.event(`logs of the nodes, and the sets, are kept in ${dir}`);
  }
}

await runCommand(main);
