/** Numbers of a benchmark as a person reads them; what the demo's units do not have. */
import { formatMs } from '../../text/units.ts';
import type { Goal } from '../results.ts';

export type FigureUnit = Goal['unit'] | 'bytes';

export const formatRatio = (ratio: number): string =>
  `${ratio.toFixed(ratio < 0.1 && ratio > 0 ? 3 : 2)}×`;

export const formatPercent = (share: number): string => {
  const percent = share * 100;
  return `${Math.abs(percent) < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
};

/** How long a run took. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** Memory of a machine, by powers of 1024 as it is configured. */
export function formatMemory(bytes: number): string {
  if (bytes >= 2 ** 30) return `${trimmed(bytes / 2 ** 30)} GiB`;
  return `${trimmed(bytes / 2 ** 20)} MiB`;
}

/** An amount of data, by powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${digits(bytes / 1e6)} MB`;
  if (bytes >= 1e3) return `${digits(bytes / 1e3)} KB`;
  return `${Math.round(bytes)} B`;
}

/** With a digit more than the demo shows: goals for rates are as small as 6 KB/s. */
export const formatByteRate = (bytesPerSecond: number): string =>
  `${formatBytes(bytesPerSecond)}/s`;

export function formatUnit(value: number, unit: FigureUnit): string {
  switch (unit) {
    case 'ratio':
      return formatRatio(value);
    case 'ms':
      return formatMs(value);
    case 'bytes/s':
      return formatByteRate(value);
    case 'bytes':
      return formatBytes(value);
    case 'share of a core':
      return formatPercent(value);
  }
}

/** Of an epoch. */
export const formatLength = (ms: number): string => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`);

/** 180000 as `180 k`. */
export function formatInstructions(count: number): string {
  if (count < 1e3) return String(Math.round(count));
  const [name, unit] = count >= 1e9 ? ['G', 1e9] : count >= 1e6 ? ['M', 1e6] : ['k', 1e3];
  return `${(count / unit).toFixed(count >= 10 * unit ? 0 : 1)} ${name}`;
}

/** What the goal asks, such as `≤ 1.50×`. */
export const formatBound = ({ goal, unit }: Goal): string =>
  'atMost' in goal ? `≤ ${boundText(goal.atMost, unit)}` : `≥ ${boundText(goal.atLeast, unit)}`;

/** Bounds are round numbers: `5 ms`, not `5.0 ms`. */
const boundText = (bound: number, unit: Goal['unit']): string =>
  formatUnit(bound, unit).replace(/\.0(?= )/, '');

/**
 * The value of a goal. A value that rounds to the bound but is not the bound gets the digits that
 * show on which side it is.
 */
export function formatGoalValue({ value, unit, goal }: Goal): string {
  if (value === null) return '–';
  const bound = 'atMost' in goal ? goal.atMost : goal.atLeast;
  const text = formatUnit(value, unit);
  if (value === bound || text !== formatUnit(bound, unit)) return text;
  const scale = { ratio: 1, ms: 1, 'bytes/s': 1e-3, 'share of a core': 100 }[unit];
  const name = { ratio: '×', ms: ' ms', 'bytes/s': ' KB/s', 'share of a core': ' %' };
  for (let places = 1; places < 6; places += 1) {
    const precise = (value * scale).toFixed(places);
    if (Number(precise) !== bound * scale) return `${precise}${name[unit]}`;
  }
  return text;
}

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

const trimmed = (value: number): string => String(Number(value.toFixed(1)));
