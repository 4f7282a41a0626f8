/** The checks of `understudy doctor`: right on this host, and right about what is broken. */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatChecks } from '../../../src/cli/verbs/doctor.ts';
import { checkQemu, type FeatureCheck } from '../../../src/hypervisor/qemu/features.ts';
import { checkHost } from '../../../src/hypervisor/qemu/host-features.ts';
import { OwnTime } from '../../time.ts';
import { makeRunDir, removeRunDir } from '../real-qemu.ts';

let scratchDir: string;

beforeEach(() => {
  scratchDir = makeRunDir();
});
afterEach(() => removeRunDir(scratchDir));

/** A program that stands in for QEMU. */
function script(text: string): string {
  const file = path.join(scratchDir, 'fake-qemu');
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

const byId = (checks: FeatureCheck[]): Record<string, FeatureCheck> =>
  Object.fromEntries(checks.map((check) => [check.id, check]));

it('finds every feature in the QEMU of this host, and leaves nothing behind', async () => {
  // Goal: no false alarm where all is there, and each feature has really been tried.
  const checks = await checkQemu({ scratchDir });
  expect(checks.filter(({ status }) => status === 'fail')).toEqual([]);
  expect(checks.map(({ id }) => id)).toEqual([
    'storage-daemon',
    'qemu',
    'qemu-record',
    'qemu-device-state',
    'qemu-netdev-stream',
    'qemu-filter-replay',
    'qemu-filter-buffer',
    'qemu-nbd',
    'qemu-blkreplay',
    'qemu-incoming',
    'qemu-wake',
    'qemu-log',
  ]);
  expect(readdirSync(scratchDir)).toEqual([]);
});

it('says that a program is missing, and which', async () => {
  // Goal: the commonest problem is named as such, with what to install.
  const checks = byId(await checkQemu({ scratchDir, qemu: 'no-qemu', storageDaemon: 'no-daemon' }));
  expect(checks.qemu).toMatchObject({ status: 'fail', detail: "there is no program 'no-qemu'" });
  expect(checks.qemu?.hint).toContain('install');
  expect(checks['storage-daemon']?.detail).toBe("there is no program 'no-daemon'");
});

it('shows what a QEMU said that does not start', async () => {
  // Goal: a build without TCG, or a broken library, is reported in QEMU's own words, at once.
  const qemu = script('echo "qemu: -icount: TCG is not available" >&2; exit 1');
  const time = new OwnTime();
  const checks = byId(await checkQemu({ scratchDir, qemu }));
  expect(checks.qemu).toMatchObject({
    status: 'fail',
    detail: 'qemu: -icount: TCG is not available',
  });
  expect(time.end()).toBeLessThan(10_000);
});

it('sees that nothing is recorded, although QEMU starts', async () => {
  // Goal: the checks look at what happens: a machine without record/replay fails those that need
  // it.
  const drop =
    'for a do shift; case $a in shift=auto*) set -- "$@" shift=auto;; *) set -- "$@" "$a";; esac; done';
  const qemu = script(`${drop}; exec qemu-system-x86_64 "$@"`);
  const checks = byId(await checkQemu({ scratchDir, qemu }));
  expect(checks.qemu?.status).toBe('ok');
  expect(checks['qemu-record']).toMatchObject({
    status: 'fail',
    detail: "the machine is in mode 'none'",
  });
  expect(checks['qemu-device-state']?.detail).toContain('no section "replay"');
  expect(checks['qemu-netdev-stream']?.status).toBe('ok');
});

it('does not throw when it may write nowhere', async () => {
  // Goal: the doctor always has something to say.
  const checks = await checkQemu({ scratchDir: path.join(scratchDir, 'none') });
  expect(checks).toMatchObject([{ id: 'scratch', status: 'fail' }]);
});

it('checks the host', async () => {
  // Goal: this host can run the tests, so nothing it needs may be called missing.
  const checks = byId(await checkHost({ memoryBytes: 32 * 1024 * 1024, runDir: scratchDir }));
  for (const id of ['node', 'native-calls', 'setpriv']) expect(checks[id]?.status).toBe('ok');
  expect(checks['run-dir']?.status).not.toBe('fail');
});

it('sees that a machine does not fit into memory', async () => {
  // Goal: told before the machine dies of it, with both numbers.
  const memoryBytes = 2 ** 50;
  const check = byId(await checkHost({ memoryBytes, runDir: scratchDir }))['run-dir'];
  expect(check?.status).toBe('fail');
  expect(check?.detail).toMatch(
    /^\d+M free; a node needs 1073741888M for a machine of 1073741824M$/,
  );
  const none = await checkHost({ memoryBytes, runDir: path.join(scratchDir, 'none') });
  expect(byId(none)['run-dir']).toMatchObject({
    status: 'fail',
    hint: expect.stringContaining('tmpfs'),
  });
});

it('prints a table with what to do', () => {
  // Goal: the eye finds what is wrong, and the line below says what to do about it.
  const checks: FeatureCheck[] = [
    { id: 'a', title: 'short', status: 'ok', detail: 'here' },
    { id: 'b', title: 'much longer', status: 'fail', detail: 'not here', hint: 'install it' },
    { id: 'c', title: 'third', status: 'warn', detail: 'half', hint: 'look' },
  ];
  expect(formatChecks(checks, { colour: false }).split('\n')).toEqual([
    'ok    short        here',
    'FAIL  much longer  not here',
    '                   to do: install it',
    'warn  third        half',
    '                   to do: look',
    '',
    'Not ready: 1 of 3 checks failed.',
  ]);
  expect(formatChecks(checks.slice(0, 1), { colour: false })).toContain('all 1 checks passed');
  expect(formatChecks(checks.slice(2), { colour: true })).toContain('\u001b[');
});
