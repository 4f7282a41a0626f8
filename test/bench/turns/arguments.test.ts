import { expect, test } from 'vitest';
import { readArguments } from '../../../bench/turns/arguments.ts';

test('without any, three rounds of this checkout', () => {
  expect(readArguments('price', [])).toEqual({
    rounds: 3,
    seconds: 15,
    against: undefined,
    only: [],
    json: false,
  });
});

test.each([
  [['--rounds', '0'], '--rounds must be a whole number from 1'],
  [['--seconds', 'long'], '--seconds must be'],
  [['--against', '/nowhere'], '--against must be a checkout'],
  [['--sconds', '5'], '--sconds'],
])('%j is refused, and why', (args, why) => {
  expect(() => readArguments('price', args)).toThrow(why);
});
