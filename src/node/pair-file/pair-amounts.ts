/** Amounts in the pair file: a number and a unit, such as "1.5GiB" or "200MB/s". */
import { z } from 'zod';
import { limits } from '../../base/limits.ts';

const unitBytes: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3 };

/** A time such as "250ms" or "4s" in milliseconds; NaN when it is none. */
export function duration(text: string): number {
  const [, digits, unit] = /^([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)$/.exec(text) ?? [];
  return Number(digits) * (unitMs[unit ?? ''] ?? Number.NaN);
}

/** NaN when it is no amount. */
function amount(text: string): number {
  const [, digits, unit] = /^([0-9]+(?:\.[0-9]+)?) ?([kMG]B|[KMG]iB)$/.exec(text) ?? [];
  return Math.round(Number(digits) * (unitBytes[unit ?? ''] ?? Number.NaN));
}

function atLeast(bytes: number, min: number): boolean {
  return bytes >= min && Number.isSafeInteger(bytes);
}

const mb = (bytes: number): string => `${bytes / 1e6}MB`;

const sizeWords = `must be a size such as 512MiB, at least ${mb(limits.spoolBudgetMinBytes)}`;

/** Bytes of a spool. */
export const spoolSizeField = z
  .string(sizeWords)
  .refine((text) => atLeast(amount(text), limits.spoolBudgetMinBytes), sizeWords)
  .transform(amount);

const rateWords = `must be a rate such as 200MB/s, at least ${mb(limits.seedBandwidthMin)}/s, or unlimited`;

/** Bytes per second of a seed; Infinity for `unlimited`. */
export const seedRateField = z
  .string(rateWords)
  .refine(
    (text) => text === 'unlimited' || atLeast(rateOf(text), limits.seedBandwidthMin),
    rateWords,
  )
  .transform((text) => (text === 'unlimited' ? Number.POSITIVE_INFINITY : rateOf(text)));

function rateOf(text: string): number {
  return text.endsWith('/s') ? amount(text.slice(0, -'/s'.length)) : Number.NaN;
}
