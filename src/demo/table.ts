/**
 * The demo's report as a person reads it: what was promised and kept, then how long it took.
 *
 * Plain text without a terminal: the same lines, without colours.
 */
import { Distribution } from '../base/distribution.ts';
import { promises } from '../lab/promises.ts';
import type { DemoReport, TakeoverTimes } from '../lab/report.ts';
import { type Paint, painter } from '../text/style.ts';
import { formatCount, formatMs, formatRate } from '../text/units.ts';

export interface TableOptions {
  /** @default false */
  readonly coloured?: boolean;
}

type Row = readonly [label: string, value: string];
const FINDINGS_SHOWN = 10;

export function reportTable(report: DemoReport, options: TableOptions = {}): string {
  const paint = painter(options.coloured ?? false);
  const promised = promises(report);
  const broken = promised.filter((promise) => !promise.kept).length;
  const rows = measureRows(report);
  const labels = [...promised.map(({ name }) => name), ...rows.map(([label]) => label)];
  const texts = [...promised.map(({ text }) => text), ...rows.map(([, value]) => value)];
  const labelWidth = widest(labels);
  const width = labelWidth + widest(texts) + 6;
  const rule = paint('dim', '─'.repeat(width));
  const lines = [
    paint('bold', title(report)),
    rule,
    ...promised.map(({ name, kept: good, text }) => {
      const mark = good ? paint('green', '✓') : paint('red', '✗');
      return ` ${mark} ${name.padEnd(labelWidth)}  ${good ? text : paint('red', text)}`;
    }),
    rule,
    ...rows.map(([label, value]) => `   ${label.padEnd(labelWidth)}  ${value}`.trimEnd()),
    rule,
    ...complaints(report, paint),
    broken === 0
      ? paint('green', ' Every promise was kept.')
      : paint('red', ` ${broken === 1 ? 'One promise was' : `${broken} promises were`} broken.`),
  ];
  return `${lines.join('\n')}\n`;
}

function title(report: DemoReport): string {
  const times = report.rounds === 1 ? 'once' : `${report.rounds} times`;
  return ` Understudy: the primary was killed ${times}`;
}

function measureRows(report: DemoReport): Row[] {
  const { takeoverMs, cutPauseMs, lagMs, takeoverSteps } = report;
  return [
    ['kill to running', `p50 ${formatMs(takeoverMs.p50)}, most ${formatMs(takeoverMs.max)}`],
    ...stepRows(takeoverSteps),
    ['longest silence outside', formatMs(report.longestGapMs)],
    [
      'requests',
      `${formatCount(report.requestsOk)} ok, slowest ${formatMs(report.slowestRequestMs)}`,
    ],
    ['lag of the backup', `p50 ${formatMs(lagMs.p50)}, p99 ${formatMs(lagMs.p99)}`],
    ['pause for a cut', `p50 ${formatMs(cutPauseMs.p50)}, most ${formatMs(cutPauseMs.max)}`],
    ['log sent', formatRate(report.logBytesPerSecond)],
  ];
}

/** Where the time of a takeover goes. One takeover is shown as it was, several by their median. */
function stepRows(steps: readonly TakeoverTimes[]): Row[] {
  if (steps.length === 0) return [];
  const median = (of: (times: TakeoverTimes) => number): string => {
    const values = new Distribution();
    for (const times of steps) values.add(of(times));
    return formatMs(values.p(0.5));
  };
  const named: [string, (times: TakeoverTimes) => number][] = [
    ['├ detect', (times) => times.detectMs],
    ['├ drain and prove', (times) => times.drainMs],
    ['├ load', (times) => times.loadMs],
    ['└ first output', (times) => times.firstOutputMs],
  ];
  return named.map(([label, of]) => [`  ${label}`, median(of)]);
}

function complaints(report: DemoReport, paint: Paint): string[] {
  const lines = [
    ...report.failures.map(
      ({ client, atMs, afterMs, reason }) =>
        `${new Date(atMs).toISOString()} ${client}: ${reason} (after ${formatMs(afterMs)})`,
    ),
    ...report.findings,
  ];
  const shown = lines.slice(0, FINDINGS_SHOWN).map((line) => paint('yellow', `   ${line}`));
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, paint('yellow', `   and ${more} more`)] : shown;
}

const widest = (texts: readonly string[]): number =>
  texts.reduce((width, text) => Math.max(width, text.length), 0);
