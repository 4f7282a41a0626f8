/**
 * The report as one HTML file: nothing is loaded from anywhere and nothing is run, so that it can
 * be mailed, committed and opened in twenty years.
 */
import type { BenchResults } from '../results.ts';
import { goalsOf } from './goals.ts';
import { styleSheet } from './html-style.ts';
import { element, escapeText } from './markup.ts';
import { measuredSections } from './page-measured.ts';
import {
  gapSection,
  goalSection,
  headlineTiles,
  machineSection,
  publishedSection,
  rawSection,
  type Section,
} from './page-parts.ts';

/** The whole document. */
export function renderHtml(results: BenchResults): string {
  const goals = goalsOf(results);
  const sections: readonly Section[] = [
    goalSection(goals),
    ...measuredSections(results),
    publishedSection(results),
    machineSection(results),
    gapSection(results),
    rawSection(results),
  ];
  const { understudy, qemu } = results.versions;
  const footer =
    `Understudy ${understudy}, QEMU ${qemu}. Another machine gives other numbers; ratios travel ` +
    'better than times.';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>Understudy, measured</title>
<style>${styleSheet}</style>
</head>
<body>
<header>
<h1>Understudy, measured</h1>
<p class="lead">${escapeText(leadText(results))}</p>
${headlineTiles(goals)}
${navigation(sections)}
</header>
<main>${sections.map(sectionMarkup).join('\n')}</main>
<footer>${escapeText(footer)}</footer>
</body>
</html>
`;
}

function leadText({ machine, mode, startedAt, jobRuns, takeovers }: BenchResults): string {
  const rounds = new Set(jobRuns.map(({ round }) => round)).size;
  const parts = [
    `A ${mode} run on ${startedAt.slice(0, 10)}`,
    `${machine.cpu} with ${machine.cores} cores${machine.hasKvm ? '' : ' and no KVM'}`,
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of jobs`,
    `${takeovers.length} ${takeovers.length === 1 ? 'takeover' : 'takeovers'}`,
  ];
  return `${parts.join('; ')}.`;
}

function navigation(sections: readonly Section[]): string {
  const items = sections.map(({ id, title }) =>
    element('li', {}, element('a', { href: `#${id}` }, escapeText(title))),
  );
  return element('nav', { 'aria-label': 'Sections' }, element('ul', {}, ...items));
}

const sectionMarkup = ({ id, title, why = '', body }: Section): string =>
  element(
    'section',
    { id, 'aria-labelledby': `${id}-heading` },
    element('h2', { id: `${id}-heading` }, escapeText(title)),
    why === '' ? '' : element('p', { class: 'why' }, escapeText(why)),
    body,
  );
