// KVM counts where a guest comes up in it; why it does not is a gap of the report, and the run goes
// on.
import { expect, test } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { kvmProblem } from '../../src/bench/measure/kvm.ts';

const hangs = (): Promise<never> =>
  Promise.reject(new UnderstudyError('environment', 'The guest did not answer /read: timeout'));

test('no device: no machine is started', async () => {
  expect(await kvmProblem(() => Promise.reject(new Error('started')), '/nowhere/kvm')).toBe(
    'this host has no KVM',
  );
});

test('a machine that starts, with a guest that hangs in it', async () => {
  expect(await kvmProblem(hangs, '/dev/null')).toBe(
    'this host has no KVM that runs a guest: The guest did not answer /read: timeout',
  );
});

test('a guest that comes up was started once', async () => {
  let started = 0;
  const start = async (): Promise<void> => {
    started += 1;
  };
  expect(await kvmProblem(start, '/dev/null')).toBeUndefined();
  expect(started).toBe(1);
});
