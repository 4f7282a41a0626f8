import { expect, test } from 'vitest';
import { readArguments } from '../../../bench/price/arguments.ts';

test('without any, three rounds of this checkout', () => {
  expect(readArguments([])).toEqual({ rounds: 3, seconds: 15, against: undefined, json: false });
});

test.each([
  [['--rounds', '0'], '--rounds must be a whole number from 1'],
  [['--seconds', 'long'], '--seconds must be'],
  [['--against', '/nowhere'], '--against must be a checkout'],
  [['--sconds', '5'], '--sconds'],
])('%j is refused, and why', (args, why) => {
  expect(() => readArguments(args)).toThrow(why);
});
