/**
 * What protection costs in processor time, and where it goes: the same guest under the same load
 * plain, alone, and protected, by turns; and what a pair would serve on two hosts.
 *
 *   npm run bench -- price [--rounds N] [--seconds N] [--against CHECKOUT] [--json]
 *
 * The model (price/model.ts) is held against what can be measured on one host: a pair on all of its
 * processors, and one whose nodes have one processor each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { firstValueFrom, Subject } from 'rxjs';
import { UnderstudyError } from '../src/base/errors.ts';
import { type Guest, startGuest } from '../src/bench/measure/guest.ts';
import { runCommand } from '../src/cli/exit.ts';
import { allowedProcessors } from '../src/host/libc.ts';
import { LoadProcess } from '../src/lab/load-process.ts';
import type { LoadStats } from '../src/lab/load-record.ts';
import { openWorld } from '../src/lab/open-world.ts';
import type { World } from '../src/lab/world.ts';
import { Progress } from '../src/text/progress.ts';
import { type PriceArguments, readArguments } from './price/arguments.ts';
import { type Charges, chargesBetween, lookAt } from './price/charges.ts';
import {
  type ArrangementName,
  arrangementTexts,
  chargesText,
  type Rounds,
  summaryOf,
  summaryText,
} from './price/summary.ts';

const guestMemoryBytes = 128 * 2 ** 20;
/** Until clients and nodes have compiled what they do all the time. */
const warmMs = 4000;
const progress = new Progress(process.stderr);

interface Measured {
  readonly name: ArrangementName;
  readonly start: (world: World) => Promise<Guest>;
}

function arrangementsFor({ against }: PriceArguments): Measured[] {
  const guestOf = (world: World) => ({ world, memoryBytes: guestMemoryBytes });
  const [one, other] = allowedProcessors();
  const all: Measured[] = [
    { name: 'bare', start: (world) => startGuest('bare', guestOf(world)) },
    { name: 'alone', start: (world) => startGuest('record', guestOf(world)) },
    { name: 'pair', start: (world) => startGuest('pair', guestOf(world)) },
  ];
  if (one !== undefined && other !== undefined) {
    const commandPrefix = (node: string) => ['taskset', '-c', String(node === 'a' ? one : other)];
    const start = (world: World) => startGuest('pair', { ...guestOf(world), commandPrefix });
    all.push({ name: 'split', start });
  }
  if (against !== undefined) {
    const start = (world: World) => startGuest('pair', { ...guestOf(world), checkout: against });
    all.push({ name: 'against', start });
  }
  return all;
}

/** Charges the load's requests for so many seconds, once all is compiled that is used all along. */
async function measure(world: World, guest: Guest, seconds: number): Promise<Charges> {
  const stats = new Subject<LoadStats>();
  const load = new LoadProcess(world, {
    runName: `price${Date.now()}`,
    pauseMs: 0,
    onStats: (told) => stats.next(told),
  });
  const lookAfter = async (ms: number) => {
    await sleep(ms);
    const { requestsOk } = await firstValueFrom(stats);
    return lookAt(guest, requestsOk);
  };
  const before = await lookAfter(warmMs);
  const after = await lookAfter(seconds * 1000);
  const { requestsFailed } = await load.stop();
  if (requestsFailed === 0) return chargesBetween(before, after);
  throw new UnderstudyError('environment', `${requestsFailed} requests of the load failed`);
}

async function measureAll(world: World, args: PriceArguments): Promise<Rounds> {
  const measured = arrangementsFor(args);
  const rounds: Rounds = Object.fromEntries(measured.map(({ name }) => [name, []]));
  for (let round = 0; round < args.rounds; round += 1) {
    // None is always behind the same other one.
    for (let turn = 0; turn < measured.length; turn += 1) {
      const { name, start } = measured[(turn + round) % measured.length] as Measured;
      progress.status(`round ${round + 1} of ${args.rounds}: ${arrangementTexts[name]}`);
      const guest = await start(world);
      try {
        const charges = await measure(world, guest, args.seconds);
        rounds[name]?.push(charges);
        progress.event(`${arrangementTexts[name]}: ${chargesText(charges)}`);
      } finally {
        await guest.close();
      }
    }
  }
  return rounds;
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2));
  const world = await openWorld();
  try {
    const rounds = await measureAll(world, args);
    progress.end();
    const summary = summaryOf(rounds, allowedProcessors().length);
    if (args.json) process.stdout.write(`${JSON.stringify({ ...summary, rounds })}\n`);
    else process.stdout.write(summaryText(summary));
  } finally {
    progress.end();
    await world.close();
  }
}

await runCommand(main);
