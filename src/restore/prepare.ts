/**
 * Prepares a machine from the store: a snapshot as it is, or executed further to an exact instant.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { parseVmConfig, type VmConfig, vmFingerprint, withQemu } from '../hypervisor/config.ts';
import { copySparse } from '../hypervisor/memory/sparse-copy.ts';
import type { QemuInstance } from '../hypervisor/qemu/instance.ts';
import { qemuVersion } from '../hypervisor/qemu/version.ts';
import { qemuNamedBy } from '../hypervisor/vm-file/read.ts';
import {
  diskImage,
  type LogPiece,
  ramImage,
  type Snapshot,
  type SnapshotManifest,
  type SnapshotStore,
} from '../ports/snapshot-store.ts';
import { layoutFor } from '../rrlog/layouts.ts';
import { groups, risingTimes } from '../store/order.ts';
import { materializeBootFiles } from './boot-files.ts';
import { describeInstant, type Instant } from './instant.ts';
import { fillNewDirectory } from './new-directory.ts';
import { PreparedMachine, preparedPaths } from './prepared.ts';
import { type RolledForward, rollForward } from './roll-forward.ts';

export interface PrepareOptions {
  readonly store: SnapshotStore;
  readonly snapshot: SnapshotManifest;
  /** `undefined`: the cut itself. */
  readonly until: Instant | undefined;
  /** Directory to prepare; created, and must be empty. */
  readonly dir: string;
  /** Of the past machines that it takes: a directory on a tmpfs, with a short path. */
  readonly runDir: string;
  /** Where pid files of those are kept. @default runDir */
  readonly pidDir?: string;
  readonly onReplayer?: (instance: QemuInstance) => Promise<void>;
  /** The log behind the snapshot. @default what the store has of it */
  readonly pieces?: AsyncIterable<LogPiece>;
}

export interface Prepared {
  readonly machine: PreparedMachine;
  readonly vm: VmConfig;
  readonly icount: number;
  /** Disk requests in flight at the instant whose completion was made certain. */
  readonly completions: number;
}

/**
 * The snapshot to begin at for an instant: `id` when it is given, else the newest one of the
 * machine that is not later. Throws `store` when there is none, `config` when it must be said which
 * machine.
 */
export async function findSnapshot(
  store: SnapshotStore,
  wanted: { readonly id?: string; readonly vm?: string; readonly until?: Instant },
): Promise<SnapshotManifest> {
  const { id, vm, until } = wanted;
  const all = await store.list(vm === undefined ? {} : { vm });
  const named = id === undefined ? all : all.filter((manifest) => manifest.id === id);
  const start = named.at(-1);
  if (start === undefined) {
    const what = id === undefined ? 'There is no snapshot' : `There is no snapshot '${id}'`;
    throw new UnderstudyError('store', `${what}${vm === undefined ? '' : ` of '${vm}'`}`, {
      hint: 'list them with `understudy snapshot ls`',
    });
  }
  if (until === undefined || until.kind === 'end') return start;
  // Icounts and epochs of two recordings have nothing to do with each other.
  const run = all.filter(
    (manifest) => manifest.vm === start.vm && (until.kind === 'time' || manifest.run === start.run),
  );
  const found =
    until.kind === 'time'
      ? takenBy(run, until.ms)
      : run.findLast((manifest) => !isLater(manifest, until));
  if (found !== undefined) return found;
  const first = run[0] as SnapshotManifest;
  throw new UnderstudyError(
    'store',
    `${describeInstant(until)} is before the first snapshot, ${first.id}: icount ${first.icount}, epoch ${first.epoch}, ${new Date(first.takenAtMs).toISOString()}`,
    { hint: 'name a later instant' },
  );
}

function isLater({ icount, epoch, takenAtMs }: SnapshotManifest, until: Instant): boolean {
  if (until.kind === 'icount') return icount > until.icount;
  if (until.kind === 'epoch') return epoch >= until.epoch;
  return until.kind === 'time' && takenAtMs > until.ms;
}

/** The last one that was taken by then; within a recording time never falls (order.ts). */
function takenBy(all: readonly SnapshotManifest[], ms: number): SnapshotManifest | undefined {
  const isBefore = new Set(
    [...groups(all, ({ run }) => run).values()].flatMap((own) => {
      const times = risingTimes(own);
      return own.filter((_, index) => (times[index] as number) <= ms);
    }),
  );
  return all.findLast((manifest) => isBefore.has(manifest));
}

/**
 * Throws `store` when something of the snapshot or the log is missing or damaged, `config` when
 * this host cannot run it, `stall` and `takeover` when it cannot be executed to the instant. The
 * directory is empty then.
 */
