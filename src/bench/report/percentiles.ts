/** Rows of charts that show a median and a 99 %. */
import { formatMs } from '../../text/units.ts';
import type { RangeRow } from './chart-bars.ts';

export const percentileText = 'Hollow: median. Filled: 99 %.';

/** Room for the names of rows. */
export const namesWidth = 126;

export const percentileRow = (
  name: string,
  colour: string,
  p50Ms: number,
  p99Ms: number,
): RangeRow => ({
  name,
  colour,
  points: [
    { name: 'median', value: p50Ms },
    { name: '99 %', value: p99Ms },
  ],
});

export const percentileSentence = (name: string, p50Ms: number, p99Ms: number): string =>
  `${name}: median ${formatMs(p50Ms)}, 99 % ${formatMs(p99Ms)}`;

export const shortMs = (ms: number): string =>
  String(ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(2)));
