// A machine is prepared from what is whole and fits this host, or one clear reason says why not.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { epoch, icount, logPosition, term } from '../../src/base/units.ts';
import {
  vmFingerprint as fingerprintOf,
  parseVmConfig,
  withQemu,
} from '../../src/hypervisor/config.ts';
import { qemuVersion } from '../../src/hypervisor/qemu/version.ts';
import { diskImage, ramImage, type SnapshotFacts } from '../../src/ports/snapshot-store.ts';
import type { Instant } from '../../src/restore/instant.ts';
import { findSnapshot, prepareMachine } from '../../src/restore/prepare.ts';
import { PreparedMachine, preparedPaths } from '../../src/restore/prepared.ts';
import { openStore } from '../../src/store/store.ts';
import { facts, noise, scratchDirectory } from '../store/rig.ts';

const megabyte = 1024 * 1024;

const hasQemu = await qemuVersion('qemu-system-x86_64').then(
  () => true,
  () => false,
);

async function storeWith(...all: Partial<SnapshotFacts>[]) {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const ids: string[] = [];
  for (const [index, changes] of all.entries()) {
    const images = [
      { name: ramImage, bytes: 32 * megabyte },
      { name: diskImage('d0'), bytes: megabyte },
    ];
    const writer = await store.begin(facts({ images, ...changes }));
    await writer.put(ramImage, 0, noise(writer.chunkBytes, index + 1));
    await writer.deviceState(Buffer.from('state'));
    ids.push((await writer.commit()).id);
  }
  return { store, ids, directory };
}

const at = (run: string, instructions: number, takenAtMs: number): Partial<SnapshotFacts> => ({
  ...{ run, takenAtMs, icount: icount(instructions), position: logPosition(instructions) },
  epoch: epoch(instructions / 10),
});

describe('the snapshot to begin at', () => {
  const all = [at('r1', 1000, 1e12), at('r1', 2000, 1e12 + 5000), at('r2', 1500, 1e12 + 9000)];
  const found = async (wanted: { id?: number; until?: Instant }) => {
    const { store, ids } = await storeWith(...all);
    const { id, until } = wanted;
    const snapshot = await findSnapshot(store, {
      ...(id === undefined ? {} : { id: ids[id] as string }),
      ...(until === undefined ? {} : { until }),
    });
    await store.close();
    return ids.indexOf(snapshot.id);
  };

  it('is the named one, or the newest', async () => {
    expect(await found({})).toBe(2);
    expect(await found({ id: 1 })).toBe(1);
  });

  it('is the nearest one before an instant, of the same recording', async () => {
    expect(await found({ id: 0, until: { kind: 'icount', icount: 1999 } })).toBe(0);
    expect(await found({ id: 0, until: { kind: 'icount', icount: 2000 } })).toBe(1);
    expect(await found({ id: 1, until: { kind: 'icount', icount: 9999 } })).toBe(1);
    expect(await found({ id: 0, until: { kind: 'epoch', epoch: 201 } })).toBe(1);
    expect(await found({ id: 0, until: { kind: 'epoch', epoch: 200 } })).toBe(0);
  });

  it('may be of another recording for a time', async () => {
    expect(await found({ until: { kind: 'time', ms: 1e12 + 8999 } })).toBe(1);
    expect(await found({ until: { kind: 'time', ms: 1e12 + 9000 } })).toBe(2);
  });

  it('is the newest by term and position, whatever the clock said', async () => {
    const hour = 3_600_000;
    const noon = Date.UTC(2026, 10, 21, 12);
    const { store, ids } = await storeWith(
      at('r1', 1000, noon),
      at('r1', 2000, noon + 1000),
      // The clock was set back by an hour here.
      at('r1', 3000, noon + 2000 - hour),
      at('r1', 4000, noon + 3000 - hour),
      at('r1', 5000, noon + 4000),
      // Another host took over, whose clock is behind.
      { ...at('r2', 10, noon - 9 * hour), term: term(4) },
    );
    const found = async (until?: Instant): Promise<number> => {
      const wanted = until === undefined ? {} : { until };
      return ids.indexOf((await findSnapshot(store, wanted)).id);
    };
    expect((await store.list()).map(({ id }) => ids.indexOf(id))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await found()).toBe(5);
    expect(await found({ kind: 'end' })).toBe(5);
    await store.remove(ids[5] as string);
    expect(await found()).toBe(4);
    await store.remove(ids[4] as string);
    expect(await found({ kind: 'end' })).toBe(3);
    // Within a recording a time that was shown twice is the first one.
    expect(await found({ kind: 'time', ms: noon + 500 })).toBe(0);
    expect(await found({ kind: 'time', ms: noon + 2000 })).toBe(3);
    await store.close();
  });

  it('unknown, or an instant before the first one: says so', async () => {
    const { store } = await storeWith(...all);
    await expect(findSnapshot(store, { id: 'nothing' })).rejects.toThrow(
      "There is no snapshot 'nothing'",
    );
    await expect(findSnapshot(store, { vm: 'other' })).rejects.toThrow(
      "There is no snapshot of 'other'",
    );
    const early = { kind: 'time', ms: 1e12 - 1 } as const;
    await expect(findSnapshot(store, { until: early })).rejects.toThrow(
      /2001-09-09T01:46:39.999Z is before the first snapshot/,
    );
    await store.close();
  });
});

