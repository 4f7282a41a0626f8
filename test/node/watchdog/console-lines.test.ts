// A panic is known by the beginning of a line of the console, and nothing else is taken for one.
import { expect, it } from 'vitest';
import { ConsoleLines } from '../../../src/node/watchdog/console-lines.ts';
import { watchdogLimits } from '../../../src/node/watchdog/limits.ts';

const text = 'Kernel panic - not syncing';
const lines = () => new ConsoleLines([text, 'FATAL:']);
const found = (console: string) => lines().take(Buffer.from(console));

it.each([
  ['as it is', `${text}: sysrq triggered crash\r\n`, `${text}: sysrq triggered crash`],
  ['with a time stamp', `[   12.345678] ${text}: Oops\n`, `${text}: Oops`],
  ['with the task that printed it', `[    1.000000][    T1] ${text}: Oops\n`, `${text}: Oops`],
  ['with a level', `<0>[    1.000000] ${text}\n`, text],
  ['behind other lines', `login: \r\n[ 1.0] BUG: x\r\n[ 1.1] ${text}\r\n`, text],
  ['another text', 'FATAL: no database\n', 'FATAL: no database'],
])('a panic %s', (_, console, line) => {
  expect(found(console)).toBe(line);
});

it.each([
  ['typed behind a prompt', `# echo ${text}\n`],
  ['quoted from a log', `host kernel: ${text}\n`],
  ['its end', `[    9.9] ---[ end ${text}: Oops ]---\n`],
  ['not all of the line yet', text],
])('no panic: %s', (_, console) => {
  expect(found(console)).toBeUndefined();
});

it('comes in pieces, as a console does', () => {
  const own = lines();
  const pieces = [...`[  3.14] ${text}: x\r\n`].map((letter) => own.take(Buffer.from(letter)));
  expect(pieces.filter((line) => line !== undefined)).toEqual([`${text}: x`]);
});

it('a line without end takes no memory, and hides nothing behind it', () => {
  const own = lines();
  for (let n = 0; n < 100; n += 1) own.take(Buffer.alloc(watchdogLimits.lineBytesMax, 'x'));
  expect(own.take(Buffer.from(`\n${text}\n`))).toBe(text);
});
