/** What the pair file says of cuts: how often, and which of them stay as snapshots, and where. */
import path from 'node:path';
import { z } from 'zod';
import { limits } from '../../base/limits.ts';
import { snapshotLimits } from '../../restore/limits.ts';
import type { Keep } from '../../store/retention.ts';
import { nesting } from '../../store/tier/nesting.ts';
import { duration, spoolSizeField } from './pair-amounts.ts';

export interface SnapshotPolicy {
  /** Directory of the store. */
  readonly store: string;
  /** `undefined`: a cut is kept only when somebody asks for it. */
  readonly everyMs: number | undefined;
  /** `undefined`: all stay. */
  readonly keep: Keep | undefined;
  /** The store that snapshots are copied to, and which stay there: all, if that is `undefined`. */
  readonly copyTo: { readonly directory: string; readonly keep: Keep | undefined } | undefined;
  /**
   * What a machine that neither node has any more is started from: its disks, or the newest
   * snapshot.
   */
  readonly restart: Restarting;
  /** How long a node leaves it to a peer that has more of the log to go on, milliseconds. */
  readonly restartWaitMs: number;
}

const restarting = ['boot', 'newest'] as const;
type Restarting = (typeof restarting)[number];

const { everyMsMin, everyMsMax, restartWaitMs, restartWaitMsMax } = snapshotLimits;
const everyWords = `must be a time such as 4s, from ${everyMsMin}ms to ${everyMsMax / 3600e3}h`;
const compareWords = `must be a time such as 10m, from ${everyMsMin}ms to ${everyMsMax / 3600e3}h, or never`;
const waitWords = `must be a time such as 60s, up to ${restartWaitMsMax / 3600e3}h`;
const countWords = 'must be a whole number from 0 to 100000';
const count = z.int(countWords).min(0, countWords).max(100_000, countWords).exactOptional();

const keepSchema = z
  .strictObject({
    last: count,
    hourly: count,
    daily: count,
    budget: spoolSizeField.exactOptional(),
  })
  .refine(
    ({ last, hourly, daily, budget }) =>
      budget !== undefined || [last, hourly, daily].some((some) => some !== undefined && some > 0),
    'would keep nothing: give last, hourly, daily or budget',
  )
  .transform(({ budget, ...counts }) => ({
    ...counts,
    ...(budget === undefined ? {} : { budgetBytes: budget }),
  }));

const isBetween = (ms: number): boolean => ms >= everyMsMin && ms <= everyMsMax;

/** How often a pair compares itself, in milliseconds; `undefined`: it does not. */
export const compareEverySchema = z
  .string(compareWords)
  .refine((text) => text === 'never' || isBetween(duration(text)), compareWords)
  .optional()
  .transform((text) => {
    if (text === undefined) return limits.compareEveryMs;
    return text === 'never' ? undefined : duration(text);
  });

const copyWords = 'must be a directory, or { directory, keep }';

/** A directory alone, or with what stays there. */
const copyToSchema = z.preprocess(
  (value) => (typeof value === 'string' && value !== '' ? { directory: value } : value),
  z.strictObject(
    { directory: z.string(copyWords).min(1, copyWords), keep: keepSchema.optional() },
    { error: ({ code }) => (code === 'invalid_type' ? copyWords : undefined) },
  ),
);

export const snapshotsSchema = z.strictObject({
  store: z
    .string('must be the directory of the store')
    .min(1, 'must be the directory of the store'),
  every: z
    .string(everyWords)
    .refine((text) => isBetween(duration(text)), everyWords)
    .transform(duration)
    .optional(),
  keep: keepSchema.optional(),
  copyTo: copyToSchema.optional(),
  restart: z.enum(restarting, 'must be boot or newest').default('boot'),
  restartWait: z
    .string(waitWords)
    .refine((text) => duration(text) <= restartWaitMsMax, waitWords)
    .transform(duration)
    .default(restartWaitMs),
});

/** The keys of `snapshots` in a pair file, and of `keep` in it, for what was mistyped. */
export const snapshotKeys = Object.keys(snapshotsSchema.shape);
export const keepKeys: readonly string[] = ['last', 'hourly', 'daily', 'budget'];
export const copyToKeys: readonly string[] = ['directory', 'keep'];

/** With absolute paths; `baseDir`: directory of the pair file. */
export function snapshotPolicy(
  { store, every, keep, copyTo, restart, restartWait }: z.infer<typeof snapshotsSchema>,
  baseDir: string,
): SnapshotPolicy {
  return {
    store: path.resolve(baseDir, store),
    everyMs: every,
    keep,
    copyTo: copyTo && {
      directory: path.resolve(baseDir, copyTo.directory),
      keep: copyTo.keep,
    },
    restart,
    restartWaitMs: restartWait,
  };
}

/** What is wrong with `copyTo`, as far as its name tells. */
export function copyToProblems({ store, copyTo }: SnapshotPolicy): string[] {
  const what = copyTo && nesting(store, copyTo.directory);
  if (what === undefined) return [];
  return [
    `snapshots.copyTo: ${what}: name a directory on another disk or host than that of the store: ` +
      `current value is "${copyTo?.directory}"`,
  ];
}
