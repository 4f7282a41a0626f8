/** Keeps a cut of a protected machine, and looks after what was kept. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  describeDeviceState,
  parseDeviceState,
} from '../../hypervisor/device-state/device-state.ts';
import { writeMemoryDump } from '../../hypervisor/memory/memory-dump.ts';
import { errorOf, type Refusal } from '../../node/refusal.ts';
import { askNode } from '../../observe/control-client.ts';
import { primaryOrBackup } from '../../observe/pair-nodes.ts';
import type { SnapshotManifest, VerifyReport } from '../../ports/snapshot-store.ts';
import { Progress } from '../../text/progress.ts';
import { exitCodes } from '../exit.ts';
import type { StoreOption } from '../store-option.ts';
import { print } from './print.ts';
import { safePlaceOf, type TieredManifest, untilSafe, withTiers } from './tiers.ts';
import { changingStore, placesOfStore, usingStore } from './using-store.ts';

export interface SnapshotOptions extends StoreOption {
  readonly json?: boolean;
  readonly vm?: string;
  readonly label?: string;
}

export type TakeOptions = SnapshotOptions & { readonly pair: string; readonly safe?: true };
export type ShowOptions = SnapshotOptions & { readonly devices?: true };

/**
 * With `safe`, waits until it is in the store of `copyTo`, too. Throws `store` when the primary or
 * its backup refuses, or it is kept and not safe.
 */
export async function take({ pair, label, json, safe }: TakeOptions): Promise<void> {
  const place = safe === true ? safePlaceOf(pair) : undefined;
  const snapshot = await takeOne(pair, label);
  if (place !== undefined) await untilSafe(place, snapshot);
  print(json, { snapshot, ...(place === undefined ? {} : { tier: 'safe' }) }, snapshot);
}

/**
 * Waits for a backup that cannot keep one yet: a copy that protects the machine is followed only
 * when all of its disks were read. Returns the id.
 */
async function takeOne(pair: string, label: string | undefined): Promise<string> {
  const node = await primaryOrBackup(pair);
  const more = label === undefined ? {} : { label };
  const progress = new Progress(process.stderr);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await askNode<Refusal | { readonly ok: true; readonly snapshot: string }>(
      node.control,
      'snapshot',
      more,
    );
    if (answer.ok) {
      progress.end();
      return answer.snapshot;
    }
    if (answer.code !== 'store' || answer.mayPass !== true || performance.now() > deadline) {
      progress.end();
      const hint = 'see `understudy status`, and the log of the backup, which keeps the snapshot';
      throw errorOf({ hint, ...answer });
    }
    progress.status(`waiting: ${answer.error}`);
    await sleep(againMs);
  }
}

/** The disks of a copy are read at 100 MB/s and more. */
const patienceMs = 300_000;
/** Each time the guest is stopped for a cut. */
const againMs = 2_000;

/** Oldest first; of a pair with `copyTo` those of both stores, and which are safe. */
export async function list(options: SnapshotOptions): Promise<void> {
  const { vm, json } = options;
  const { copyTo } = placesOfStore(options);
  const local = await usingStore(options, 'read', (store) =>
    store.list(vm === undefined ? {} : { vm }),
  );
  const warn = (text: string) => process.stderr.write(`understudy: ${text}\n`);
  const found = copyTo === undefined ? local : await withTiers(local, copyTo, { vm, warn });
  for (const manifest of found) print(json, withoutFile(manifest), line(manifest));
}

/** Throws `store` when there is none of this name. */
export async function show(id: string, options: ShowOptions): Promise<void> {
  const { manifest, devices } = await usingStore(options, 'read', async (store) => {
    const snapshot = await store.open(id);
    if (options.devices !== true) return { manifest: snapshot.manifest };
    const state = parseDeviceState(await snapshot.deviceState());
    return { manifest: snapshot.manifest, devices: describeDeviceState(state) };
  });
  const more = devices === undefined ? '' : `\n${devices}`;
  print(options.json, { ...manifest, devices }, `${description(manifest)}${more}`);
}

