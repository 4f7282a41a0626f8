// What a node logs comes whole, also to a host that was not there when it was said.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NodeOutput } from '../../src/controller/node-output.ts';
import { UnwaitingOutput } from '../../src/host/unwaiting-output.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';

const dir = scratchDir();

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + hangMs;
  while (!holds() && performance.now() < end) await sleep(10);
  expect(holds()).toBe(true);
}

it('lines of a child, and its last words', async () => {
  const lines: string[] = [];
  const output = new NodeOutput(path.join(dir, 'child'), (line) => lines.push(line));
  const log = output.writer();
  const says =
    'echo \'{"msg":"the node ends"}\' >&2; echo "(node:1) A warning" >&2; echo "understudy: No room" >&2; printf x >&2';
  const child = spawn('sh', ['-c', says], { stdio: ['ignore', 'ignore', log] });
  fs.closeSync(log);
  await new Promise((resolve) => child.once('exit', resolve));
  await output.drained();
  expect(lines).toEqual(['{"msg":"the node ends"}', '(node:1) A warning', 'understudy: No room']);
  expect(output.lastWords).toBe('(node:1) A warning\nunderstudy: No room');
  expect(output.hasComplained).toBe(true);
});

it('a host that is gone: the next one gets what the node has kept', async () => {
  const file = path.join(dir, 'kept');
  const [first, second]: string[][] = [[], []];
  const before = new NodeOutput(file, (line) => first?.push(line));
  const log = before.writer();
  const node = new UnwaitingOutput(log, { dropNotice: () => '' });
  node.write('{"n":1}\n');
  await until(() => first?.length === 1);
  before.close();
  await before.drained();
  node.write('{"n":2}\n');
  await sleep(50);
  const after = new NodeOutput(file, (line) => second?.push(line));
  await until(() => second?.length === 1);
  expect([first, second]).toEqual([['{"n":1}'], ['{"n":2}']]);
  fs.closeSync(log);
  after.close();
});

it('nobody writes: it is over', async () => {
  const output = new NodeOutput(path.join(dir, 'quiet'), () => undefined);
  await output.drained();
  expect(output.lastWords).toBe('');
  expect(output.hasComplained).toBe(false);
});
