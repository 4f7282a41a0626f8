// A snapshot has what its machine boots with, so a host that has none of it can restore it.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVmConfig, vmIdentity, withQemu } from '../../src/hypervisor/config.ts';
import { qemuVersion } from '../../src/hypervisor/qemu/version.ts';
import { writeVmFile } from '../../src/hypervisor/vm-file/write.ts';
import { ramImage, type SnapshotStore } from '../../src/ports/snapshot-store.ts';
import { putBootFiles, readBootFiles } from '../../src/restore/boot-files.ts';
import { prepareMachine } from '../../src/restore/prepare.ts';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, facts, noise, scratchDirectory } from '../store/rig.ts';

const hasQemu = await qemuVersion('qemu-system-x86_64').then(
  () => true,
  () => false,
);

function file(directory: string, name: string, content: Buffer): string {
  const at = path.join(directory, name);
  fs.writeFileSync(at, content);
  return at;
}

describe('what a machine boots with', () => {
  it('is read as it was when the machine began, or refused with its name', async () => {
    const kernel = file(scratchDirectory(), 'kernel', noise(700_000, 1));
    const began = {
      ...({ name: 'kernel', path: kernel } as const),
      sha256: '6b',
    };
    await expect(readBootFiles([began])).rejects.toThrow(
      `The kernel '${kernel}' is not what the machine began with`,
    );
    fs.rmSync(kernel);
    await expect(readBootFiles([began])).rejects.toMatchObject({
      code: 'config',
      message: `Cannot read the kernel '${kernel}'`,
    });
  });
});

describe.skipIf(!hasQemu)('a machine with kernel, initial RAM disk and firmware', () => {
  /** Sizes that are no multiple of a piece, and not of a chunk. */
  const contents = {
    kernel: noise(700_001, 1),
    initrd: noise(300_000, 2),
    firmware: noise(256 * 1024, 3),
  };

  async function host() {
    const directory = scratchDirectory();
    const at = Object.fromEntries(
      Object.entries(contents).map(([name, content]) => [name, file(directory, name, content)]),
    );
    const { kernel, initrd, firmware } = at;
    const boot = `{ kernel: ${kernel}, initrd: ${initrd}, append: quiet }`;
    const text = `name: web\nmemory: 32M\nfirmware: ${firmware}\nboot: ${boot}\n`;
    const description = parseVmConfig(text, { file: 'vm.yaml', baseDir: '/' });
    const identity = await vmIdentity(await withQemu(description));
    const { text: version } = await qemuVersion(description.qemu);
    return {
      directory,
      identity,
      facts: {
        vmFile: writeVmFile(description),
        vmFingerprint: identity.fingerprint,
        qemuVersion: version,
      },
    };
  }

  async function take(
    store: SnapshotStore,
    { identity, facts: ofHost }: Awaited<ReturnType<typeof host>>,
    { withFiles = true, parent }: { withFiles?: boolean; parent?: string },
  ) {
    const files = withFiles ? await readBootFiles(identity.bootFiles) : [];
    const images = [{ name: ramImage, bytes: 2 * chunkBytes }, ...files.map(({ image }) => image)];
    const writer = await store.begin(facts({ ...ofHost, images }), parent);
    await writer.deviceState(Buffer.from('state'));
    // As the keeper does it: those of the parent are inherited.
    if (parent === undefined) await putBootFiles(files, writer);
    return writer.commit();
  }

  it('is restored where none of them is, from a first snapshot and from a later one', async () => {
    const store = await openStore({ directory: scratchDirectory() });
    const origin = await host();
    const first = await take(store, origin, {});
    const later = await take(store, origin, { parent: first.id });
    fs.rmSync(origin.directory, { recursive: true });
    for (const snapshot of [first, later]) {
      const dir = path.join(scratchDirectory(), 'out');
      const { machine, vm } = await prepareMachine({
        ...{ store, snapshot, dir, until: undefined, runDir: dir },
      });
      for (const [name, content] of Object.entries(contents)) {
        expect(fs.readFileSync(path.join(dir, name)).equals(content), name).toBe(true);
      }
      expect(vm.firmware).toBe(path.join(dir, 'firmware'));
      expect(vm.boot).toEqual({
        ...{ kind: 'kernel', append: 'quiet' },
        ...{ kernel: path.join(dir, 'kernel'), initrd: path.join(dir, 'initrd') },
      });
      expect((await vmIdentity(vm)).fingerprint).toBe(machine.facts.vmFingerprint);
    }
    await store.close();
  });

  it('without them in the snapshot it takes those of the host, if they are the same', async () => {
    const store = await openStore({ directory: scratchDirectory() });
    const origin = await host();
    const snapshot = await take(store, origin, { withFiles: false });
    const out = () => path.join(scratchDirectory(), 'out');
    const preparing = (dir: string) =>
      prepareMachine({ ...{ store, snapshot, dir, until: undefined, runDir: dir } });
    expect((await preparing(out())).vm.firmware).toBe(path.join(origin.directory, 'firmware'));

    file(origin.directory, 'initrd', noise(300_000, 9));
    const changed = out();
    await expect(preparing(changed)).rejects.toThrow(/the initial RAM disk .* has changed/);
    expect(fs.readdirSync(changed)).toEqual([]);

    fs.rmSync(origin.directory, { recursive: true });
    await expect(preparing(out())).rejects.toMatchObject({ code: 'config' });
    await store.close();
  });
});
