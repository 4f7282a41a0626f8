/**
 * The report as a person reads it in a terminal: what was measured, what was promised, and what is
 * missing.
 *
 * Plain text without a terminal: the same lines, without colours.
 */
import { type Paint, painter } from '../../text/style.ts';
import { sectionLines } from '../../text/text-table.ts';
import type { BenchResults, Goal } from '../results.ts';
import { formatBound, formatDuration, formatGoalValue, formatMemory } from './format.ts';
import { goalsOf, goalsText } from './goals.ts';
import { cellText, reportTables } from './tables.ts';

export interface TableOptions {
  /** @default false */
  readonly coloured?: boolean;
}

export function resultsTable(results: BenchResults, options: TableOptions = {}): string {
  const paint = painter(options.coloured ?? false);
  const goals = goalsOf(results);
  const missed = goals.some(({ pass }) => pass === false);
  const lines = [
    ...headLines(results, paint),
    ...Object.values(reportTables(results)).flatMap(({ columns, rows, ...section }) =>
      sectionLines(
        {
          ...section,
          columns: columns.map(({ name }) => name),
          rows: rows.map((row) => [row.name, ...columns.map((one) => cellText(one, row))]),
        },
        paint,
      ),
    ),
    ...goalLines(goals, paint),
    ...gapLines(results, paint),
    '',
    paint(missed ? 'red' : 'green', ` Goals: ${goalsText(goals)}`),
  ];
  return `${lines.join('\n')}\n`;
}
function headLines({ machine, versions, ...results }: BenchResults, paint: Paint): string[] {
  const { mode, startedAt, tookMs, guestMemoryBytes } = results;
  const kvm = machine.hasKvm ? 'KVM' : 'no KVM';
  const priority = machine.realTime ? 'real-time priority' : 'no real-time priority';
  return [
    paint('bold', ` Understudy ${versions.understudy}: a ${mode} benchmark`),
    paint('dim', ` ${startedAt}, took ${formatDuration(tookMs)}, commit ${versions.commit}`),
    paint('dim', ` ${machine.cpu}, ${machine.cores} cores, ${kvm}, ${priority}`),
    paint(
      'dim',
      ` QEMU ${versions.qemu}, Node.js ${versions.node}, guest of ` +
        `${formatMemory(guestMemoryBytes)} with ${versions.guestKernel}`,
    ),
  ];
}

function goalLines(goals: readonly Goal[], paint: Paint): string[] {
  const nameWidth = Math.max(...goals.map(({ name }) => name.length));
  const valueWidth = Math.max(...goals.map((goal) => formatGoalValue(goal).length));
  return [
    '',
    ` ${paint('bold', 'goals')}`,
    ...goals.flatMap((goal) => {
      const value = formatGoalValue(goal).padStart(valueWidth);
      const shown = goal.pass === false ? paint('red', value) : value;
      const name = goal.name.padEnd(nameWidth);
      const line = ` ${mark(goal, paint)} ${name}  ${shown}  ${formatBound(goal)}`;
      const isExplained = goal.note !== undefined && goal.value !== null;
      return isExplained ? [line, paint('dim', `     ${goal.note}`)] : [line];
    }),
  ];
}

function mark({ pass }: Goal, paint: Paint): string {
  if (pass === null) return paint('dim', '–');
  return pass ? paint('green', '✓') : paint('red', '✗');
}

function gapLines({ gaps }: BenchResults, paint: Paint): string[] {
  if (gaps.length === 0) return [];
  return [
    '',
    ` ${paint('bold', 'not measured')}`,
    ...gaps.map(({ what, why }) => paint('yellow', `   ${what}: ${why}`)),
  ];
}
