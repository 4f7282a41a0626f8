/**
 * Soaks snapshots: a real pair under load is kept again and again, loses its primary in the middle,
 * and afterwards random snapshots and instants of it are gone back to. A machine of the past that
 * is not what it must be, or cannot be judged, is a finding.
 *
 *   npm run soak -- snapshots [--minutes 5] [--every 1s] [--restores 20] [--instants 20]
 *                            [--starts 3] [--against nothing] [--pause 20] [--json]
 *
 * `--minutes`: under load, one half of it without snapshots for comparison; `--every`: time between
 * two snapshots; `--restores`, `--instants`: how many are gone back to, in three minutes at most;
 * `--starts`: how many of the restores are also started; `--against`: `compares` compares cuts as
 * often where none is kept, so that the difference is what keeping them costs; `--pause`: between
 * two requests of a client, ms: a longer one leaves the processors something to spare. What is
 * measured and judged: docs/restore.md.
 */
import { randomInt } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../../src/base/errors.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { Stage } from '../../src/lab/stage.ts';
import type { World } from '../../src/lab/world.ts';
import { snapshotsSchema } from '../../src/node/pair-file/policy.ts';
import type { SnapshotManifest, SnapshotStore } from '../../src/ports/snapshot-store.ts';
import { openStore } from '../../src/store/store.ts';
import { Progress } from '../../src/text/progress.ts';
import { type Aim, aimAt, aimBetween, describeAim } from './snapshots/aims.ts';
import { Past } from './snapshots/going-back.ts';
import { Outside } from './snapshots/outside.ts';
import { type Life, livePair } from './snapshots/pair-under-load.ts';
import {
  costOf,
  figuresTable,
  isGood,
  mean,
  meanIncrement,
  type SnapshotFigures,
  spread,
} from './snapshots/report.ts';
import { type Reading, readTimeline } from './snapshots/timeline.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    every: { type: 'string', default: '1s' },
    restores: { type: 'string', default: '20' },
    instants: { type: 'string', default: '20' },
    starts: { type: 'string', default: '3' },
    against: { type: 'string', default: 'nothing' },
    pause: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const soakMs = atLeast(0.25, 'minutes') * 60_000;
const everyMs = duration(values.every);
const wanted = {
  restores: atLeast(0, 'restores'),
  instants: atLeast(0, 'instants'),
  starts: atLeast(0, 'starts'),
};
const pauseMs = Math.round(atLeast(0, 'pause', 999));
const areOthersCompared = values.against === 'compares';
if (!areOthersCompared && values.against !== 'nothing') {
  throw new UnderstudyError('config', `--against cannot be '${values.against}'`, {
    hint: 'give nothing or compares',
  });
}
/** What going back may take, however much was asked for. */
const pastMsMax = 180_000;
const twinPairs = 2;
const progress = new Progress(process.stderr);

function atLeast(
  least: number,
  name: 'minutes' | 'restores' | 'instants' | 'starts' | 'pause',
  most = 10_000,
): number {
  const value = Number(values[name]);
  if (value >= least && value <= most) return value;
  throw new UnderstudyError(
    'config',
    `--${name} must be ${least} to ${most}: current value is '${values[name]}'`,
  );
}

function duration(text: string): number {
  const { data } = snapshotsSchema.shape.every.safeParse(text);
  if (data !== undefined) return data;
  throw new UnderstudyError('config', `--every cannot be '${text}'`, {
    hint: 'give a time such as 1s, from 500ms on',
  });
}

async function soak(): Promise<SnapshotFigures> {
  const world = await openWorld();
  let stage: Stage | undefined;
  try {
    stage = await Stage.open({
      nodes: ['a', 'b'],
      egressSpecs: world.egressSpecs,
      pairKeys: { snapshots: { store: 'store' } },
    });
    const life = await livePair({
      ...{ world, stage, soakMs, everyMs, areOthersCompared, pauseMs, progress },
    });
    const storeDir = path.join(stage.dir, 'store');
    const store = await openStore({ directory: storeDir, mode: 'read' });
    try {
      const past = { store, world, storeDir, scratch: stage.dir };
      return await figuresOf(life, store, await goBack(life, past));
    } finally {
      await store.close();
    }
  } finally {
    await stage?.close();
    await world.close();
  }
}

/** What going back found. */
type PastFigures = Pick<
  SnapshotFigures,
  | ('restores' | 'restoresWrong' | 'started' | 'instants' | 'instantsWrong' | 'notDone')
  | ('twins' | 'twinRestoresEqual' | 'prepareMs' | 'possibleLines' | 'findings')
>;

interface PastPlace {
  readonly store: SnapshotStore;
  readonly world: World;
  readonly storeDir: string;
  readonly scratch: string;
}

