/** How many instructions a second a guest executes, by turns while it is kept and while not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../../../src/bench/report/stats.ts';
import { askNode } from '../../../src/observe/control-client.ts';
import type { CountingMachine } from './counting-machine.ts';

/** Between two readings of the guest's own count, ms since 1970. */
interface Reading {
  readonly atMs: number;
  readonly icount: number;
}

interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
}

/** In percent less than in the stretches beside it in which nothing is kept. */
export interface Cost {
  /** 15 a minute. */
  readonly lossPercent: number;
  /** The same, without the seconds in which one was taken or stored. */
  readonly lossBetweenPercent: number;
}

/** Asks for one after the other, each `everyMs` or when the one before is stored. */
export async function keeping(
  { primary }: CountingMachine,
  everyMs: number,
  forMs: number,
): Promise<{ readonly kept: readonly string[]; readonly busy: readonly Stretch[] }> {
  const [kept, busy]: [string[], Stretch[]] = [[], []];
  const begun = performance.now();
  for (let due = begun; performance.now() < begun + forMs; due += everyMs) {
    await sleep(Math.max(0, due - performance.now()));
    const fromMs = Date.now();
    const answer = await askNode<{ ok: boolean; snapshot?: string }>(primary.control, 'snapshot');
    busy.push({ fromMs, toMs: Date.now() });
    if (answer.snapshot !== undefined) kept.push(answer.snapshot);
  }
  return { kept, busy };
}

/** `rounds` of two stretches, the first of which is kept in every other one. */
export async function measureCost(
  machine: CountingMachine,
  { rounds, stretchMs }: { readonly rounds: number; readonly stretchMs: number },
): Promise<Cost> {
  const readings: Reading[] = [];
  const watching = machine.primary.events.subscribe((event) => {
    if (event.type === 'log') readings.push({ atMs: Date.now(), icount: event.icount });
  });
  const found: { readonly kept: Stretch; readonly free: Stretch; readonly busy: Stretch[] }[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const busy: Stretch[] = [];
      const keep = async (): Promise<Stretch> =>
        timed(async () => {
          busy.push(...(await keeping(machine, 4_000, stretchMs)).busy);
        });
      const leave = async (): Promise<Stretch> => timed(() => sleep(stretchMs));
      if (round % 2 === 0) {
        const kept = await keep();
        found.push({ kept, free: await leave(), busy });
      } else {
        const free = await leave();
        found.push({ kept: await keep(), free, busy });
      }
    }
  } finally {
    watching.unsubscribe();
  }
  const losses = found.map(({ kept, free, busy }) => {
    const beside = paceIn(readings, free, []);
    const lost = (pace: number): number => 100 * (1 - pace / beside);
    return { all: lost(paceIn(readings, kept, [])), between: lost(paceIn(readings, kept, busy)) };
  });
  return {
    lossPercent: median(losses.map(({ all }) => all)),
    lossBetweenPercent: median(losses.map(({ between }) => between)),
  };
}

async function timed(work: () => Promise<void>): Promise<Stretch> {
  const fromMs = Date.now();
  await work();
  return { fromMs, toMs: Date.now() };
}

/** Instructions a millisecond, by readings that lie in the stretch and touch none of `without`. */
function paceIn(
  readings: readonly Reading[],
  within: Stretch,
  without: readonly Stretch[],
): number {
  let [instructions, ms] = [0, 0];
  for (const [index, to] of readings.entries()) {
    const from = readings[index - 1];
    if (from === undefined || from.atMs < within.fromMs || to.atMs > within.toMs) continue;
    if (without.some(({ fromMs, toMs }) => from.atMs < toMs && to.atMs > fromMs)) continue;
    instructions += to.icount - from.icount;
    ms += to.atMs - from.atMs;
  }
  return instructions / ms;
}
