// Goal: an error that crosses a thread or a socket is the same error at the other end.
import { describe, expect, it } from 'vitest';
import { type ErrorParts, errorFrom, partsOf } from '../../src/base/error-parts.ts';
import { UnderstudyError } from '../../src/base/errors.ts';
import { errorOf, type Refusal, refusalOf } from '../../src/node/refusal.ts';

const crossed = (thrown: unknown) =>
  errorFrom(JSON.parse(JSON.stringify(partsOf(thrown))) as ErrorParts);

it('keeps its code, its causes in order, its hint, and whether it may pass', () => {
  const cause = new Error('the nearest', { cause: new Error('the last') });
  const error = new UnderstudyError('resources', 'what', {
    ...{ cause, hint: 'do this', mayPass: true },
  });
  const received = crossed(error);
  expect(received).toBeInstanceOf(UnderstudyError);
  expect(received).toMatchObject({ code: 'resources', hint: 'do this', mayPass: true });
  expect((received as UnderstudyError).describe()).toBe(error.describe());
});

it('says no more than there is', () => {
  expect(partsOf('scribble')).toEqual({ error: 'scribble' });
  expect(partsOf(new UnderstudyError('disk', 'what'))).toEqual({ error: 'what', code: 'disk' });
});

it('what is no operating error stays none, with its causes', () => {
  const received = crossed(new Error('a bug', { cause: new Error('EIO') }));
  expect(received).not.toBeInstanceOf(UnderstudyError);
  expect(received).toMatchObject({ name: 'Error', message: 'a bug', cause: { message: 'EIO' } });
});

describe('a refusal', () => {
  const refused = (thrown: unknown) =>
    errorOf(JSON.parse(JSON.stringify(refusalOf(thrown))) as Refusal);

  it('is the error, and that it is one', () => {
    expect(refusalOf('scribble')).toEqual({ ok: false, error: 'scribble' });
    expect(refused(new UnderstudyError('store', 'gone'))).toMatchObject({ code: 'store' });
  });

  it('is an operating error also when the node named no code', () => {
    expect(refused(new Error('a bug'))).toMatchObject({ code: 'link', message: 'a bug' });
  });
});
