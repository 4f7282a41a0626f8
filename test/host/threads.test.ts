// What is told of a process that does not go on must tell one that works from one that waits.
import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { describeThreads, lookAtThreads } from '../../src/host/threads.ts';
import { freeze } from '../freeze.ts';

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

const lookMs = 200;

function run(program: string, ...args: string[]): number {
  child = spawn(program, args, { stdio: 'ignore' });
  return child.pid ?? 0;
}

it('a process that works has run, or waited for a processor', async () => {
  const pid = run('sh', '-c', 'while :; do :; done');
  const [look] = await lookAtThreads(pid, lookMs);
  expect(look).toMatchObject({ name: 'sh', state: 'R', sleepsIn: '' });
  expect((look?.ranMs ?? 0) + (look?.queuedMs ?? 0)).toBeGreaterThan(lookMs / 2);
});

it('a process that is stopped has done nothing, and one that is gone is said to be', async () => {
  const pid = run('sleep', '1000');
  await freeze(pid);
  const looks = await lookAtThreads(pid, lookMs);
  expect(looks).toMatchObject([{ name: 'sleep', state: 'T', ranMs: 0 }]);
  expect(describeThreads(looks, lookMs)).toMatch(
    /^in 200 ms its threads did: sleep T.*: ran 0 ms, waited 0 ms for a processor$/,
  );
  expect(describeThreads(await lookAtThreads(2 ** 30, 1), 1)).toMatch(/they are gone$/);
});

it('threads that do the same are told once', () => {
  const look = { name: 'a', state: 'S', sleepsIn: 'futex', ranMs: 0, queuedMs: 0 };
  const text = describeThreads([look, look, { ...look, name: 'b' }], 5);
  expect(text).toBe(
    'in 5 ms its threads did: 2 times a S in futex: ran 0 ms, waited 0 ms for a processor; ' +
      'b S in futex: ran 0 ms, waited 0 ms for a processor',
  );
});
