// A socket that a debugger could not connect to is refused before anything is executed.
import { expect, test } from 'vitest';
import { checkGdbSocket } from '../../src/restore/debugged.ts';

test('a short path without blanks is fine', () => {
  expect(() => checkGdbSocket('/tmp/past.gdb')).not.toThrow();
});

test('what QEMU or the kernel would not take is refused with a reason', () => {
  const long = `/tmp/${'x'.repeat(103)}`;
  expect(() => checkGdbSocket(long.slice(0, -1))).not.toThrow();
  expect(() => checkGdbSocket(long)).toThrow(/its path has 108 bytes, 107 are possible/);
  for (const name of ['a b', 'a,b', 'a"b', 'a\\b', 'a\nb']) {
    expect(() => checkGdbSocket(`/tmp/${name}`)).toThrow(/a blank, a comma, a quote/);
  }
});
