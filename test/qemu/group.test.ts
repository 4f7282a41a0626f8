// Two machines, and somebody who tells the second what the first has acknowledged. Of a set that is
// taken meanwhile, and comes back, the second never knows more than the first: an effect without
// its cause.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import YAML from 'yaml';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';
import { consoleOf, RunningVerbs, understudy, untilState } from './verbs.ts';

const names = ['first', 'second'] as const;
const verbs = new RunningVerbs(() => pairs[0]?.stage.dir ?? '/tmp');
const pairs: PairUnderTest[] = [];
let groupFile: string;
let work: string;

beforeAll(async () => {
  for (const _ of names) pairs.push(await PairUnderTest.open());
  const [dir = ''] = pairs.map(({ stage }) => stage.dir);
  work = path.join(dir, 'group');
  fs.mkdirSync(work);
  for (const pair of pairs) {
    pair.configure((file) => {
      file.snapshots = { store: path.join(pair.stage.dir, 'store') };
    });
    await pair.protect();
  }
  groupFile = path.join(work, 'group.yaml');
  const members = Object.fromEntries(
    names.map((name, index) => [name, pairs[index]?.stage.pairFile]),
  );
  fs.writeFileSync(groupFile, YAML.stringify({ group: 'told', members, sets: 'sets' }));
});

afterAll(async () => {
  await verbs.end();
  for (const pair of pairs) await pair.close();
});

const group = (verb: string, ...more: string[]) =>
  understudy('group', verb, ...more, '--group', groupFile, '--json');

const linesOf = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('sets are taken while the machines work, checked, shown, and come back together', async () => {
  const terminals = await Promise.all(pairs.map((pair) => consoleOf(pair.stage.pairFile, 'a')));
  let isOver = false;
  let told = 0;
  const telling = (async () => {
    while (!isOver) {
      told += 1;
      // The next one is told when the one before has answered: each word is an effect of that.
      for (const terminal of terminals) await terminal.run(`known=${told}`);
    }
  })();
  const sets: string[] = [];
  try {
    for (let count = 0; count < 3; count += 1) {
      const taken = await group('take');
      expect(taken).toMatchObject({ code: 0, stderr: '' });
      sets.push((JSON.parse(taken.stdout) as { set: string }).set);
    }
  } finally {
    isOver = true;
    await telling;
  }
  expect(told).toBeGreaterThan(3);
  const listed = linesOf((await group('ls')).stdout);
  expect(listed.map(({ set }) => set)).toEqual(sets);
  const checked = await group('verify', '--deep');
  expect(checked).toMatchObject({ code: 0 });
  expect(linesOf(checked.stdout).every(({ problems }) => (problems as []).length === 0)).toBe(true);

  const out = path.join(work, 'again');
  const [, wanted = ''] = sets;
  verbs.run('group', 'restore', wanted, '--group', groupFile, '--out', out, '--as', 'again');
  const known = await Promise.all(
    names.map(async (name) => {
      const pairFile = path.join(out, name, 'pair.yaml');
      await waitFor(`the pair file of ${name}`, () => fs.existsSync(pairFile) || undefined);
      await untilState(pairFile, 'a', 'alone');
      const terminal = await consoleOf(pairFile, 'a');
      terminal.paste('\x15'); // what was half typed at the line
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
      const said = await terminal.run('echo known is ${known}.');
      return Number(/known is (\d+)\./.exec(said)?.[1]);
    }),
  );
  const [first = Number.NaN, second = Number.NaN] = known;
  expect(first).toBeGreaterThan(0);
  expect(second).toBeLessThanOrEqual(first);
  expect(second).toBeGreaterThanOrEqual(first - 1);
});

test('a member that is not protected: no set, and nothing of it stays', async () => {
  const before = (await group('ls')).stdout;
  const [, second] = pairs;
  const kept = await understudy(
    'snapshot',
    'ls',
    '--pair',
    pairs[0]?.stage.pairFile ?? '',
    '--json',
  );
  await second?.node('b').killWithMachine();
  await untilState(second?.stage.pairFile ?? '', 'a', 'alone');
  const taken = await group('take');
  expect(taken.code).toBe(1);
  expect(taken.stderr).toMatch(/No set of group 'told' was taken[\s\S]*member 'second'/);
  expect((await group('ls')).stdout).toBe(before);
  const after = await understudy(
    'snapshot',
    'ls',
    '--pair',
    pairs[0]?.stage.pairFile ?? '',
    '--json',
  );
  expect(after.stdout).toBe(kept.stdout);
});
