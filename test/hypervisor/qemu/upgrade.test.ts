// Which QEMUs a machine can go between, by programs that say what a QEMU would.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fullMachineType } from '../../../src/hypervisor/qemu/machine-type.ts';
import { upgradeOf } from '../../../src/hypervisor/qemu/upgrade.ts';
import { qemuVersion } from '../../../src/hypervisor/qemu/version.ts';
import { writeFakeQemu } from '../../doubles/fake-qemu.ts';

const dir = mkdtempSync(path.join(os.tmpdir(), 'us-'));
afterAll(() => rmSync(dir, { recursive: true }));

const program = (version: string, ...releases: readonly string[]): string =>
  writeFakeQemu(path.join(dir, version), { version, releases });

const old = program('7.2.22', '7.2', '7.1');
const patched = program('7.2.23', '7.2', '7.1');
const between = program('8.2.2', '8.2', '7.2');
const recent = program('10.0.2', '10.0', '7.2');

describe('the name of a machine type', () => {
  it.each([
    ['pc', 'pc-i440fx-7.2'],
    ['pc-i440fx-7.1', 'pc-i440fx-7.1'],
  ])('%s is in full %s', async (name, full) => {
    expect(await fullMachineType(old, name)).toBe(full);
  });

  it('that the program does not have is refused', async () => {
    await expect(fullMachineType(old, 'pc-i440fx-9.9')).rejects.toMatchObject({
      code: 'config',
      message: `'${old}' has no machine 'pc-i440fx-9.9'`,
    });
  });

  it('cannot be had of what is no program', async () => {
    const asked = fullMachineType(path.join(dir, 'none'), 'pc');
    await expect(asked).rejects.toMatchObject({ code: 'environment' });
  });
});

describe('an upgrade', () => {
  const from = async (upgradeFrom: string | undefined, qemu: string, machine = 'pc-i440fx-7.2') =>
    upgradeOf(
      { qemu, machine, ...(upgradeFrom === undefined ? {} : { upgradeFrom }) },
      await qemuVersion(qemu),
    );

  it('is not there without another version', async () => {
    expect(await from(undefined, recent)).toBeUndefined();
    expect(await from(recent, recent)).toBeUndefined();
  });

  it('to a later release rewrites the state', async () => {
    expect(await from(old, recent)).toMatchObject({
      older: { program: old, text: '7.2.22', layout: { qemu: '7.2' } },
      newer: { program: recent, layout: { qemu: '10.0' }, rewritesState: true },
    });
  });

  it('within a release leaves the state as it is', async () => {
    expect(await from(old, patched)).toMatchObject({ newer: { rewritesState: false } });
  });

  it.each([
    ['back', recent, old, 'No machine goes back from QEMU 10.0.2 to 7.2.22'],
    [
      'to what was not tried',
      old,
      between,
      'No machine can be taken over from QEMU 7.2.22 to 8.2.2',
    ],
  ])('%s is refused', async (_, older, newer, message) => {
    await expect(from(older, newer)).rejects.toMatchObject({ code: 'config', message });
  });

  it('of a machine that the older one does not have names the one to write', async () => {
    await expect(from(old, recent, 'pc-i440fx-10.0')).rejects.toMatchObject({
      code: 'config',
      message: `'${old}' of upgradeFrom has no machine 'pc-i440fx-10.0'`,
      hint: expect.stringContaining('machine: pc-i440fx-7.2') as string,
    });
  });
});
