// A process that hangs is found out, and one that answers late is not: with a real process that
// echoes, and the kernel's own word for one that is stopped.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Heartbeat } from '../../src/hypervisor/heartbeat.ts';
import { hypervisorLimits } from '../../src/hypervisor/limits.ts';
import { hangMs } from '../time.ts';

function echo() {
  const child = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ask = async (): Promise<void> => {
    const ended = once(child, 'exit').then(() => {
      throw new Error('it ended');
    });
    ended.catch(() => undefined);
    child.stdin.write('?');
    await Promise.race([once(child.stdout, 'data'), ended]);
  };
  return { child, pid: child.pid ?? 0, ask };
}

test('a process that is stopped hangs, and answers again when it goes on', async () => {
  const { child, pid, ask } = echo();
  const told: string[] = [];
  let changed = (): void => undefined;
  const told1 = new Promise<void>((resolve) => {
    changed = resolve;
  });
  const answered = new Promise<void>((resolve) => {
    const beat = new Heartbeat({
      ...{ pid, ask },
      onSilent: (seconds) => {
        told.push(`silent for ${seconds} s`);
        changed();
      },
      onAnswer: resolve,
    });
    onTestFinished(() => beat.close());
  });
  child.kill('SIGSTOP');
  const late = sleep(hangMs, undefined, { ref: false }).then(() => {
    throw new Error('nothing was told');
  });
  await Promise.race([told1, late]);
  expect(told).toEqual([
    `silent for ${(hypervisorLimits.stoppedBeats * hypervisorLimits.beatMs) / 1000} s`,
  ]);
  child.kill('SIGCONT');
  await Promise.race([answered, late]);
  expect(told).toHaveLength(1);
});

test('one that is kept from answering on purpose is not silent', async () => {
  const { child, pid, ask } = echo();
  let excused = 0;
  const isExcused = (): boolean => {
    excused += 1;
    return true;
  };
  const told: number[] = [];
  const beat = new Heartbeat({ pid, ask, isExcused, onSilent: (s) => told.push(s) });
  onTestFinished(() => beat.close());
  child.kill('SIGSTOP');
  const deadline = performance.now() + hangMs;
  while (excused <= hypervisorLimits.silentBeats && performance.now() < deadline) await sleep(100);
  expect(excused).toBeGreaterThan(hypervisorLimits.silentBeats);
  expect(told).toEqual([]);
});
