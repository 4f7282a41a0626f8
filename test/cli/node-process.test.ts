// What surrounds the process of a node, a terminal, a reader of its log, a second one of it, ends
// no node; and who is told to end it, ends it. QEMU is a script: the node waits for its peer.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { makeFifo } from '../../src/host/libc.ts';
import type { NodeStatus } from '../../src/node/control-server.ts';
import { askNode } from '../../src/observe/control-client.ts';
import { freePort } from '../arbiter/lossy-proxy.ts';
import { writeMachineless } from '../node/machineless.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { program, root, runVerb } from './run.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);

beforeAll(async () => {
  await writeMachineless(dir);
});

/** Writes a pair file whose node `a` has this run directory and a port of its own. */
async function pairWith(runDir: string): Promise<string> {
  const [portA, portB] = [await freePort(), await freePort()];
  fs.writeFileSync(
    at(`${runDir}.yaml`),
    `pair: p\nvm: vm.yaml\narbiter: file:terms\nnodes:
  a: { listen: 'ws://127.0.0.1:${portA}', runDir: ${runDir} }
  b: { listen: 'ws://127.0.0.1:${portB}', runDir: ${runDir}-b }\n`,
  );
  return at(`${runDir}.yaml`);
}

const args = (file: string): string[] => [...program, 'node', '--pair', file, '--name', 'a'];

const exitOf = (child: ChildProcess): Promise<number | string | null> =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));

async function untilWaiting(runDir: string): Promise<NodeStatus> {
  const until = performance.now() + hangMs;
  for (;;) {
    const status = await askNode<NodeStatus>(at(`${runDir}/control`), 'status').catch(
      () => undefined,
    );
    if (status?.state === 'waiting' || performance.now() > until) return status as NodeStatus;
    await sleep(20);
  }
}

/** A pipe that takes nothing more, and its end to read from. */
function fullPipe(name: string): { full: number; reader: number } {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
  makeFifo(at(name));
  const reader = fs.openSync(at(name), O_RDONLY | O_NONBLOCK);
  const filling = fs.openSync(at(name), O_WRONLY | O_NONBLOCK);
  try {
    for (;;) fs.writeSync(filling, Buffer.alloc(4096, '\n'));
  } catch {
    // it is full
  }
  fs.closeSync(filling);
  return { full: fs.openSync(at(name), 'w'), reader };
}

it('nobody reads the log, then the terminal goes: the node goes on, and ends when told', async () => {
  const { full, reader } = fullPipe('log');
  const child = spawn(process.execPath, args(await pairWith('blocked')), {
    cwd: root,
    stdio: ['ignore', 'ignore', full],
  });
  const ended = exitOf(child);
  await untilWaiting('blocked');
  child.kill('SIGHUP');
  const until = performance.now() + hangMs;
  let status = await untilWaiting('blocked');
  while (status.concerns.length === 0 && performance.now() < until) {
    await sleep(50);
    status = await untilWaiting('blocked');
  }
  expect(status.concerns).toMatchObject([
    { about: 'log', problem: expect.stringContaining('nobody takes it') },
  ]);
  // All that was said while nobody read it is there for who reads later.
  let text = '';
  const buffer = Buffer.alloc(65_536);
  while (!text.includes('SIGHUP: nothing is read anew') && performance.now() < until) {
    try {
      text += buffer.toString('latin1', 0, fs.readSync(reader, buffer));
    } catch {
      await sleep(20);
    }
  }
  expect(text).toContain('"msg":"waiting"');
  expect(text).toContain('SIGHUP: nothing is read anew, and the node goes on');
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(fs.existsSync(at('blocked'))).toBe(false);
});

it('a second process of one node: refused, by the pid of the first, and touches nothing', async () => {
  const child = spawn(process.execPath, args(await pairWith('first')), {
    cwd: root,
    stdio: 'ignore',
  });
  const ended = exitOf(child);
  await untilWaiting('first');
  const file = await pairWith('second');
  const second = await runVerb(['node', '--pair', file, '--name', 'a'], { timeout: hangMs });
  expect(second.code).toBe(3);
  expect(second.stderr).toContain(`Node 'a' of pair 'p' runs already: process ${child.pid} has`);
  expect(fs.existsSync(at('second'))).toBe(false);
  // Who had the lock was killed: nothing of it stands in the way.
  child.kill('SIGKILL');
  expect(await ended).toBe('SIGKILL');
  const third = spawn(process.execPath, args(file), { cwd: root, stdio: 'ignore' });
  const over = exitOf(third);
  expect((await untilWaiting('second')).pid).toBe(third.pid);
  third.kill('SIGINT');
  expect(await over).toBe(0);
});
