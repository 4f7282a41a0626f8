/** What the soak found, what of it breaks a promise, and how it reads. */
import type { Promised } from '../../../src/lab/promises.ts';
import { formatCount, formatMs } from '../../../src/text/units.ts';
import type { Findings } from './findings.ts';
import type { LedgerRecord } from './ledger-record.ts';

export interface SoakResult {
  readonly seed: number;
  readonly findings: Findings;
  readonly ledger: LedgerRecord;
  /** Milliseconds, without protection and with it; `undefined`: not timed. */
  readonly boot: { readonly bare: number; readonly protected: number } | undefined;
}

/** The last line of `--json`. Scripts may depend on the names. */
export interface Summary {
  readonly takeovers: number;
  readonly compares: number;
  readonly unequal: number;
  readonly stalls: number;
  /** Stalls whose cause is shown by what they left behind. */
  readonly explained: number;
  readonly lost: number;
  readonly doubled: number;
  /** `null`: not timed. */
  readonly bootRatio: number | null;
}

export function summaryOf({ findings, ledger, boot }: SoakResult): Summary {
  return {
    takeovers: findings.takeovers,
    compares: findings.compares,
    unequal: findings.unequal,
    stalls: findings.stalls.length,
    explained: findings.stalls.filter(({ verdict }) => verdict === 'not served').length,
    lost: ledger.lost,
    doubled: ledger.doubled,
    bootRatio: boot === undefined ? null : Math.round((100 * boot.protected) / boot.bare) / 100,
  };
}

export function soakPromises(result: SoakResult): Promised[] {
  const { findings, ledger, boot } = result;
  const { takeovers, compares, unequal, stalls, lost, doubled, bootRatio } = summaryOf(result);
  return [
    {
      name: 'the backup is identical at every cut',
      kept: unequal === 0 && compares > 0,
      text: `${formatCount(compares)} compared, ${unequal} unequal`,
    },
    {
      name: 'no copy stalls',
      kept: stalls === 0,
      text: `${stalls} did; ${findings.stalls.map(({ verdict }) => verdict).join(', ') || 'none'}`,
    },
    {
      name: 'no word is lost or doubled',
      kept: lost + doubled === 0 && ledger.acknowledged > 0,
      text: `${lost} lost and ${doubled} doubled of ${formatCount(ledger.acknowledged)} rows`,
    },
    {
      name: 'nothing else happens',
      kept: findings.others.length === 0,
      text: `${takeovers} takeovers, ${findings.others.length} findings`,
    },
    ...(boot === undefined
      ? []
      : [
          {
            name: 'it boots under protection',
            kept: true,
            text: `${formatMs(boot.protected)} instead of ${formatMs(boot.bare)}, ${bootRatio} times`,
          },
        ]),
  ];
}

/** For people. */
export function summaryTable(result: SoakResult): string {
  const { findings, seed } = result;
  const promised = soakPromises(result);
  const width = Math.max(...promised.map(({ name }) => name.length));
  return `${[
    `seed ${seed}`,
    ...promised.map(
      ({ name, kept, text }) => ` ${kept ? '✓' : '✗'} ${name.padEnd(width)}  ${text}`,
    ),
    `   lag p50 ${formatMs(findings.lagMs.p(0.5))}, p99 ${formatMs(findings.lagMs.p(0.99))}; ` +
      `protected again p50 ${formatMs(findings.seedMs.p(0.5))}, at most ${formatMs(findings.seedMs.p(1))}`,
    ...findings.stalls.map(
      ({ node, atMs, reason, verdict = 'unknown', again = '' }) =>
        ` - ${new Date(atMs).toISOString()} node ${node}, ${verdict}: ${reason}\n   again: ${again}`,
    ),
    ...findings.others.map((text) => ` - ${text}`),
    ...[...findings.refused].map(([reason, times]) => ` - ${times} times no compare: ${reason}`),
  ].join('\n')}\n`;
}
