// Two machines, and somebody who tells the second what the first has acknowledged. All four nodes
// lose their power at once. Both machines go on from the ends of their durable logs: nothing that
// was acknowledged is missing, and the second never knows more than the first.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import YAML from 'yaml';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';
import { consoleOf, RunningVerbs, understudy, untilState } from './verbs.ts';

const names = ['first', 'second'] as const;
const pairs: PairUnderTest[] = [];
// On a disk, unlike /tmp here and there: a durable log in memory is refused.
const durable = fs.mkdtempSync('/var/tmp/understudy-qemu-test-');
const verbs = new RunningVerbs(() => durable);
let groupFile: string;

beforeAll(async () => {
  for (const _ of names) pairs.push(await PairUnderTest.open());
  for (const [index, pair] of pairs.entries()) {
    const durableLogDir = path.join(durable, names[index] ?? '');
    pair.configure((file) => {
      file.ack = 'durable';
      file.snapshots = { store: path.join(pair.stage.dir, 'store') };
      for (const node of Object.values(file.nodes)) node.durableLogDir = durableLogDir;
    });
    await pair.protect();
  }
  groupFile = path.join(durable, 'group.yaml');
  const members = Object.fromEntries(
    names.map((name, index) => [name, pairs[index]?.stage.pairFile]),
  );
  fs.writeFileSync(groupFile, YAML.stringify({ group: 'told', members, sets: 'sets' }));
});

afterAll(async () => {
  await verbs.end();
  for (const pair of pairs) await pair.close();
  fs.rmSync(durable, { recursive: true, force: true });
});

const restart = (out: string): string[] => ['group', 'restart', '--group', groupFile, '--out', out];

test('a site without power: all members go on from the ends of their durable logs', async () => {
  for (const pair of pairs) {
    const kept = await understudy('snapshot', 'take', '--pair', pair.stage.pairFile);
    expect(kept).toMatchObject({ code: 0 });
  }
  // A node that runs is not gone on from.
  const early = await understudy(...restart(path.join(durable, 'early')));
  expect(early).toMatchObject({ code: 1 });
  expect(early.stderr).toMatch(/first: its node 'a' runs[\s\S]*second: its node 'a' runs/);

  const terminals = await Promise.all(pairs.map((pair) => consoleOf(pair.stage.pairFile, 'a')));
  let isOver = false;
  const told = { first: 0, second: 0 };
  const telling = (async () => {
    for (let next = 1; !isOver; next += 1) {
      for (const [index, name] of names.entries()) {
        await terminals[index]?.run(`known=${next}`);
        told[name] = next;
      }
    }
  })();
  telling.catch(() => undefined); // its machines are gone
  await waitFor('words that were told', () => told.second >= 10 || undefined);
  // Backups first: one that sees its primary die would take over.
  for (const pair of pairs) await pair.freeze(pair.node('b'));
  for (const pair of pairs) await pair.freeze(pair.node('a'));
  const last = { ...told };
  isOver = true;
  await Promise.all(
    pairs.flatMap((pair) => ['a', 'b'].map((name) => pair.node(name).killWithMachine())),
  );

  const out = path.join(durable, 'again');
  verbs.run(...restart(out));
  const known = await Promise.all(
    pairs.map(async ({ stage }) => {
      await untilState(stage.pairFile, 'b', 'alone');
      const terminal = await consoleOf(stage.pairFile, 'b');
      terminal.paste('\x15'); // what was half typed
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
      const said = await terminal.run('echo known is ${known}.');
      return Number(/known is (\d+)\./.exec(said)?.[1]);
    }),
  );
  const [first = Number.NaN, second = Number.NaN] = known;
  expect(first).toBeGreaterThanOrEqual(last.first);
  expect(second).toBeGreaterThanOrEqual(last.second);
  expect(second).toBeLessThanOrEqual(first);

  // They are the pairs that they were: the other nodes come back, and protect them.
  for (const pair of pairs) {
    const backup = pair.start('a');
    await backup.until('protecting');
    await untilState(pair.stage.pairFile, 'b', 'protected');
  }
});
