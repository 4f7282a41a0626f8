// The load program: options, JSON lines, and the three ways to end it.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/lab/endpoint.ts';
import type { LoadLine, LoadRecord } from '../../src/lab/load-record.ts';
import { compiled } from '../compiled/program.ts';
import { FakeGuest } from './fake-guest.ts';

let guest: FakeGuest;
let at: { http: Endpoint; echo: Endpoint };
beforeEach(async () => {
  guest = new FakeGuest();
  at = await guest.start();
});
afterEach(() => guest.stop());

type Child = ChildProcessByStdio<Writable, Readable, Readable>;
const address = ({ host, port }: Endpoint): string => `${host}:${port}`;

function startLoad(...args: string[]): Child {
  return spawn(process.execPath, [compiled('src/lab/load-main.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs the load until its first statistics, ends it, and gives all it said. */
async function runLoad(end: (child: Child) => void): Promise<LoadLine[]> {
  const child = startLoad('--http', address(at.http), '--echo', address(at.echo), '--run', 'r');
  const exit = new Promise((resolve) => child.once('exit', resolve));
  let text = '';
  let ended = false;
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (!ended && /"requestsOk":[1-9]/.test(text)) {
      ended = true;
      end(child);
    }
  }
  expect(await exit).toBe(0);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LoadLine);
}

describe('load-main', () => {
  test.each<[string, (child: Child) => void]>([
    ['SIGTERM', (child) => void child.kill('SIGTERM')],
    ["a line 'stop'", (child) => void child.stdin.write('stop\n')],
    ['the end of its input', (child) => void child.stdin.end()],
  ])('ends with its record on %s', async (_how, end) => {
    const lines = await runLoad(end);
    const record = lines.at(-1) as LoadRecord;
    expect(record.type).toBe('record');
    expect(record.requestsOk).toBeGreaterThan(0);
    expect(record.failures).toEqual([]);
    expect(record.echo).toMatchObject({ lost: 0, doubled: 0 });
    expect(record.acknowledged.length).toBe(guest.journal.length);
    expect(lines.slice(0, -1).every((line) => line.type === 'stats')).toBe(true);
  });

  test('a wrong option is one clear line', async () => {
    const child = startLoad('--http', 'nowhere');
    let said = '';
    for await (const chunk of child.stderr) said += String(chunk);
    expect(said).toBe("--http must be HOST:PORT: current value is 'nowhere'\n");
  });
});
