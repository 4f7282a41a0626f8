// On a terminal one line is written over; in a log there are plain lines, and not too many.
import { expect, test } from 'vitest';
import { Progress } from '../../src/text/progress.ts';

function stream(isTTY: boolean) {
  const said: string[] = [];
  return { said, isTTY, columns: 20, write: (text: string) => said.push(text) };
}

test('without a terminal: plain lines, the status at most once a second', () => {
  const out = stream(false);
  let nowMs = 0;
  const progress = new Progress(out, { now: () => nowMs });
  for (; nowMs < 2500; nowMs += 100) progress.status(`at ${nowMs}`);
  progress.event('killed');
  progress.end();
  expect(out.said).toEqual(['at 0\n', 'at 1000\n', 'at 2000\n', 'killed\n']);
});

test('on a terminal: events scroll above one status line that fits', () => {
  const out = stream(true);
  const progress = new Progress(out, { now: () => 0 });
  progress.status('a status that is wider than the terminal');
  progress.event('killed');
  progress.end();
  expect(out.said).toEqual([
    '\r\x1b[2Ka status that is wi',
    '\r\x1b[2Kkilled\na status that is wi',
    '\r\x1b[2K',
  ]);
});
