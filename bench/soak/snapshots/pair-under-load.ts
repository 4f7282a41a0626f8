/**
 * The life of a pair whose machine is kept: under load, in stretches with and without snapshots by
 * turns, with its primary killed in the middle, and a quiet stretch at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Distribution } from '../../../src/base/distribution.ts';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { nowMs } from '../../../src/lab/gap-watch.ts';
import { demoLimits } from '../../../src/lab/limits.ts';
import { LoadProcess } from '../../../src/lab/load-process.ts';
import type { LoadRecord, LoadStats } from '../../../src/lab/load-record.ts';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import type { Stage } from '../../../src/lab/stage.ts';
import { killAndWatch } from '../../../src/lab/takeover.ts';
import type { World } from '../../../src/lab/world.ts';
import { readGuestPage } from '../../../src/lab/world-program.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import type { Progress } from '../../../src/text/progress.ts';
import { LedgerWatch } from './ledger-watch.ts';
import type { GuestFiles, LedgerSight } from './outside.ts';
import { countProcessors, type Pair, type ProcessorUse } from './processors.ts';
import { Asked, Taking, takeOne } from './taking.ts';

export interface LifeOptions {
  readonly world: World;
  /** Its pair file names a snapshot store, and no time between two snapshots. */
  readonly stage: Stage;
  /** All stretches under load together. */
  readonly soakMs: number;
  readonly everyMs: number;
  /**
   * In the stretches without snapshots cuts are compared as often, so that only keeping them
   * differs.
   */
  readonly areOthersCompared: boolean;
  /** Between two requests of a client of the load. */
  readonly pauseMs: number;
  readonly progress: Progress;
}

/** Instants are ms since 1970. */
export interface Stretch {
  readonly isKept: boolean;
  readonly fromMs: number;
  readonly toMs: number;
  readonly use: ProcessorUse;
}

/** A count that only grows, as it was at one moment. */
export interface Counted {
  readonly atMs: number;
  readonly count: number;
}

export interface Life {
  readonly told: Told;
  readonly asked: Asked;
  /** Neighbours are compared: two and two, one of each kind. */
  readonly stretches: readonly Stretch[];
  /** Without load; the guest goes on with its ledger. */
  readonly idle: Stretch;
  readonly stats: readonly LoadStats[];
  /** Instructions that the guest has executed since its machine was started. */
  readonly icounts: readonly Counted[];
  readonly load: LoadRecord;
  readonly sights: readonly LedgerSight[];
  /** The guest's files at the end of all. */
  readonly final: GuestFiles;
  /** From the kill to the first output. */
  readonly takeoverMs: number;
}

/** Long enough for a rate; short enough that the machine is the same in two neighbours. */
const stretchMsMax = 10_000;
const stretchesMin = 8;
/** Between two stretches, for what the one before began. */
const betweenMs = 500;
/** Snapshots of the quiet stretch. */
const idleSnapshots = 8;

/** What the nodes told. */
class Told {
  /**
   * Of cuts for snapshots: how long the guest stood still, the digest of its RAM, and all but that.
   */
  readonly pauseMs = new Distribution();
  readonly digestMs = new Distribution();
  readonly restMs = new Distribution();
  /** How long the copy was captured, and how long it was then stored. */
  readonly captureMs = new Distribution();
  readonly storeMs = new Distribution();
  /** Of the backup, in stretches of either kind. */
  readonly lagMs = { with: new Distribution(), without: new Distribution() };
  stretch: 'with' | 'without' | undefined;
  readonly icounts: Counted[] = [];
  readonly copiesGivenUp: string[] = [];
  readonly troubles: string[] = [];

  follow(node: NodeProcess): NodeProcess {
    node.events.subscribe((event) => this.#take(node.name, event));
    return node;
  }

  #take(node: string, event: WatchEvent): void {
    switch (event.type) {
      case 'cut':
        if (event.purpose !== 'verify') return;
        if (this.stretch === 'without') return;
        this.pauseMs.add(event.pauseMs);
        this.digestMs.add(event.ramMs);
        this.restMs.add(event.pauseMs - event.ramMs);
        return;
      case 'snapshot':
        this.captureMs.add(event.ramMs + event.disksMs);
        this.storeMs.add(event.ms);
        return;
      case 'lag':
        if (this.stretch !== undefined) this.lagMs[this.stretch].add(event.ms);
        return;
      case 'log':
        this.icounts.push({ atMs: nowMs(), count: event.icount });
        return;
      case 'replicaDiscarded':
        this.copiesGivenUp.push(`${node}: ${event.reason}`);
        return;
      case 'snapshotTrouble':
        this.troubles.push(`${node}: ${event.reason}`);
        return;
      default:
        return;
    }
  }
}

/**
 * Lives it. Both nodes are stopped when it resolves; throws when something of it could not be done.
 */
