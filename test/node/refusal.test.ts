// An error that crosses the control socket is the same error at the other end.
import { expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { errorOf, type Refusal, refusalOf } from '../../src/node/refusal.ts';

const crossed = (thrown: unknown) =>
  errorOf(JSON.parse(JSON.stringify(refusalOf(thrown))) as Refusal);

it('keeps its code, its causes in order, and its hint', () => {
  const cause = new Error('the nearest', { cause: new Error('the last') });
  const error = new UnderstudyError('resources', 'what', { cause, hint: 'do this' });
  expect(crossed(error).describe()).toBe(error.describe());
  expect(crossed(error).code).toBe('resources');
});

it('carries what is no operating error as its words only', () => {
  expect(refusalOf('scribble')).toEqual({ ok: false, error: 'scribble' });
  expect(crossed(new Error('a bug'))).toMatchObject({ code: 'link', message: 'a bug' });
});