/** Throws `store` when there is none of this name, `resources` when the file cannot be written. */
export async function dump(id: string, file: string, options: SnapshotOptions): Promise<void> {
  await usingStore(options, 'read', async (store) => writeMemoryDump(await store.open(id), file));
  print(options.json, { snapshot: id, file }, `${id} is written to '${file}'`);
}

/** Gives their room back, too. */
export async function remove(ids: readonly string[], options: SnapshotOptions): Promise<void> {
  const { freedBytes } = await changingStore(options, async (store) => {
    for (const id of ids) await store.remove(id);
    return store.collect();
  });
  print(
    options.json,
    { removed: ids, freedBytes },
    `removed ${ids.length}, ${freedBytes} bytes are free again`,
  );
}

/** Exit 1 when something is damaged. */
export async function verify(options: SnapshotOptions): Promise<void> {
  const report = await usingStore(options, 'read', (store) => store.verify());
  print(options.json, report, verdict(report));
  if (report.damaged.length > 0) process.exitCode = exitCodes.failed;
}

/** How many bytes of each image differ, and where. */
export async function diff(older: string, newer: string, options: SnapshotOptions): Promise<void> {
  const images = await usingStore(options, 'read', async (store) => {
    const [before, after] = [await store.open(older), await store.open(newer)];
    const found: { image: string; bytes: number; ranges: readonly object[] }[] = [];
    for (const { name } of after.manifest.images) {
      const ranges = await after.changes(name, before);
      const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
      found.push({ image: name, bytes, ranges });
    }
    return found;
  });
  const lines = images.map(
    ({ image, bytes, ranges }) => `${image}: ${bytes} bytes differ, in ${ranges.length} ranges`,
  );
  print(options.json, { older, newer, images }, lines.join('\n'));
}

const withoutFile = ({ vmFile: _, ...rest }: TieredManifest) => rest;

const timeText = (ms: number): string => new Date(ms).toISOString();

function line(manifest: TieredManifest): string {
  const { id, vm, takenAtMs, icount, addedBytes, label, tier } = manifest;
  const where = tier === undefined ? '' : `  ${tier}`;
  const what = label === undefined ? '' : `  "${label}"`;
  const taken = `${timeText(takenAtMs)}  icount ${icount}  +${addedBytes} bytes`;
  return `${id}  ${vm}  ${taken}${where}${what}`;
}

function description(manifest: SnapshotManifest): string {
  const { id, vm, run, term, epoch, icount, position, takenAtMs, qemuVersion } = manifest;
  return [
    `${id}${manifest.label === undefined ? '' : `: ${manifest.label}`}`,
    `  of ${vm}, run ${run}, term ${term}, taken at ${timeText(takenAtMs)}`,
    `  icount ${icount}, epoch ${epoch}, log position ${position}`,
    `  QEMU ${qemuVersion}`,
    `  added ${manifest.addedBytes} bytes; parent ${manifest.parent ?? 'none'}`,
    ...manifest.images.map(({ name, bytes }) => `  ${name}: ${bytes} bytes`),
    '  VM file:',
    ...manifest.vmFile
      .trimEnd()
      .split('\n')
      .map((text) => `    ${text}`),
  ].join('\n');
}

function verdict({ snapshots, chunks, logPieces, bytes, damaged }: VerifyReport): string {
  const all = `${snapshots} snapshots, ${chunks} chunks, ${logPieces} pieces of log, ${bytes} bytes`;
  if (damaged.length === 0) return `${all}: all is well`;
  const lines = damaged.map(({ what, snapshots: ids }) => {
    return `  ${what}: ${ids.length === 0 ? 'no snapshot needs it' : `needed by ${ids.join(', ')}`}`;
  });
  return [`${all}: ${damaged.length} damaged`, ...lines].join('\n');
}