export async function livePair(options: LifeOptions): Promise<Life> {
  const { world, stage, everyMs, pauseMs, progress } = options;
  const [told, asked] = [new Told(), new Asked()];
  const stats: LoadStats[] = [];
  let primary = told.follow(stage.start('a'));
  await waitFor('the guest', () => hasBooted(world));
  progress.event('the guest is up');
  let backup = await protect(stage, 'b', told);
  const load = new LoadProcess(world, {
    runName: `soak${process.pid}`,
    pauseMs,
    onStats: (now) => stats.push(now),
    onFailure: ({ client, reason }) => progress.event(`a request failed: ${client}: ${reason}`),
  });
  const watch = new LedgerWatch(world);
  await waitFor('the load', () => (stats.at(-1)?.requestsOk ?? 0) > 0 && watch.hasSeen);
  const stretches = await firstSnapshotAndStretches({ primary, backup }, { told, asked }, options);

  const taking = new Taking(primary.control, everyMs, { asked });
  await sleep(2.5 * everyMs); // so that it dies when one is under way
  const times = await killAndWatch(primary, backup);
  await taking.stop();
  const takeoverMs = times.detectMs + times.drainMs + times.loadMs + times.firstOutputMs;
  progress.event(`node a was killed, b spoke ${Math.round(takeoverMs)} ms later`);
  await sleep(demoLimits.settleMs);
  primary = backup;
  backup = await protect(stage, 'a', told);
  const pair = { primary, backup };
  stretches.push(...(await firstSnapshotAndStretches(pair, { told, asked }, options)));

  const record = await load.stop();
  const sights = await watch.stop();
  progress.event('the load has ended');
  await sleep(demoLimits.settleMs);
  const idle = await stretch(true, pair, idleSnapshots * everyMs, () => {
    return new Taking(primary.control, everyMs, { asked });
  });
  const ledger = await readGuestPage(world, '/ledger');
  const journal = await readGuestPage(world, '/counter.log');
  await backup.stop();
  await primary.stop();
  const final = { ledger, journal };
  const { icounts } = told;
  return { told, asked, stretches, idle, stats, icounts, load: record, sights, final, takeoverMs };
}

const hasBooted = (world: World): Promise<boolean> =>
  readGuestPage(world, '/read').then(
    () => true,
    () => false,
  );

async function waitFor(what: string, isThere: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + demoLimits.guestBootMs;
  while (!(await isThere())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(demoLimits.nodePollMs);
  }
}

async function protect(stage: Stage, name: string, told: Told): Promise<NodeProcess> {
  const backup = told.follow(stage.start(name));
  await backup.until('protecting');
  return backup;
}

/** Half of all stretches, behind the first snapshot of a copy, which has the whole machine. */
async function firstSnapshotAndStretches(
  pair: Pair,
  { told, asked }: Pick<Life, 'told' | 'asked'>,
  { soakMs, everyMs, areOthersCompared, progress }: LifeOptions,
): Promise<Stretch[]> {
  const { control } = pair.primary;
  await firstSnapshot(control);
  const periods = Math.floor(Math.min(stretchMsMax, soakMs / stretchesMin) / everyMs);
  const stretchMs = Math.max(1, periods) * everyMs;
  const turns = Math.max(1, Math.round(soakMs / stretchMs / 4));
  const stretches: Stretch[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    // By turns, so that what drifts is for both the same.
    for (const isKept of turn % 2 === 0 ? [true, false] : [false, true]) {
      progress.status(
        `${asked.taken} snapshots, ${asked.late} late; ${isKept ? 'with' : 'without'}`,
      );
      told.stretch = isKept ? 'with' : 'without';
      const lived = await stretch(isKept, pair, stretchMs, () => {
        if (isKept) return new Taking(control, everyMs, { asked });
        return areOthersCompared
          ? new Taking(control, everyMs, { asked, command: 'verify' })
          : undefined;
      });
      stretches.push(lived);
      told.stretch = undefined;
      await sleep(betweenMs);
    }
  }
  return stretches;
}

/** A copy is not followed at once. */
async function firstSnapshot(control: string): Promise<void> {
  const deadline = performance.now() + demoLimits.nodeEventMs;
  for (;;) {
    const problem = await takeOne(control);
    if (problem === undefined) return;
    if (performance.now() > deadline) {
      throw new UnderstudyError('store', `No snapshot can be taken: ${problem}`);
    }
    await sleep(betweenMs);
  }
}

async function stretch(
  isKept: boolean,
  pair: Pair,
  ms: number,
  begin: () => Taking | undefined,
): Promise<Stretch> {
  const fromMs = nowMs();
  const endCount = countProcessors(pair);
  const taking = begin();
  await sleep(ms);
  const toMs = nowMs();
  const use = endCount();
  await taking?.stop();
  return { isKept, fromMs, toMs, use };
}
