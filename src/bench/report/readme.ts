/** The measured table of the README, and putting it in its place. */
import { UnderstudyError } from '../../base/errors.ts';
import type { BenchResults, Goal } from '../results.ts';
import { formatBound, formatDuration, formatGoalValue, formatMemory } from './format.ts';
import { goalsOf } from './goals.ts';

const readmeMarkers = {
  begin: '<!-- bench-table -->',
  end: '<!-- /bench-table -->',
} as const;

/** Markdown: where it was measured, and a row for each goal. */
export function readmeTable(results: BenchResults): string {
  const { machine, versions, gaps } = results;
  const rows = goalsOf(results).map((goal) => {
    const cells = [goal.name, formatGoalValue(goal), formatBound(goal), verdictText(goal)];
    return `| ${cells.map(escapeCell).join(' | ')} |`;
  });
  const where =
    `${machine.cpu}, ${machine.cores} cores, ${machine.hasKvm ? 'KVM' : 'no KVM'}; QEMU ` +
    `${versions.qemu}; guest of ${formatMemory(results.guestMemoryBytes)}. A ${results.mode} run of ` +
    `${formatDuration(results.tookMs)} on ${results.startedAt.slice(0, 10)}, Understudy ` +
    `${versions.understudy}.`;
  return [
    escapeInline(where),
    '',
    '| what | measured | goal | |',
    '|---|---|---|---|',
    ...rows,
    ...(gaps.length === 0 ? [] : ['', `Not measured: ${gapText(gaps)}.`]),
  ].join('\n');
}

/**
 * The README with `table` between its markers; all else stays byte for byte. Throws `config` when
 * a marker is missing, is there twice, or stands before its other.
 */
export function replaceReadmeTable(readme: string, table: string): string {
  const { begin, end } = readmeMarkers;
  const start = onlyPlace(readme, begin);
  const stop = onlyPlace(readme, end);
  if (stop < start) throw misplaced(`'${end}' stands before '${begin}'`);
  // By position: `replace` would take a `$` in the table for a pattern.
  return `${readme.slice(0, start + begin.length)}\n\n${table}\n\n${readme.slice(stop)}`;
}

function onlyPlace(readme: string, marker: string): number {
  const place = readme.indexOf(marker);
  if (place < 0) throw misplaced(`'${marker}' is missing`);
  if (readme.includes(marker, place + 1)) throw misplaced(`'${marker}' is there twice`);
  return place;
}

function misplaced(why: string): UnderstudyError {
  const { begin, end } = readmeMarkers;
  return new UnderstudyError('config', `Cannot put the measured table into the README: ${why}`, {
    hint: `write ${begin} and ${end}, each once, around the place for it`,
  });
}

function verdictText({ pass, value, note }: Goal): string {
  if (pass === true) return 'kept';
  if (pass === false) return '**missed**';
  return value === null ? 'not measured' : (note ?? 'no verdict');
}

const gapText = (gaps: BenchResults['gaps']): string =>
  gaps.map(({ what, why }) => escapeInline(`${what} (${why})`)).join('; ');

/** A verdict may be bold; a name of the machine may not become markup. */
const escapeInline = (text: string): string =>
  text.replace(/[\\`*_[\]<>|]/g, '\\$&').replace(/\s+/g, ' ');
const escapeCell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ');
