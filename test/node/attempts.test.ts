// What fails for long is tried seldom, and seen; what fails for a moment is tried again at once.
import { expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import { term as toTerm } from '../../src/base/units.ts';
import { Attempts } from '../../src/node/attempts.ts';
import { Concerns } from '../../src/node/concerns.ts';
import { PeerAttempts } from '../../src/node/peer-attempts.ts';
import { Reporter } from '../../src/node/report.ts';
import type { Link } from '../../src/ports/link.ts';
import { HelloRefused } from '../../src/wire/hello.ts';
import { quiet } from './machineless.ts';

const noConcerns = () => new Concerns({ reporter: new Reporter(), log: quiet });
const problems = (concerns: Concerns) =>
  concerns.present.map(({ about, problem }) => `${about}: ${problem}`);

it('an hour of failures is some hundred attempts, and the first second has ten', () => {
  let now = 0;
  const concerns = noConcerns();
  const attempts = new Attempts({
    ...{ tells: { about: 'arbiter', concerns }, pauseMsMax: 10_000 },
    now: () => now,
  });
  let made = 0;
  let inFirstSecond = 0;
  while (now < 3_600_000) {
    attempts.failed('it is away');
    made += 1;
    if (now < 1000) inFirstSecond = made;
    now += limits.dialRetryMs + attempts.pauseMs;
  }
  expect(inFirstSecond).toBeGreaterThanOrEqual(6);
  expect(made).toBeLessThan(450);
  expect(problems(concerns)).toEqual(['arbiter: it is away']);
  attempts.succeeded();
  expect(attempts.pauseMs).toBe(0);
  expect(problems(concerns)).toEqual([]);
});

it('two nodes that refuse each other say for what, each cause in its turn, until they meet', async () => {
  const concerns = noConcerns();
  let answer: Error | undefined;
  const peer = new PeerAttempts({
    concerns,
    dial: async () => {
      if (answer !== undefined) throw answer;
      return {} as Link;
    },
  });
  const refusal = (what: string) => new HelloRefused(what, { refused: 'qemu', hint: 'Mend it.' });
  for (const what of ['memory', 'memory', 'secret']) {
    answer = refusal(what);
    await expect(peer.dial()).rejects.toBe(answer);
    expect(problems(concerns)).toEqual([`peer: ${what}. Mend it.`]);
  }
  // It is stopped, to be mended: that it does not answer is no refusal.
  answer = new UnderstudyError('link', 'nobody is there');
  await expect(peer.dial()).rejects.toBe(answer);
  answer = undefined;
  await peer.dial();
  expect(problems(concerns)).toEqual([]);
});

it('a stranger who makes causes up is told of only so often', () => {
  const log: string[] = [];
  const concerns = new Concerns({
    reporter: new Reporter(),
    log: { ...quiet, warn: (_: object, text: string) => void log.push(text) },
  });
  const peer = new PeerAttempts({ concerns, dial: () => Promise.reject(new Error('not used')) });
  for (let cause = 0; cause < 1000; cause += 1) {
    peer.refused(new HelloRefused(`cause ${cause}`, { refused: 'pair', hint: '' }));
  }
  expect(log).toHaveLength(limits.refusalsToldPerMinute);
});

it('copies that come to nothing hold the next dial back, and are told, until one is granted', () => {
  const concerns = noConcerns();
  const peer = new PeerAttempts({ concerns, dial: () => Promise.reject(new Error('not used')) });
  const term = toTerm(1);
  peer.watch({ type: 'makeCopy', link: 1, term });
  peer.watch({ type: 'discardCopy', reason: 'the disk is full' });
  expect(problems(concerns)).toEqual([
    'seeding: no copy comes up here, and the machine is not protected: the disk is full',
  ]);
  peer.watch({ type: 'makeCopy', link: 2, term });
  peer.watch({ type: 'copyGranted' });
  expect(problems(concerns)).toEqual([]);
  // One that could take over is seeded anew at once.
  peer.watch({ type: 'discardCopy', reason: 'it differs' });
  expect(problems(concerns)).toEqual([]);
});
