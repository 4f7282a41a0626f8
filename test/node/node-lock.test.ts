// Two processes as one node would be two machines: whatever else differs, the second is refused.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { NodeLock } from '../../src/node/node-lock.ts';
import { scratchDir } from './scratch.ts';

const stateDir = path.join(scratchDir(), 'state');
const ofA = { pair: 'web', node: 'a', stateDir };

it('a second process of a node is refused, and told of the first, until that has ended', () => {
  const first = NodeLock.take(ofA);
  expect(() => NodeLock.take(ofA)).toThrow(
    `Node 'a' of pair 'web' runs already: process ${process.pid} has '${stateDir}/web-a.lock'`,
  );
  NodeLock.take({ ...ofA, node: 'b' }).release();
  NodeLock.take({ ...ofA, pair: 'mail' }).release();
  first.release();
  NodeLock.take(ofA).release();
});

it('the process that had it was killed: what it left does not matter', async () => {
  const file = path.join(stateDir, 'web-a.lock');
  const holder = spawn('flock', [file, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  // It echoes when it has the lock.
  await new Promise((resolve) => {
    holder.stdout.once('data', resolve);
    holder.stdin.write('here\n');
  });
  fs.writeFileSync(file, '12345 elsewhere\n');
  expect(() => NodeLock.take(ofA)).toThrow("process 12345 on host 'elsewhere'");
  const ended = new Promise((resolve) => holder.once('close', resolve));
  holder.kill('SIGKILL');
  holder.stdin.destroy(); // the cat that it started has the lock as well
  await ended;
  NodeLock.take(ofA).release();
});

it('the directory cannot be made: says which key to change', () => {
  const file = path.join(stateDir, 'file');
  fs.mkdirSync(stateDir, { recursive: true });
  fs.writeFileSync(file, '');
  expect(() => NodeLock.take({ ...ofA, stateDir: file })).toThrow(`Cannot keep state in '${file}'`);
});
