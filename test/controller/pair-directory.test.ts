// Files that come, change and go are told when they are whole, and nothing else is taken for that.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FileReading } from '../../src/controller/decisions/effects.ts';
import { controllerLimits } from '../../src/controller/limits.ts';
import { PairDirectory } from '../../src/controller/pair-directory.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';

const scratch = scratchDir();
let nextDir = 0;
let dir: string;
let watched: PairDirectory | undefined;
/** All that was told, as "seen web.yaml: pair web: a b". */
let told: string[];

beforeEach(() => {
  nextDir += 1;
  dir = path.join(scratch, `pairs${nextDir}`);
  fs.mkdirSync(dir);
  told = [];
});
afterEach(() => watched?.close());

const at = (name: string): string => path.join(dir, name);

const pairText = (pair: string, listenB = 'ws://127.0.0.1:9') => `pair: ${pair}
vm: ${pair}-vm.yaml
arbiter: file:${scratch}/terms
nodes:
  a: { listen: 'ws://127.0.0.1:8' }
  b: { listen: '${listenB}' }
`;

function wordsOf(reading: FileReading): string {
  if (reading.kind === 'bad') return `bad: ${reading.problem}`;
  const nodes = reading.nodes.map(({ name }) => name).join(' ');
  return `pair ${reading.pair}: ${nodes}${reading.none ?? ''}`;
}

function watch(options: { names?: string[]; known?: string[] } = {}): void {
  const { names = [], known = [] } = options;
  watched = new PairDirectory({
    ...{ dir, names, known },
    onSeen: (file, reading) => told.push(`seen ${file}: ${wordsOf(reading)}`),
    onGone: (file) => told.push(`gone ${file}`),
    onTrouble: (problem) => problem !== undefined && told.push(`trouble: ${problem}`),
  });
}

async function untilTold(count: number): Promise<string[]> {
  const until = performance.now() + hangMs;
  while (told.length < count && performance.now() < until) await sleep(20);
  return told;
}

it('files that are there, and one that comes; what is no pair file by its name is not read', async () => {
  fs.writeFileSync(at('web.yaml'), pairText('web'));
  fs.writeFileSync(at('notes.txt'), 'pair');
  fs.writeFileSync(at('.web.yaml.swp'), 'pair');
  fs.mkdirSync(at('old.yaml'));
  watch();
  expect(await untilTold(1)).toEqual(['seen web.yaml: pair web: a b']);
  fs.writeFileSync(at('mail.yml'), pairText('mail'));
  expect((await untilTold(2)).slice(1)).toEqual(['seen mail.yml: pair mail: a b']);
});

it('one that is written in pieces: judged when it is whole', async () => {
  watch();
  const text = pairText('web');
  for (const end of [20, 60, 90]) {
    fs.writeFileSync(at('web.yaml'), text.slice(0, end));
    await sleep(controllerLimits.settleMs / 4);
  }
  fs.writeFileSync(at('web.yaml'), text);
  const [first] = await untilTold(1);
  // A machine that stands still between two pieces sees a file that is settled.
  if (first?.includes('bad') !== true) expect(first).toBe('seen web.yaml: pair web: a b');
  const until = performance.now() + hangMs;
  while (told.at(-1)?.includes('bad') === true && performance.now() < until) await sleep(20);
  expect(told.at(-1)).toBe('seen web.yaml: pair web: a b');
});

it('one that is wrong: told with every problem, and again when it is right', async () => {
  fs.writeFileSync(at('web.yaml'), pairText('my pair'));
  watch();
  expect((await untilTold(1))[0]).toContain('pair: must be 1-32 letters');
  fs.writeFileSync(at('web.yaml'), pairText('web'));
  expect((await untilTold(2))[1]).toBe('seen web.yaml: pair web: a b');
});

it('a save that changes nothing is not told; one that is replaced is', async () => {
  fs.writeFileSync(at('web.yaml'), pairText('web'));
  watch();
  await untilTold(1);
  fs.utimesSync(at('web.yaml'), 1, 1);
  fs.writeFileSync(at('mail.yaml'), pairText('mail'));
  await untilTold(2);
  fs.writeFileSync(at('web.new'), pairText('shop'));
  fs.renameSync(at('web.new'), at('web.yaml'));
  expect(await untilTold(3)).toEqual([
    'seen web.yaml: pair web: a b',
    'seen mail.yaml: pair mail: a b',
    'seen web.yaml: pair shop: a b',
  ]);
});

it('one that is away for a moment is not gone; one that stays away is', async () => {
  fs.writeFileSync(at('web.yaml'), pairText('web'));
  watch({ known: ['former.yaml'] });
  await untilTold(1);
  fs.renameSync(at('web.yaml'), at('web.yaml~'));
  await sleep(200);
  fs.renameSync(at('web.yaml~'), at('web.yaml'));
  expect((await untilTold(2))[1]).toBe('gone former.yaml');
  fs.rmSync(at('web.yaml'));
  expect((await untilTold(3)).slice(2)).toEqual(['gone web.yaml']);
});

it('the directory is another one, or away: told, and no file is gone', async () => {
  fs.writeFileSync(at('web.yaml'), pairText('web'));
  watch();
  await untilTold(1);
  fs.renameSync(dir, `${dir}-away`);
  expect((await untilTold(2))[1]).toContain('ENOENT');
  fs.mkdirSync(dir);
  const until = performance.now() + hangMs;
  while (!told.some((what) => what.includes('another directory')) && performance.now() < until) {
    await sleep(20);
  }
  await sleep(controllerLimits.goneMs + controllerLimits.lookMs);
  expect(told.filter((what) => what.startsWith('gone'))).toEqual([]);
});

it('only nodes of this host, and of the names that are wanted', async () => {
  const security = 'security: { secretFile: secret }\n';
  const wss = (text: string): string => text.replaceAll('ws://', 'wss://') + security;
  fs.writeFileSync(at('half.yaml'), wss(pairText('half', 'ws://192.0.2.1:9')));
  fs.writeFileSync(at('local.yaml'), pairText('local'));
  watch({ names: ['b'] });
  const [half, local] = (await untilTold(2)).sort();
  expect(half).toContain('no node of it called b belongs to this host');
  expect(half).toContain('b listens on wss://192.0.2.1:9');
  expect(local).toBe('seen local.yaml: pair local: b');
});

it('a directory that is not there: which, and the option', () => {
  const missing = path.join(scratch, 'missing');
  const nothing = { names: [], known: [] };
  const deaf = { onSeen: () => undefined, onGone: () => undefined, onTrouble: () => undefined };
  expect(() => new PairDirectory({ dir: missing, ...nothing, ...deaf })).toThrow(
    `Cannot read the directory of pair files '${missing}'`,
  );
});
