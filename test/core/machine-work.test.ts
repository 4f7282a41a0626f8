// A machine does one thing at a time, in order: two at once would fight for its monitor.
import { expect, test } from 'vitest';
import type { NodeEffect } from '../../src/core/effects.ts';
import { MachineWork } from '../../src/core/machine-work.ts';

function working() {
  const begun: NodeEffect[] = [];
  return { work: new MachineWork((effect) => begun.push(effect)), begun };
}

const seed = (link: number) => ({ type: 'seed', seedId: `1.${link}`, link }) as const;
const cut = (number: number) => ({ type: 'cut', cutId: `1.${number}`, number }) as const;

test('three things are wanted at once: each is begun when the one before was answered (1)', () => {
  const { work, begun } = working();
  expect(work.isIdle).toBe(true);
  work.want(seed(9));
  work.want(cut(1));
  work.want({ type: 'stop' });
  expect(begun).toEqual([seed(9)]);
  expect([work.present, work.isIdle]).toEqual([seed(9), false]);
  expect(work.done('seed')).toEqual(seed(9));
  expect(begun).toEqual([seed(9), cut(1)]);
  expect(work.done('cut')).toEqual(cut(1));
  expect(begun.at(-1)).toEqual({ type: 'stop' });
  expect(work.done('stop')).toEqual({ type: 'stop' });
  expect([work.present, work.isIdle, begun.length]).toEqual([undefined, true, 3]);
});

test('an answer to something that is not being done: nothing is begun for it (1)', () => {
  const { work, begun } = working();
  expect(work.done('go')).toBeUndefined();
  work.want(cut(1));
  work.want(cut(2));
  expect(work.done('stop')).toBeUndefined();
  expect([work.present, begun]).toEqual([cut(1), [cut(1)]]);
});

test('backup is lost: what was not begun is taken back, what was begun is waited for (2)', () => {
  const { work, begun } = working();
  work.want(seed(9));
  work.want(cut(1));
  work.want({ type: 'go' });
  work.want(cut(2));
  work.withdraw(({ type }) => type === 'cut' || type === 'seed');
  expect([work.present, work.isIdle]).toEqual([seed(9), false]);
  work.want(seed(10));
  work.done('seed');
  expect(begun).toEqual([seed(9), { type: 'go' }]);
  work.done('go');
  expect(begun.at(-1)).toEqual(seed(10));
});
