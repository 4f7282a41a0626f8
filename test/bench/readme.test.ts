// The README's table is replaced and nothing else of the README is touched.
import { expect, test } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { readmeTable, replaceReadmeTable } from '../../src/bench/report/readme.ts';
import { emptyResults, fullResults } from './fixture.ts';

const begin = '<!-- bench-table -->';
const end = '<!-- /bench-table -->';

test('what is between the markers is replaced, again and again', () => {
  const readme = `# A\n\n${begin}\nold | text\n${end}\n\ntail  \n`;
  const once = replaceReadmeTable(readme, 'NEW');
  expect(once).toBe(`# A\n\n${begin}\n\nNEW\n\n${end}\n\ntail  \n`);
  expect(replaceReadmeTable(once, 'NEW')).toBe(once);
});

test('signs that are patterns elsewhere are text', () => {
  const table = '$& $1 $$ \\1';
  expect(replaceReadmeTable(`${begin}${end}`, table)).toBe(`${begin}\n\n${table}\n\n${end}`);
});

test.each([
  ['no marker', 'text', `'${begin}' is missing`],
  ['no end', begin, `'${end}' is missing`],
  ['no begin', end, `'${begin}' is missing`],
  ['turned round', `${end}${begin}`, `'${end}' stands before '${begin}'`],
  ['twice', `${begin}${begin}${end}`, `'${begin}' is there twice`],
])('%s', (_, readme, why) => {
  try {
    replaceReadmeTable(readme, 'x');
    expect.unreachable();
  } catch (thrown) {
    if (!(thrown instanceof UnderstudyError)) throw thrown;
    expect(thrown.code).toBe('config');
    expect(thrown.message).toBe(`Cannot put the measured table into the README: ${why}`);
    expect(thrown.hint).toContain(begin);
  }
});

test('the table has a row for each goal, with its verdict', () => {
  const table = readmeTable(fullResults());
  expect(table).toContain('| CPU-bound: protected against plain TCG | 1.38× | ≤ 1.50× | kept |');
  expect(table).toMatch(
    /\| hold of an output under HTTP load, 99 % \| 7\.9 ms \| .* \*\*missed\*\* \|/,
  );
  expect(table).toContain('Not measured: KVM (this machine has no /dev/kvm).');
  const rows = table.split('\n').filter((line) => line.startsWith('|'));
  for (const row of rows) expect(row.split('|').length).toBe(6);
  expect(readmeTable(emptyResults())).toContain('| – | ≤ 80 ms | not measured |');
});

test('a name of a processor is not markup', () => {
  const machine = { ...emptyResults().machine, cpu: 'A|B <b> *x*\nC' };
  expect(readmeTable(emptyResults({ machine }))).toContain('A\\|B \\<b\\> \\*x\\* C, 4 cores');
});
