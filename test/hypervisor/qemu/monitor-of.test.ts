// Of a process whose monitor does not answer it is told what it does.
import path from 'node:path';
import { expect, it } from 'vitest';
import { reasonOf, UnderstudyError } from '../../../src/base/errors.ts';
import { spawnOwned } from '../../../src/host/processes.ts';
import { monitorOf } from '../../../src/hypervisor/qemu/monitor-of.ts';
import { scratchDir } from '../../node/scratch.ts';

const dir = scratchDir();

it('one that lives and has no monitor: its threads are told', async () => {
  const child = spawnOwned({ name: 'dull', command: 'sleep', args: ['60'], runDir: dir });
  const ended = (): UnderstudyError => new UnderstudyError('qemu', 'it ended');
  try {
    const reason = await monitorOf(child, path.join(dir, 'none'), ended, 50).catch(reasonOf);
    expect(reason).toMatch(/^Cannot connect to the monitor .*: in \d+ ms its threads did: sleep S/);
  } finally {
    await child.kill('SIGKILL');
  }
});

it('one that ends: what it said', async () => {
  const child = spawnOwned({ name: 'dull', command: 'false', args: [], runDir: dir });
  const ended = (): UnderstudyError => new UnderstudyError('qemu', 'it ended');
  const reason = await monitorOf(child, path.join(dir, 'none'), ended, 20_000).catch(reasonOf);
  expect(reason).toBe('it ended');
});