async function goBack(life: Life, place: PastPlace): Promise<PastFigures> {
  const { sights, load, final } = life;
  const outside = new Outside({ sights, acknowledged: load.acknowledged, final });
  const past = new Past({ ...place, outside });
  const deadline = performance.now() + pastMsMax;
  const { restores, instants, problems } = await randomAims(life, place.store);
  const counts = { restores: 0, restoresWrong: 0, instants: 0, instantsWrong: 0, started: 0 };
  const findings = [...problems];
  // By turns: when time runs out, some of each were done. Twins first, there are two.
  let areEqual = true;
  let twins = 0;
  for (const aim of instants.slice(0, twinPairs)) {
    twins += 1;
    const differences = await past.twins(aim);
    if (differences.length > 0) areEqual = false;
    findings.push(...differences.map((what) => `twins of ${describeAim(aim)}: ${what}`));
  }
  for (let next = 0; next < Math.max(restores.length, instants.length); next += 1) {
    for (const kind of ['restores', 'instants'] as const) {
      const aim = (kind === 'restores' ? restores : instants)[next];
      if (aim === undefined || performance.now() > deadline) continue;
      const isStarted = kind === 'restores' && next < wanted.starts;
      const wrong = await past.check(aim, { isStarted });
      counts[kind] += 1;
      if (isStarted) counts.started += 1;
      if (wrong.length > 0) {
        counts[`${kind}Wrong` as const] += 1;
        progress.event(`${describeAim(aim)}: ${wrong[0]}`);
        findings.push(...wrong.map((what) => `${describeAim(aim)}: ${what}`));
      }
      progress.status(`${counts.restores} snapshots and ${counts.instants} instants gone back to`);
    }
  }
  const { prepareMs, possibleLines } = past;
  return {
    ...counts,
    notDone: wanted.restores + wanted.instants - counts.restores - counts.instants,
    twins,
    twinRestoresEqual: twins > 0 && areEqual,
    prepareMs: spread(prepareMs),
    possibleLines: spread(possibleLines),
    findings,
  };
}

/** Of the time when the outside looked. */
async function randomAims({ sights }: Life, store: SnapshotStore) {
  const [fromMs, toMs] = [sights[0]?.fromMs ?? 0, sights.at(-1)?.fromMs ?? 0];
  const problems: string[] = [];
  // A copy that was given up has another one behind it in the same run, with a gap between their
  // logs.
  const timelines = new Map<string, readonly Reading[]>();
  const all = await store.list();
  for (const first of all) {
    if (timelines.has(copyOf(first))) continue;
    const { readings, problem } = await readTimeline(store, first);
    timelines.set(copyOf(first), readings);
    if (problem !== undefined) problems.push(`log behind ${first.id}: ${problem}`);
  }
  const seen = all.filter(({ takenAtMs }) => takenAtMs > fromMs && takenAtMs < toMs - everyMs);
  const neighbours = seen.flatMap((from, index): [SnapshotManifest, SnapshotManifest][] => {
    const to = seen[index + 1];
    return to !== undefined && copyOf(to) === copyOf(from) ? [[from, to]] : [];
  });
  const restores = some(seen, wanted.restores).map(aimAt);
  const instants = some(neighbours, wanted.instants).map((pair, index): Aim => {
    const kind = index % 2 === 0 ? 'icount' : 'time';
    return aimBetween(kind, pair, timelines.get(copyOf(pair[0])) ?? []);
  });
  return { restores, instants, problems };
}

const copyOf = ({ run, seedId }: SnapshotManifest): string => `${run} ${seedId ?? ''}`;

/** At random, each once. */
function some<T>(from: readonly T[], count: number): T[] {
  const left = [...from];
  const taken: T[] = [];
  while (taken.length < count && left.length > 0) {
    taken.push(...left.splice(randomInt(left.length), 1));
  }
  return taken;
}

async function figuresOf(
  life: Life,
  store: SnapshotStore,
  past: PastFigures,
): Promise<SnapshotFigures> {
  const { told, asked, stretches, idle, stats, icounts, load, takeoverMs } = life;
  const kept = stretches.filter(({ isKept }) => isKept);
  const snapshots = await store.list();
  const under = snapshots.filter(({ takenAtMs }) =>
    kept.some(({ fromMs, toMs }) => takenAtMs >= fromMs && takenAtMs <= toMs),
  );
  const minutes = kept.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / 60_000;
  const firsts = snapshots.filter(({ parent }) => parent === undefined);
  const { bytes, damaged } = await store.verify();
  return {
    snapshots: snapshots.length,
    perMinute: under.length / minutes,
    late: asked.late,
    refused: Object.fromEntries(asked.refused),
    cutPauseMs: spread(told.pauseMs),
    cutDigestMs: spread(told.digestMs),
    cutRestMs: spread(told.restMs),
    captureMs: spread(told.captureMs),
    storeMs: spread(told.storeMs),
    ...costOf(stretches, stats, icounts),
    pauseSharePercent: (100 * told.pauseMs.mean) / everyMs,
    lagMs: { with: spread(told.lagMs.with), without: spread(told.lagMs.without) },
    requestMs: load.requestMs,
    requestsFailed: load.requestsFailed,
    takeoverMs,
    copiesGivenUp: told.copiesGivenUp,
    ...past,
    findings: [...told.troubles, ...past.findings],
    bytesPerIncrement: {
      idle: meanIncrement(snapshots, [idle], everyMs),
      busy: meanIncrement(snapshots, kept, everyMs),
    },
    firstSnapshotBytes: mean(firsts.map(({ addedBytes }) => addedBytes)),
    storeBytes: bytes,
    damaged: damaged.map(({ what }) => what),
  };
}

const figures = await soak();
progress.end();
process.stdout.write(figuresTable(figures));
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exitCode = isGood(figures) ? 0 : 1;
