/**
 * What protection costs in processor time, and where it goes: the same guest under the same load
 * plain, alone, and protected, by turns; and what a pair would serve on two hosts.
 *
 *   npm run bench -- price [--rounds N] [--seconds N] [--against CHECKOUT] [--only NAME]...
 *                          [--json]
 *
 * The model (price/model.ts) is held against what can be measured on one host: a pair on all of its
 * processors, and one whose nodes have one processor each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { firstValueFrom, Subject, timeout } from 'rxjs';
import { UnderstudyError } from '../src/base/errors.ts';
import { type Guest, type GuestOptions, startGuest } from '../src/bench/measure/guest.ts';
import { benchLimits } from '../src/bench/measure/limits.ts';
import { median } from '../src/bench/report/stats.ts';
import type { Arrangement } from '../src/bench/results.ts';
import { runCommand } from '../src/cli/exit.ts';
import { allowedProcessors } from '../src/host/libc.ts';
import { LoadProcess } from '../src/lab/load-process.ts';
import type { LoadStats } from '../src/lab/load-record.ts';
import type { World } from '../src/lab/world.ts';
import { type Charges, chargesBetween, lookAt } from './price/charges.ts';
import {
  type ArrangementName,
  arrangementTexts,
  chargesText,
  summaryOf,
  summaryText,
} from './price/summary.ts';
import type { TurnArguments } from './turns/arguments.ts';
import type { Turn } from './turns/by-turns.ts';
import { runByTurns } from './turns/run.ts';

const guestMemoryBytes = 128 * 2 ** 20;
/** Until clients and nodes have compiled what they do all the time. */
const warmMs = 4000;
/** The load tells how far it is four times a second. */
const statsLateMs = 30_000;
const idlePages = 60;
const idlePauseMs = 50;

function turnsFor({ against, seconds }: TurnArguments) {
  const turn = (
    name: ArrangementName,
    arrangement: Arrangement,
    options: Partial<GuestOptions> = {},
  ): Turn<ArrangementName, Charges> => ({
    ...{ name, title: arrangementTexts[name] },
    measure: async (world) => {
      const plain = { world, memoryBytes: guestMemoryBytes };
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
  return turns;
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
    const told = firstValueFrom(stats.pipe(timeout(statsLateMs)));
    const { requestsOk } = await told.catch(async () => {
      await load.stop(); // says why it ended, if it did
      throw new UnderstudyError('environment', 'The load program says nothing any more');
    });
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

await runCommand(() =>
  runByTurns({
    ...{ name: 'price', turnsFor, describe: chargesText, summaryText },
    summaryOf: (rounds) => summaryOf(rounds, allowedProcessors().length),
  }),
);
