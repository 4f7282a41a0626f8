/** The page's head and its sections on goals, published figures, the machine, gaps and raw data. */
import type { BenchResults, Goal } from '../results.ts';
import { factsOf } from './compare.ts';
import { formatBound, formatDuration, formatGoalValue } from './format.ts';
import { goalNames, goalsText } from './goals.ts';
import { element, escapeText, folded, type Markup, named, note, numeric, table } from './markup.ts';
import { oursFor } from './ours.ts';
import { publishedFigures, publishedNote } from './published.ts';

export interface Section {
  /** Of the link to it. */
  readonly id: string;
  readonly title: string;
  /** One or two sentences: what is shown and how to read it. */
  readonly why?: string;
  /** Markup. */
  readonly body: string;
}

const headlines: readonly { readonly goal: string; readonly name: string }[] = [
  { goal: goalNames.cpu, name: 'slowdown of CPU-bound work' },
  { goal: goalNames.takeoverP50, name: 'takeover after a kill, median' },
  { goal: goalNames.takeoverP99, name: 'takeover after a kill, 99 %' },
  { goal: goalNames.holdP99, name: 'hold under HTTP load, 99 %' },
  { goal: goalNames.lagP99, name: 'lag under HTTP load, 99 %' },
  { goal: goalNames.worstReplay, name: 'replay speed, worst job' },
];

export function headlineTiles(goals: readonly Goal[]): string {
  const tiles = headlines.flatMap(({ goal: goalName, name }) => {
    const goal = goals.find((one) => one.name === goalName);
    if (goal === undefined) return [];
    const bound = element('span', { class: 'bound' }, escapeText(`goal ${formatBound(goal)}`));
    return [
      element(
        'div',
        { class: 'tile' },
        element('dt', {}, escapeText(name)),
        element('dd', { class: 'big' }, escapeText(formatGoalValue(goal))),
        element('dd', { class: 'goal' }, mark(goal).markup, ' ', bound),
      ),
    ];
  });
  return element('dl', { class: 'tiles' }, ...tiles);
}

export function goalSection(goals: readonly Goal[]): Section {
  return {
    id: 'goals',
    title: 'Goals',
    why: goalsText(goals),
    body: wide(
      table(
        [named('goal'), numeric('measured'), numeric('goal'), named('verdict')],
        goals.map((goal) => [
          goal.note === undefined || goal.value === null
            ? goal.name
            : { markup: `${escapeText(goal.name)}${note(goal.note)}` },
          formatGoalValue(goal),
          formatBound(goal),
          mark(goal),
        ]),
      ),
    ),
  };
}

/** A sign and a word: the colour alone says nothing. */
function mark({ pass, value }: Goal): Markup {
  if (pass === true) return { markup: markSpan('pass', '✓', 'kept') };
  if (pass === false) return { markup: markSpan('miss', '✗', 'missed') };
  return { markup: markSpan('open', '–', value === null ? 'not measured' : 'no verdict') };
}

const markSpan = (kind: string, sign: string, word: string): string =>
  element('span', { class: `mark ${kind}` }, sign, element('span', { class: 'word' }, ` ${word}`));

export function publishedSection(results: BenchResults): Section {
  return {
    id: 'published',
    title: 'Beside published figures',
    why:
      `Published figures were ${publishedNote}, with other loads and other guests: an order of ` +
      'magnitude, not a race.',
    body: wide(
      table(
        [named('system'), named('published'), named('this run'), named('source')],
        publishedFigures.map(({ system, year, topic, figure, what, source, url }) => [
          year === null ? system : `${system}, ${year}`,
          { markup: `${escapeText(`${topicNames[topic]}: ${figure}`)}${note(what)}` },
          oursFor(results, topic) ?? 'not measured',
          { markup: element('a', { href: url, rel: 'noreferrer' }, escapeText(source)) },
        ]),
      ),
    ),
  };
}

const topicNames = {
  slowdown: 'slowdown',
  log: 'log',
  lag: 'lag',
  hold: 'hold of outputs',
  takeover: 'takeover',
} as const;

export function machineSection(results: BenchResults): Section {
  const { versions, startedAt, tookMs } = results;
  const facts = [
    ...factsOf(results),
    ['commit', versions.commit],
    ['run', `started ${startedAt}, took ${formatDuration(tookMs)}`],
  ] as const;
  const items = facts.map(
    ([what, is]) => element('dt', {}, escapeText(what)) + element('dd', {}, escapeText(is)),
  );
  const body = wide(element('dl', { class: 'facts' }, ...items));
  return { id: 'machine', title: 'Machine and versions', body };
}

export function gapSection({ gaps }: BenchResults): Section {
  return {
    id: 'gaps',
    title: 'What was not measured',
    body:
      gaps.length === 0
        ? '<p class="why">Nothing was left out.</p>'
        : wide(
            table(
              [named('what'), named('why')],
              gaps.map(({ what, why }) => [what, why]),
            ),
          ),
  };
}

export function rawSection(results: BenchResults): Section {
  return {
    id: 'raw',
    title: 'Raw data',
    why: 'Everything above was computed from these samples.',
    body: folded('The results as JSON', element('pre', {}, escapeText(samplesText(results)))),
  };
}

/** JSON with a line for each sample: it can be read, and is not longer than it has to be. */
function samplesText(results: BenchResults): string {
  const fields = Object.entries(results).map(([name, value]) => {
    const text =
      Array.isArray(value) && value.length > 0
        ? `[\n${value.map((sample) => `  ${JSON.stringify(sample)}`).join(',\n')}\n]`
        : JSON.stringify(value);
    return `${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${fields.join(',\n')}\n}`;
}

const wide = (body: string): string => element('div', { class: 'card wide' }, body);
