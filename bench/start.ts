/**
 * How long the command line takes to start and end, where it has little to do: all of it is
 * loading. With what is built in `dist/` beside what is run from source, when it was built.
 *
 *   npm run bench -- start [--json]
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../src/base/errors.ts';
import { openStore } from '../src/store/store.ts';

const starts = 10;

const root = fileURLToPath(new URL('..', import.meta.url));
const built = path.join(root, 'dist/cli/main.js');

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly exitCode: number;
}

interface Figures {
  readonly command: string;
  /** Milliseconds, medians. */
  readonly fromSourceMs: number;
  readonly builtMs?: number;
}

function median(program: readonly string[], { args, exitCode }: Case): number {
  const times: number[] = [];
  for (let i = 0; i < starts; i += 1) {
    const begun = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [...program, ...args], {
      cwd: root,
      encoding: 'utf8',
    });
    times.push(performance.now() - begun);
    if (status !== exitCode) {
      throw new UnderstudyError('environment', `'${args.join(' ')}' ended with ${status}`, {
        cause: new Error(stderr),
      });
    }
  }
  times.sort((a, b) => a - b);
  const [low = 0, high = 0] = times.slice(starts / 2 - 1);
  return Math.round((low + high) / 2);
}

const { values } = parseArgs({ options: { json: { type: 'boolean' } } });
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-start-'));
try {
  await (await openStore({ directory: scratch, mode: 'write' })).close();
  const cases: readonly Case[] = [
    { name: '--help', args: ['--help'], exitCode: 0 },
    { name: 'unknown verb', args: ['protect'], exitCode: 2 },
    { name: 'missing option', args: ['node', '--name', 'a'], exitCode: 2 },
    { name: 'snapshot ls', args: ['snapshot', 'ls', '--store', scratch], exitCode: 0 },
    {
      name: 'status, no pair file',
      args: ['status', '--pair', '/nowhere', '--name', 'a'],
      exitCode: 2,
    },
  ];
  const figures = cases.map((each): Figures => {
    const source = ['--import', import.meta.resolve('tsx'), path.join(root, 'src/cli/main.ts')];
    const fromSourceMs = median(source, each);
    const more = fs.existsSync(built) ? { builtMs: median([built], each) } : {};
    return { command: each.name, fromSourceMs, ...more };
  });
  if (values.json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else console.table(figures);
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
