// Whoever asks a node waits for one answer, and never for a node that has ended.
import { expect, test } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { Asks } from '../../src/node/asks.ts';

/** An asking, with the numbers that were put. */
function asking() {
  const asks = new Asks();
  const put: number[] = [];
  return { asks, put, ask: () => asks.ask((number) => put.push(number)) };
}

test('two ask at once: each gets the answer to its own number', async () => {
  const { asks, put, ask } = asking();
  const [one, other] = [ask(), ask()];
  expect(new Set(put).size).toBe(2);
  asks.answered(put[1] ?? 0, { type: 'begun' });
  asks.answered(put[0] ?? 0, { type: 'kept', snapshot: 'x1' });
  expect(await Promise.all([one, other])).toEqual([
    { type: 'kept', snapshot: 'x1' },
    { type: 'begun' },
  ]);
});

test('the core answers within the question: it is the answer all the same', async () => {
  const asks = new Asks();
  const asked = asks.ask((number) => asks.answered(number, { type: 'begun' }));
  expect(await asked).toEqual({ type: 'begun' });
});

test('what is refused is thrown, with its code, and its hint where there is one', async () => {
  const { asks, put, ask } = asking();
  const asked = [ask(), ask()];
  const refused = { type: 'refused', code: 'link', problem: 'the link ended' } as const;
  asks.answered(put[0] ?? 0, refused);
  asks.answered(put[1] ?? 0, { ...refused, hint: 'look', mayPass: true });
  await expect(asked[0]).rejects.toBeInstanceOf(UnderstudyError);
  await expect(asked[0]).rejects.toMatchObject({
    ...{ code: 'link', message: 'the link ended', hint: undefined, mayPass: false },
  });
  await expect(asked[1]).rejects.toMatchObject({ code: 'link', hint: 'look', mayPass: true });
});

test('an answer to nobody, or a second one, does no harm', async () => {
  const { asks, put, ask } = asking();
  const asked = ask();
  asks.answered(77, { type: 'begun' });
  asks.answered(put[0] ?? 0, { type: 'begun' });
  asks.answered(put[0] ?? 0, { type: 'refused', code: 'cut', problem: 'late' });
  expect(await asked).toEqual({ type: 'begun' });
});

test('the node ends: who waits is told, and so is who asks later, by the first reason', async () => {
  const { asks, put, ask } = asking();
  const waiting = [ask(), ask()];
  asks.end('poweredOff');
  asks.end('stopped');
  for (const asked of [...waiting, ask()]) {
    await expect(asked).rejects.toMatchObject({
      ...{ code: 'cut', message: 'This node ended: poweredOff' },
    });
  }
  expect(put).toHaveLength(2);
});