export async function prepareMachine(options: PrepareOptions): Promise<Prepared> {
  const { snapshot, until, dir } = options;
  await checkStart(snapshot, until);
  return fillNewDirectory(dir, () => fill(options));
}

async function fill(options: PrepareOptions): Promise<Prepared> {
  const { store, snapshot: manifest, until, dir } = options;
  const paths = preparedPaths(dir);
  const snapshot = await store.open(manifest.id);
  const vm = await keptMachine(snapshot, dir);
  const diskImages = Object.fromEntries(vm.disks.map(({ id }) => [id, paths.disk(id)]));
  for (const { id } of vm.disks) await snapshot.materialize(diskImage(id), paths.disk(id));
  const stands =
    until === undefined
      ? await asItIs(snapshot, paths.ram)
      : await executed(options, { vm, snapshot, until, diskImages });
  const { deviceState, icount, completions } = stands;
  await fs.promises.writeFile(paths.state, deviceState, { mode: 0o600 });
  const machine = await PreparedMachine.finish(dir, {
    snapshot: manifest.id,
    vmFingerprint: manifest.vmFingerprint,
    qemuVersion: manifest.qemuVersion,
    icount,
    memoryBytes: vm.memoryBytes,
    disks: vm.disks.map(({ id }) => id),
    ...(until === undefined && manifest.guest !== undefined ? { guest: manifest.guest } : {}),
  });
  return { machine, vm, icount, completions };
}

async function asItIs(snapshot: Snapshot, ramFile: string): Promise<RolledForward> {
  await snapshot.materialize(ramImage, ramFile);
  const { icount } = snapshot.manifest;
  return { deviceState: await snapshot.deviceState(), icount, completions: 0 };
}

async function executed(
  options: PrepareOptions,
  work: {
    readonly vm: VmConfig;
    readonly snapshot: Snapshot;
    readonly until: Instant;
    readonly diskImages: Readonly<Record<string, string>>;
  },
): Promise<RolledForward> {
  const { runDir, pidDir = runDir, dir, onReplayer } = options;
  const { vm, snapshot, until, diskImages } = work;
  const { manifest } = snapshot;
  const ramFile = path.join(runDir, 'ram');
  await snapshot.materialize(ramImage, ramFile);
  const rolled = await rollForward({
    ...{ vm, ramFile, diskImages, until, pidDir },
    layout: layoutFor(manifest.layout),
    deviceState: await snapshot.deviceState(),
    cut: manifest,
    pieces: options.pieces ?? options.store.log.follow(manifest),
    dir: path.join(runDir, 'past'),
    ...(onReplayer === undefined ? {} : { onReplayer }),
  });
  await copySparse(ramFile, preparedPaths(dir).ram);
  return rolled;
}

/**
 * What can be told before anything is written. Throws `config` when the instant is before the
 * snapshot, or this host's QEMU is another one; `environment` when it has none.
 */
export async function checkStart(
  manifest: SnapshotManifest,
  until: Instant | undefined,
): Promise<void> {
  if (until !== undefined && isLater(manifest, until)) {
    throw new UnderstudyError(
      'config',
      `${describeInstant(until)} is before snapshot ${manifest.id}: icount ${manifest.icount}, epoch ${manifest.epoch}`,
      { hint: 'name an earlier snapshot, or none' },
    );
  }
  const { text } = await qemuVersion(qemuNamedBy(manifest.vmFile));
  if (text === manifest.qemuVersion) return;
  throw new UnderstudyError(
    'config',
    `Snapshot ${manifest.id} was recorded by QEMU ${manifest.qemuVersion}, this is ${text}`,
    { hint: 'install the version that recorded it: a device state belongs to one' },
  );
}

/**
 * The machine of a snapshot on this host: puts its VM file, and what it boots with, into `dir`.
 * Throws `config` when it is not the same here, `store` when something of it is damaged.
 */
export async function keptMachine(snapshot: Snapshot, dir: string): Promise<VmConfig> {
  const { id, vmFingerprint: expected } = snapshot.manifest;
  const text = await materializeBootFiles(snapshot, dir);
  await fs.promises.writeFile(preparedPaths(dir).vmFile, text, { mode: 0o600 });
  const file = `VM file of snapshot ${id}`;
  const vm = await withQemu(parseVmConfig(text, { file, baseDir: dir }));
  if ((await vmFingerprint(vm)) === expected) return vm;
  throw new UnderstudyError(
    'config',
    `The kernel, the initial RAM disk or the firmware of snapshot ${id} has changed`,
    { hint: 'put those of that time where its VM file says: `understudy snapshot show`' },
  );
}
