/** The figures of a soak of snapshots, and how they read. Sizes are bytes, times milliseconds. */
import type { Distribution } from '../../../src/base/distribution.ts';
import type { LoadStats } from '../../../src/lab/load-record.ts';
import type { SnapshotManifest } from '../../../src/ports/snapshot-store.ts';
import { formatCount, formatMs } from '../../../src/text/units.ts';
import type { Counted, Stretch } from './pair-under-load.ts';
import { meanUse, type ProcessorUse, users } from './processors.ts';

interface Spread {
  readonly p50: number;
  readonly max: number;
}

export const spread = (values: Distribution): Spread => ({ p50: values.p(0.5), max: values.p(1) });

export interface SnapshotFigures {
  readonly snapshots: number;
  /** Of the stretches under load that had any. */
  readonly perMinute: number;
  /** Due while the one before was not stored; not taken, by reason. */
  readonly late: number;
  readonly refused: Readonly<Record<string, number>>;
  /** How long the guest stood still for one: in all, the digest of its RAM, and all but that. */
  readonly cutPauseMs: Spread;
  readonly cutDigestMs: Spread;
  readonly cutRestMs: Spread;
  /** How long its copy was captured. */
  readonly captureMs: Spread;
  readonly storeMs: Spread;
  /** Requests a second with snapshots against those without; the error is the standard error. */
  readonly guestLossPercent: number;
  readonly guestLossErrorPercent: number;
  /** The same of instructions that the guest executed, which are steadier. */
  readonly instructionLossPercent: number;
  readonly instructionLossErrorPercent: number;
  /** What the pauses alone cost. */
  readonly pauseSharePercent: number;
  readonly requestsPerSecond: { readonly with: number; readonly without: number };
  /** Who used the processors, ms a second. */
  readonly processorMs: { readonly with: ProcessorUse; readonly without: ProcessorUse };
  /** Of the backup. */
  readonly lagMs: { readonly with: Spread; readonly without: Spread };
  readonly rates: readonly { readonly isKept: boolean; readonly requestsPerSecond: number }[];
  readonly requestMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly requestsFailed: number;
  readonly takeoverMs: number;
  readonly copiesGivenUp: readonly string[];
  readonly restores: number;
  readonly restoresWrong: number;
  /** Of the restores: started by the command, and asked. */
  readonly started: number;
  readonly instants: number;
  readonly instantsWrong: number;
  /** Restores and instants that were asked for, and for which no time or no snapshot was left. */
  readonly notDone: number;
  readonly twins: number;
  readonly twinRestoresEqual: boolean;
  readonly prepareMs: Spread;
  /** How many numbers the ledger's last line could have had, as far as the outside knew. */
  readonly possibleLines: Spread;
  /** What a snapshot added to the store, the mean, by what the guest did since the one before. */
  readonly bytesPerIncrement: { readonly idle: number; readonly busy: number };
  readonly firstSnapshotBytes: number;
  readonly storeBytes: number;
  readonly damaged: readonly string[];
  readonly findings: readonly string[];
}

/** Growth a second within a stretch. */
export function rateIn(
  { fromMs, toMs }: Pick<Stretch, 'fromMs' | 'toMs'>,
  counts: readonly Counted[],
): number {
  const from = counts.find(({ atMs }) => atMs >= fromMs);
  const to = counts.findLast(({ atMs }) => atMs <= toMs);
  if (from === undefined || to === undefined || to.atMs <= from.atMs) return 0;
  return ((to.count - from.count) * 1000) / (to.atMs - from.atMs);
}

/** How much less something grows with snapshots, from pairs of neighbouring stretches. */
export function lossOf(
  stretches: readonly Pick<Stretch, 'isKept' | 'fromMs' | 'toMs'>[],
  counts: readonly Counted[],
) {
  const rates = stretches.map((stretch) => ({
    isKept: stretch.isKept,
    rate: rateIn(stretch, counts),
  }));
  const ratesOf = (isKept: boolean): number[] =>
    rates.filter((one) => one.isKept === isKept).map(({ rate }) => rate);
  const [kept, without] = [ratesOf(true), ratesOf(false)];
  const losses = kept.map((rate, pair) => 100 * (1 - rate / (without[pair] ?? rate)));
  const percent = mean(losses);
  const variance = mean(losses.map((one) => (one - percent) ** 2));
  const errorPercent = Math.sqrt(variance / Math.max(1, losses.length - 1));
  return { percent, errorPercent, with: mean(kept), without: mean(without), rates };
}

/** What snapshots cost the guest, and the processors. */
export function costOf(
  stretches: readonly Stretch[],
  stats: readonly LoadStats[],
  icounts: readonly Counted[],
) {
  const requests = stats.map(({ atMs, requestsOk }) => ({ atMs, count: requestsOk }));
  const loss = lossOf(stretches, requests);
  const instructions = lossOf(stretches, icounts);
  const useOf = (isKept: boolean): ProcessorUse =>
    meanUse(stretches.filter((one) => one.isKept === isKept).map(({ use }) => use));
  return {
    guestLossPercent: loss.percent,
    guestLossErrorPercent: loss.errorPercent,
    requestsPerSecond: { with: loss.with, without: loss.without },
    rates: loss.rates.map(({ isKept, rate }) => ({ isKept, requestsPerSecond: rate })),
    instructionLossPercent: instructions.percent,
    instructionLossErrorPercent: instructions.errorPercent,
    processorMs: { with: useOf(true), without: useOf(false) },
  };
}

