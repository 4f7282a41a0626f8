/**
 * The report as one HTML file: nothing is loaded from anywhere and nothing is run, so that it can
 * be mailed, committed and opened in twenty years.
 */

import type { BenchResults } from '../results.ts';
import { goalsOf } from './goals.ts';
import { type Section, sectionMarkup } from './html-parts.ts';
import { styleSheet } from './html-style.ts';
import { copySection } from './page-copy.ts';
import { epochSection } from './page-epochs.ts';
import {
  gapSection,
  goalSection,
  headlineTiles,
  machineSection,
  publishedSection,
  rawSection,
} from './page-goals.ts';
import { replaySection } from './page-replay.ts';
import { slowdownSection } from './page-slowdown.ts';
import { takeoverSection } from './page-takeover.ts';
import { logSection, outputSection } from './page-traffic.ts';
import { element, escapeText } from './svg.ts';

/** The whole document. */
export function renderHtml(results: BenchResults): string {
  const goals = goalsOf(results);
  const sections: readonly Section[] = [
    goalSection(goals),
    slowdownSection(results),
    epochSection(results),
    takeoverSection(results),
    outputSection(results),
    logSection(results),
    replaySection(results),
    copySection(results),
    publishedSection(results),
    machineSection(results),
    gapSection(results),
    rawSection(results),
  ];
  const { understudy, qemu } = results.versions;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8"/>',
    '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
    '<meta name="color-scheme" content="light dark"/>',
    '<title>Understudy, measured</title>',
    `<style>${styleSheet}</style>`,
    '</head>',
    '<body>',
    element(
      'header',
      {},
      '<h1>Understudy, measured</h1>',
      element('p', { class: 'lead' }, escapeText(leadText(results))),
      headlineTiles(goals),
      navigation(sections),
    ),
    element('main', {}, ...sections.map(sectionMarkup)),
    element(
      'footer',
      {},
      escapeText(
        `Understudy ${understudy}, QEMU ${qemu}. Another machine gives other numbers; ratios ` +
          'travel better than times.',
      ),
    ),
    '</body>',
    '</html>',
    '',
  ].join('\n');
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

const navigation = (sections: readonly Section[]): string =>
  element(
    'nav',
    { 'aria-label': 'Sections' },
    element(
      'ul',
      {},
      ...sections.map(({ id, title }) =>
        element('li', {}, element('a', { href: `#${id}` }, escapeText(title))),
      ),
    ),
  );
