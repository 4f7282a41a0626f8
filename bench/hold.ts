/**
 * How long the guest's outputs wait at the gate: a real pair on loopback, protected, under the load
 * of the demo.
 *
 *   npm run bench -- hold [--seconds N] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../src/base/errors.ts';
import { demoLimits } from '../src/lab/limits.ts';
import { LoadProcess } from '../src/lab/load-process.ts';
import type { NodeProcess } from '../src/lab/node-process.ts';
import { openWorld } from '../src/lab/open-world.ts';
import { Stage } from '../src/lab/stage.ts';
import type { World } from '../src/lab/world.ts';
import { readGuestPage } from '../src/lab/world-program.ts';

/** What `hold` may be under load, on two processors and loopback. */
const goal = { p50Ms: 2, p99Ms: 10 } as const;

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outputs: number;
  readonly requests: number;
  readonly seconds: number;
  readonly withinGoal: boolean;
}

async function measure(world: World, stage: Stage, seconds: number): Promise<Figures> {
  const primary = stage.start('a');
  while ((await readGuestPage(world, '/read').catch(() => undefined)) === undefined) {
    if (!primary.isRunning) throw new UnderstudyError('environment', 'The node ended at its start');
    await sleep(demoLimits.nodePollMs);
  }
  await stage.start('b').until('protecting', demoLimits.guestBootMs);
  const load = new LoadProcess(world, { runName: `hold${process.pid}` });
  const { p50Ms, p99Ms, count } = await lastHold(primary, seconds);
  const { requestsOk } = await load.stop();
  return {
    p50Ms: round(p50Ms),
    p99Ms: round(p99Ms),
    outputs: count,
    requests: requestsOk,
    seconds,
    withinGoal: p50Ms <= goal.p50Ms && p99Ms <= goal.p99Ms,
  };
}

/**
 * The figures that the primary tells are of all outputs since it is protected: the last ones count.
 */
async function lastHold(primary: NodeProcess, seconds: number) {
  const endAt = performance.now() + seconds * 1000;
  for (;;) {
    const hold = await primary.next((event) => event.type === 'hold');
    if (performance.now() >= endAt) return hold;
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100;

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '15' }, json: { type: 'boolean' } },
});
const world = await openWorld();
try {
  const stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs: world.egressSpecs });
  try {
    const figures = await measure(world, stage, Number(values.seconds));
    if (values.json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else console.table(figures);
  } finally {
    await stage.close();
  }
} finally {
  await world.close();
}