/**
 * What snapshots added that had one about `everyMs` before them, and were taken in one of the
 * stretches: not the first of a copy, nor of a stretch.
 */
export function meanIncrement(
  snapshots: readonly SnapshotManifest[],
  stretches: readonly Pick<Stretch, 'fromMs' | 'toMs'>[],
  everyMs: number,
): number {
  const increments = snapshots.filter(({ takenAtMs, parent }, index) => {
    const before = snapshots[index - 1];
    if (before === undefined || before.id !== parent) return false;
    if (takenAtMs - before.takenAtMs > 1.5 * everyMs) return false;
    return stretches.some(({ fromMs, toMs }) => takenAtMs >= fromMs && takenAtMs <= toMs);
  });
  return mean(increments.map(({ addedBytes }) => addedBytes));
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** Some were gone back to, and nothing was found that may not be. */
export const isGood = (figures: SnapshotFigures): boolean =>
  figures.restoresWrong + figures.instantsWrong + figures.requestsFailed === 0 &&
  figures.copiesGivenUp.length + figures.damaged.length === 0 &&
  figures.restores > 0 &&
  figures.instants > 0 &&
  figures.twinRestoresEqual;

const userNames: Readonly<Record<keyof ProcessorUse, string>> = {
  primaryMachine: "the primary's QEMU",
  primaryNode: '  node',
  primaryDisks: '  storage daemon',
  backupMachine: "the backup's QEMU",
  backupNode: '  node',
  backupDisks: '  storage daemon',
  others: 'all else',
  idle: 'idle',
  stolen: 'stolen',
};

/** For people. */
export function figuresTable(figures: SnapshotFigures): string {
  const { bytesPerIncrement, requestsPerSecond, requestMs, refused } = figures;
  const areEqual = figures.twinRestoresEqual;
  const spreadText = ({ p50, max }: Spread): string =>
    `p50 ${formatMs(p50)}, most ${formatMs(max)}`;
  const kib = (bytes: number): string => `${formatCount(bytes / 1024)} KiB`;
  const refusals = Object.entries(refused).map(([reason, times]) => `${times}: ${reason}`);
  const rows: (readonly [string, string])[] = [
    ['snapshots', `${figures.snapshots}, ${figures.perMinute.toFixed(1)} a minute`],
    ['left out', [`${figures.late} late`, ...refusals].join('; ')],
    ['guest stands still', spreadText(figures.cutPauseMs)],
    ['  for a digest of RAM', spreadText(figures.cutDigestMs)],
    ['  for all else', spreadText(figures.cutRestMs)],
    ['copy stands still', spreadText(figures.captureMs)],
    ['storing', spreadText(figures.storeMs)],
    [
      'guest loses',
      `${figures.guestLossPercent.toFixed(2)} ± ${figures.guestLossErrorPercent.toFixed(2)} %` +
        ` (the pauses: ${figures.pauseSharePercent.toFixed(2)} %); requests a second` +
        ` ${requestsPerSecond.with.toFixed(1)} with, ${requestsPerSecond.without.toFixed(1)} without`,
    ],
    [
      'instructions',
      `${figures.instructionLossPercent.toFixed(2)} ± ${figures.instructionLossErrorPercent.toFixed(2)} % less`,
    ],
    ['processors', 'ms a second with and without'],
    ...users.map((user): readonly [string, string] => {
      const { with: kept, without } = figures.processorMs;
      return [`  ${userNames[user]}`, `${formatCount(kept[user])}, ${formatCount(without[user])}`];
    }),
    ['lag with snapshots', spreadText(figures.lagMs.with)],
    ['lag without', spreadText(figures.lagMs.without)],
    ['takeover', formatMs(figures.takeoverMs)],
    [
      'requests',
      `p50 ${formatMs(requestMs.p50)}, 99 % ${formatMs(requestMs.p99)}, most ${formatMs(requestMs.max)};` +
        ` failed ${figures.requestsFailed}`,
    ],
    ['copies given up', String(figures.copiesGivenUp.length)],
    [
      'snapshots restored',
      `${figures.restores}, wrong ${figures.restoresWrong}; ${figures.started} of them started`,
    ],
    ['instants reached', `${figures.instants}, wrong ${figures.instantsWrong}`],
    ['not done', `${figures.notDone}: no time, or no snapshot, was left`],
    ['twins', figures.twins === 0 ? 'none' : `${figures.twins}, ${areEqual ? '' : 'NOT '}equal`],
    ['preparing', spreadText(figures.prepareMs)],
    [
      'last line was known',
      `to ${figures.possibleLines.p50} numbers, at worst ${figures.possibleLines.max}`,
    ],
    ['an increment', `busy ${kib(bytesPerIncrement.busy)}, idle ${kib(bytesPerIncrement.idle)}`],
    ['first of a copy', kib(figures.firstSnapshotBytes)],
    ['store', `${kib(figures.storeBytes)}, ${figures.damaged.length} damaged`],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
  const found = [...figures.copiesGivenUp, ...figures.damaged, ...figures.findings];
  return `${[...lines, ...found.map((finding) => `- ${finding}`)].join('\n')}\n`;
}
