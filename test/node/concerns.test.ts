import { expect, it } from 'vitest';
import { Concerns } from '../../src/node/concerns.ts';
import type { Logger } from '../../src/node/logger.ts';
import { type NodeEvent, Reporter } from '../../src/node/report.ts';

function listenedTo() {
  const lines: string[] = [];
  const events: NodeEvent[] = [];
  const write = (level: string) => (_: object, text: string) => lines.push(`${level} ${text}`);
  const log = { warn: write('warn'), info: write('info') } as unknown as Logger;
  const reporter = new Reporter();
  reporter.events.subscribe((event) => events.push(event));
  return { concerns: new Concerns({ reporter, log }), lines, events };
}

it('a problem is told once, however often it is found, until it is over', () => {
  const { concerns, lines, events } = listenedTo();
  for (let look = 0; look < 3; look += 1) concerns.tell('disk', 'it is full');
  expect(concerns.present).toMatchObject([{ about: 'disk', problem: 'it is full' }]);
  concerns.tell('disk', undefined);
  concerns.tell('disk', undefined);

  expect(concerns.present).toEqual([]);
  expect(lines).toEqual(['warn a concern', 'info a concern is over']);
  expect(events.map((event) => 'problem' in event && event.problem)).toEqual([
    'it is full',
    undefined,
  ]);
});

it('another problem with the same part takes its place, and has lasted as long', () => {
  const { concerns, lines } = listenedTo();
  concerns.tell('disk', 'it is full');
  concerns.tell('arbiter', 'it does not answer');
  const [first] = concerns.present;
  concerns.tell('disk', 'it fails');

  expect(concerns.present.map(({ about }) => about)).toEqual(['disk', 'arbiter']);
  expect(concerns.present[0]).toEqual({ ...first, problem: 'it fails' });
  expect(lines).toHaveLength(3);
});
