/**
 * What a database costs: the Debian of `scripts/guest/distribution` with PostgreSQL and ssh, plain,
 * alone and protected by turns.
 *
 *   npm run bench -- database [--rounds N] [--seconds N] [--against CHECKOUT] [--only NAME]...
 *                             [--json]
 *
 * Root is needed. A round takes five minutes.
 */
import path from 'node:path';
import { startBare } from '../src/bench/measure/bare.ts';
import { median } from '../src/bench/report/stats.ts';
import { runCommand } from '../src/cli/exit.ts';
import { Stage } from '../src/lab/stage.ts';
import type { World } from '../src/lab/world.ts';
import { painter } from '../src/text/style.ts';
import { sectionLines } from '../src/text/text-table.ts';
import { measureServed, type Served } from './database/measure.ts';
import { bootMs } from './soak/distribution/boot-time.ts';
import { DebianGuest, distributionDir, makeDistribution } from './soak/distribution/guest.ts';
import type { TurnArguments } from './turns/arguments.ts';
import { type Ratio, type Rounds, ratioOf, type Turn } from './turns/by-turns.ts';
import { runByTurns } from './turns/run.ts';

type Name = 'bare' | 'alone' | 'pair' | 'against';

const titles: Readonly<Record<Name, string>> = {
  bare: 'plain TCG',
  alone: 'alone',
  pair: 'pair',
  against: 'pair of the other checkout',
};
const figures = ['transactions', 'answerMs', 'echoMs'] as const satisfies (keyof Served)[];

/** Boots the guest in an arrangement, and measures it. */
async function measure(world: World, name: Name, args: TurnArguments): Promise<Served> {
  const stage = await Stage.open({
    ...{ nodes: ['a', 'b'], egressSpecs: world.egressSpecs, guestDir: distributionDir },
    ...{ memory: '512M', checkout: name === 'against' ? args.against : undefined },
  });
  const guest = new DebianGuest(world, path.join(distributionDir, 'key'));
  const bare =
    name === 'bare' ? await startBare('bare', stage, world.egressSpecs[0] ?? 'none') : undefined;
  try {
    if (bare === undefined) stage.start('a');
    await guest.untilUp(bootMs);
    if (name === 'pair' || name === 'against') await stage.start('b').until('protecting', bootMs);
    return await measureServed(world, guest, args.seconds);
  } finally {
    await bare?.kill();
    await stage.close();
  }
}

const served = ({ transactions, answerMs, echoMs }: Served): string =>
  `${transactions.toFixed(1)} transactions/s, select 1 ${answerMs.toFixed(1)} ms, ` +
  `ssh echo ${echoMs.toFixed(1)} ms`;

function summaryOf(rounds: Rounds<Name, Served>) {
  const medians = (all: readonly Served[]): Served => {
    const of = (figure: keyof Served): number => median(all.map((found) => found[figure]));
    return { transactions: of('transactions'), answerMs: of('answerMs'), echoMs: of('echoMs') };
  };
  const ratios = (title: string, one: Name, other: Name) => {
    const [ofOne = [], ofOther = []] = [rounds[one], rounds[other]];
    if (ofOne.length === 0 || ofOther.length === 0) return {};
    const of = (figure: keyof Served): Ratio => ratioOf(ofOne, ofOther, (found) => found[figure]);
    return {
      [title]: {
        transactions: of('transactions'),
        answerMs: of('answerMs'),
        echoMs: of('echoMs'),
      },
    };
  };
  return {
    served: Object.fromEntries(Object.entries(rounds).map(([name, all]) => [name, medians(all)])),
    ratios: {
      ...ratios('alone by plain TCG', 'alone', 'bare'),
      ...ratios('pair by plain TCG', 'pair', 'bare'),
      ...ratios('pair by the other checkout', 'pair', 'against'),
    },
  };
}

function summaryText({ served: all, ratios }: ReturnType<typeof summaryOf>): string {
  const columns = ['transactions/s', 'select 1, ms', 'ssh echo, ms'];
  const text = ([middle, low, high]: Ratio): string =>
    `${middle.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
  const sections = [
    {
      title: 'what the guest serves, medians',
      columns,
      rows: Object.entries(all).map(([name, found]) => [
        titles[name as Name],
        ...figures.map((figure) => found[figure].toFixed(1)),
      ]),
    },
    {
      title: 'ratios by rounds: median, least to most',
      columns,
      rows: Object.entries(ratios).map(([name, found]) => [
        name,
        ...figures.map((figure) => text(found[figure])),
      ]),
    },
  ];
  return `${sections.flatMap((section) => sectionLines(section, painter(false))).join('\n')}\n`;
}

const turnsFor = (args: TurnArguments): Turn<Name, Served>[] => {
  const names: Name[] = ['bare', 'alone', 'pair'];
  if (args.against !== undefined) names.push('against');
  return names.map((name) => ({
    ...{ name, title: titles[name] },
    measure: (world) => measure(world, name, args),
  }));
};

await runCommand(() =>
  runByTurns({
    ...{ name: 'database', turnsFor, describe: served, summaryOf, summaryText },
    prepare: (progress) => {
      progress.event('making the guest: some minutes the first time');
      makeDistribution();
    },
  }),
);
