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
import { type Guest, type GuestOptions, startGuest } from '../src/bench/measure/guest.ts';
import { benchLimits } from '../src/bench/measure/limits.ts';
import { median } from '../src/bench/report/stats.ts';
import type { Arrangement } from '../src/bench/results.ts';
import { runCommand } from '../src/cli/exit.ts';
import { allowedProcessors } from '../src/host/libc.ts';
import { LoadProcess } from '../src/lab/load-process.ts';
import type { LoadStats } from '../src/lab/load-record.ts';
import { openWorld } from '../src/lab/open-world.ts';
import type { World } from '../src/lab/world.ts';
import { Progress } from '../src/text/progress.ts';
import { type Charges, chargesBetween, lookAt } from './price/charges.ts';
import {
  type ArrangementName,
  arrangementTexts,
  chargesText,
  summaryOf,
  summaryText,
} from './price/summary.ts';
import { readArguments, type TurnArguments } from './turns/arguments.ts';
import { byTurns, chosen, type Turn } from './turns/by-turns.ts';

const guestMemoryBytes = 128 * 2 ** 20;
/** Until clients and nodes have compiled what they do all the time. */
const warmMs = 4000;
const idlePages = 60;
const idlePauseMs = 50;
const progress = new Progress(process.stderr);

function turnsFor(world: World, { against, seconds, only }: TurnArguments) {
  const plain = { world, memoryBytes: guestMemoryBytes };
  const turn = (
    name: ArrangementName,
    arrangement: Arrangement,
    options: Partial<GuestOptions> = {},
  ): Turn<ArrangementName, Charges> => ({
    ...{ name, title: arrangementTexts[name] },
    measure: async () => {
      const guest = await startGuest(arrangement, { ...plain, ...options });
      try {
        return await measure(world, guest, seconds);
      } finally {
        await guest.close();
      }
    },
  });
  const turns = [turn('bare', 'bare'), turn('alone', 'record'), turn('pair', 'pair')];
  const [one, other] = allowedProcessors();
  if (one !== undefined && other !== undefined) {
    const commandPrefix = (node: string) => ['taskset', '-c', String(node === 'a' ? one : other)];
    turns.push(turn('split', 'pair', { commandPrefix }));
  }
  if (against !== undefined) turns.push(turn('against', 'pair', { checkout: against }));
  return chosen(turns, only);
}

/** Pages of the idle guest; then what its load is charged, once all is compiled that is used. */
async function measure(world: World, guest: Guest, seconds: number): Promise<Charges> {
  const idlePageMs = await idlePage(guest);
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
  if (requestsFailed === 0) return { ...chargesBetween(before, after), idlePageMs };
  throw new UnderstudyError('environment', `${requestsFailed} requests of the load failed`);
}

/** Milliseconds for a page of a guest that does nothing else, median. */
async function idlePage({ client }: Guest): Promise<number> {
  await sleep(benchLimits.idleSettleMs);
  const took: number[] = [];
  for (let page = 0; page < idlePages; page += 1) {
    await sleep(idlePauseMs);
    took.push((await client.ask('/read')).ms);
  }
  return median(took);
}

async function main(): Promise<void> {
  const args = readArguments('price', Object.keys(arrangementTexts), process.argv.slice(2));
  const world = await openWorld();
  try {
    const rounds = await byTurns(turnsFor(world, args), args.rounds, progress, chargesText);
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
