/** What the pair file says of a guest that fails by itself: how that is seen, and what is done. */
import { z } from 'zod';
import { watchdogLimits } from '../watchdog/limits.ts';
import { duration } from './pair-amounts.ts';
import type { SnapshotPolicy } from './policy.ts';

export interface WatchdogPolicy {
  /** Only say so, or let the machine go back to a snapshot. */
  readonly action: 'tell' | 'restore';
  /** What a line of the console begins with when the guest has failed. */
  readonly panic: readonly string[];
  /** A console that says nothing for so long is a failure; `undefined`: never. */
  readonly silenceMs: number | undefined;
  /** So many times at most within `withinMs`. */
  readonly restores: number;
  readonly withinMs: number;
  /** No snapshot is gone back to that is older. */
  readonly losesMs: number;
}

const { silenceMsMin, silenceMsMax, restoresMax, withinMsMin, withinMsMax } = watchdogLimits;
const { losesMsMin, losesMsMax, textMin, textMax, textsMax } = watchdogLimits;

const words = (example: string, min: string, max: string): string =>
  `must be a time such as ${example}, from ${min} to ${max}`;

/** A time within bounds, in milliseconds. */
const time = (says: string, min: number, max: number) =>
  z
    .string(says)
    .refine((text) => duration(text) >= min && duration(text) <= max, says)
    .transform(duration);

const actionWords = 'must be tell or restore';
const restoresWords = `must be a whole number from 1 to ${restoresMax}`;
const panicWords =
  `must be a list of up to ${textsMax} texts that lines of the console begin with, each of ` +
  `${textMin} to ${textMax} characters`;

export const watchdogSchema = z
  .strictObject({
    action: z.enum(['tell', 'restore'], actionWords),
    panic: z
      .array(z.string(panicWords).min(textMin, panicWords).max(textMax, panicWords), panicWords)
      .max(textsMax, panicWords)
      .default(['Kernel panic - not syncing']),
    silence: time(words('60s', '5s', '24h'), silenceMsMin, silenceMsMax).optional(),
    restores: z
      .int(restoresWords)
      .min(1, restoresWords)
      .max(restoresMax, restoresWords)
      .default(watchdogLimits.restores),
    within: time(words('1h', '1m', '24h'), withinMsMin, withinMsMax).default(
      watchdogLimits.withinMs,
    ),
    loses: time(words('1h', '1s', '720h'), losesMsMin, losesMsMax).default(watchdogLimits.losesMs),
  })
  .refine(
    ({ panic, silence }) => panic.length > 0 || silence !== undefined,
    'watches for nothing: give panic or silence',
  );

/** The keys of `watchdog` in a pair file, for what was mistyped. */
export const watchdogKeys: readonly string[] = [
  ...['action', 'panic', 'silence', 'restores', 'within', 'loses'],
];

export function watchdogPolicy({
  silence,
  within,
  loses,
  ...rest
}: z.infer<typeof watchdogSchema>): WatchdogPolicy {
  return { ...rest, silenceMs: silence, withinMs: within, losesMs: loses };
}

/** What is wrong with it beside the other keys. */
export function watchdogProblems(
  watchdog: WatchdogPolicy | undefined,
  snapshots: Pick<SnapshotPolicy, 'everyMs' | 'keep'> | undefined,
): string[] {
  if (watchdog?.action !== 'restore') return [];
  if (snapshots === undefined) {
    return [
      'watchdog.action: restore needs snapshots to go back to: write `snapshots` with `store` and ' +
        '`every`, or `action: tell`: current value is "restore"',
    ];
  }
  const { silenceMs = 0 } = watchdog;
  const { everyMs = Number.POSITIVE_INFINITY, keep = {} } = snapshots;
  const { last = Number.POSITIVE_INFINITY, hourly = 0, daily = 0 } = keep;
  if (last * everyMs > silenceMs || hourly + daily > 0) return [];
  return [
    `watchdog.silence: after ${silenceMs / 1000} s no snapshot from before is left, as the last ` +
      `${last} of one every ${everyMs / 1000} s stay: keep more, or write a shorter one`,
  ];
}
