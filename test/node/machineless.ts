// A pair whose nodes are backups of a primary that has nothing to seed: no machine runs, and QEMU
// is a script that tells its version.
import fs from 'node:fs';
import path from 'node:path';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { term } from '../../src/base/units.ts';
import { loadVmConfig, vmIdentity } from '../../src/hypervisor/config.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { writeFakeQemu } from '../doubles/fake-qemu.ts';

export const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Writes `vm.yaml` and all that it names, and an arbiter `terms` whose first term node `b` has. */
export async function writeMachineless(dir: string): Promise<void> {
  const at = (name: string): string => path.join(dir, name);
  fs.writeFileSync(at('bios-256k.bin'), 'firmware');
  writeFakeQemu(at('qemu'));
  fs.writeFileSync(at('kernel'), 'x'.repeat(5000));
  const vm = `name: vm\nmemory: 32M\nqemu: ${at('qemu')}\nboot: { kernel: kernel }\n`;
  fs.writeFileSync(at('vm.yaml'), vm);
  const arbiter = new FileArbiter({ directory: at('terms') });
  await arbiter.setUp();
  await arbiter.compareAndSet(undefined, { term: term(1), holder: 'b:1' });
  await arbiter.close();
}

/** Node `b` of pair `p`, as a node of that directory accepts it. */
export async function identityOfB(dir: string): Promise<Identity> {
  const { fingerprint, parts } = await vmIdentity(await loadVmConfig(path.join(dir, 'vm.yaml')));
  return {
    ...{ node: 'b', pair: 'p', qemu: '7.2.22', logLayout: '7.2', term: term(1) },
    ...{ vmFingerprint: fingerprint, machine: parts },
  };
}