describe('preparing', () => {
  const vmFile =
    'name: web\nmemory: 32M\nqemu: ./qemu\nboot: { disk: true }\ndisks: [{ id: d0 }]\n';

  it('for another QEMU is refused before anything is written', async () => {
    const bin = scratchDirectory();
    const qemu = path.join(bin, 'qemu');
    fs.writeFileSync(qemu, '#!/bin/sh\necho QEMU emulator version 9.1.0\n', { mode: 0o755 });
    const { store } = await storeWith({ vmFile: vmFile.replace('./qemu', qemu) });
    const snapshot = await findSnapshot(store, {});
    const dir = path.join(bin, 'out');
    const preparing = prepareMachine({ store, snapshot, until: undefined, dir, runDir: bin });
    await expect(preparing).rejects.toThrow(/was recorded by QEMU 7.2.22 .*, this is 9.1.0/);
    expect(fs.existsSync(dir)).toBe(false);
    await store.close();
  });
});

describe.skipIf(!hasQemu)('preparing with this QEMU', () => {
  const text = 'name: web\nmemory: 32M\nboot: { disk: true }\ndisks: [{ id: d0 }]\n';

  async function stored() {
    const description = parseVmConfig(text, { file: 'vm.yaml', baseDir: '/' });
    const vm = await withQemu(description);
    const vmFingerprint = await fingerprintOf(vm);
    const { text: version } = await qemuVersion(vm.qemu);
    return storeWith({ vmFile: text, vmFingerprint, qemuVersion: version });
  }

  it('a snapshot as it is: memory, disks and state are there, sparse', async () => {
    const { store } = await stored();
    const snapshot = await findSnapshot(store, {});
    const dir = path.join(scratchDirectory(), 'out');
    const { machine } = await prepareMachine({
      ...{ store, snapshot, dir, until: undefined, runDir: dir },
    });
    expect(machine.facts).toMatchObject({ snapshot: snapshot.id, icount: snapshot.icount });
    const ram = fs.statSync(preparedPaths(dir).ram);
    expect(ram.size).toBe(32 * megabyte);
    expect(ram.blocks * 512).toBeLessThan(megabyte);
    expect(fs.readFileSync(preparedPaths(dir).state, 'utf8')).toBe('state');
    expect(fs.statSync(preparedPaths(dir).disk('d0')).size).toBe(megabyte);
    await store.close();
  });

  it('a damaged chunk is named, and nothing half is left', async () => {
    const { store, directory } = await stored();
    const snapshot = await findSnapshot(store, {});
    await store.close();
    const packs = path.join(directory, 'packs');
    for (const name of fs.readdirSync(packs)) {
      const file = path.join(packs, name);
      const bytes = fs.readFileSync(file);
      bytes[200] = (bytes[200] ?? 0) ^ 1;
      fs.chmodSync(file, 0o600);
      fs.writeFileSync(file, bytes);
    }
    const damaged = await openStore({ directory, mode: 'read' });
    const dir = path.join(scratchDirectory(), 'out');
    const preparing = prepareMachine({
      ...{ store: damaged, snapshot, dir, until: undefined, runDir: dir },
    });
    await expect(preparing).rejects.toMatchObject({ code: 'store' });
    expect(fs.readdirSync(dir)).toEqual([]);
    await damaged.close();
  });

  it('an instant before the snapshot is refused', async () => {
    const { store } = await stored();
    const snapshot = await findSnapshot(store, {});
    const dir = path.join(scratchDirectory(), 'out');
    const until = { kind: 'icount', icount: snapshot.icount - 1 } as const;
    const preparing = prepareMachine({ store, snapshot, dir, until, runDir: dir });
    await expect(preparing).rejects.toThrow(/is before snapshot/);
    await store.close();
  });
});

describe('a prepared machine', () => {
  const some = {
    ...{ snapshot: 's1', vmFingerprint: 'f00d', qemuVersion: '7.2.22', memoryBytes: 1024 },
    icount: icount(77),
    disks: ['d0'],
  };
  const machine = { vmFingerprint: 'f00d', qemuVersion: '7.2.22' };

  async function prepared() {
    const dir = scratchDirectory();
    fs.writeFileSync(preparedPaths(dir).state, 'state');
    fs.writeFileSync(preparedPaths(dir).disk('d0'), 'disk');
    await PreparedMachine.finish(dir, some);
    return { dir, diskImages: { d0: preparedPaths(dir).disk('d0') } };
  }

  it('is opened as it was prepared, and started once', async () => {
    const { dir, diskImages } = await prepared();
    const opened = PreparedMachine.open(dir);
    expect(opened.facts).toEqual(some);
    opened.check({ ...machine, diskImages });
    expect((await opened.claim()).toString()).toBe('state');
    expect(() => PreparedMachine.open(dir)).toThrow(/was started already: its disks have gone on/);
  });

  it('of another machine, QEMU or disk is refused', async () => {
    const { dir, diskImages } = await prepared();
    const opened = PreparedMachine.open(dir);
    const other = path.join(dir, 'other.raw');
    fs.writeFileSync(other, 'disk');
    const cases: [Parameters<typeof opened.check>[0], RegExp][] = [
      [{ ...machine, diskImages, qemuVersion: '8.0' }, /recorded by QEMU 7.2.22, this is 8.0/],
      [{ ...machine, diskImages, vmFingerprint: 'beef' }, /is not that of the snapshot/],
      [{ ...machine, diskImages: { d0: other } }, /image of disk 'd0' is/],
      [{ ...machine, diskImages: {} }, /image of disk 'd0' is/],
    ];
    for (const [given, reason] of cases) expect(() => opened.check(given)).toThrow(reason);
  });

  it('that is none, or damaged: says so', async () => {
    const { dir } = await prepared();
    expect(() => PreparedMachine.open(scratchDirectory())).toThrow(/There is no prepared machine/);
    fs.writeFileSync(preparedPaths(dir).facts, '{"understudy":"prepared-machine"}');
    expect(() => PreparedMachine.open(dir)).toThrow(/is damaged/);
  });
});
