import { expect, it } from 'vitest';
import { reasonOf, UnderstudyError } from '../../src/base/errors.ts';

it.each([
  ['a message', new Error('no room'), 'no room'],
  ['what is no error', 'no room', 'no room'],
  [
    'its causes',
    new UnderstudyError('qemu', 'QEMU did not start', {
      cause: new Error('it said', { cause: new Error('no such machine') }),
    }),
    'QEMU did not start: it said: no such machine',
  ],
  [
    'several lines',
    new UnderstudyError('qemu', 'QEMU ended', { cause: new Error('a warning\n  and an error\n') }),
    'QEMU ended: a warning; and an error',
  ],
])('a reason is one line: %s', (_, thrown, text) => {
  expect(reasonOf(thrown)).toBe(text);
});
