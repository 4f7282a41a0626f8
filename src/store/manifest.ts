/**
 * Manifests: what is known of a snapshot, and where its content hangs. One small file each,
 * `snapshots/VM/ID.snapshot`; the format is in docs/snapshots.md. It names the device state's chunk
 * and the root of each image's tree (image-tree.ts), so it needs no other manifest.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { UnderstudyError } from '../base/errors.ts';
import { qemuReleases } from '../base/qemu-releases.ts';
import { epoch, icount, logPosition, term } from '../base/units.ts';
import type { SnapshotFacts, SnapshotManifest } from '../ports/snapshot-store.ts';
import { checkName } from './file-names.ts';
import { storeLimits } from './limits.ts';
import { openSealed, sealText } from './sealed-text.ts';

const natural = z.int().min(0);
/** SHA-256 in hex. */
export const hexName = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((hex): Buffer => Buffer.from(hex, 'hex'));

export const runShape = { vm: z.string(), run: z.string() };

const manifestSchema = z.object({
  understudy: z.literal('snapshot'),
  version: z.literal(1),
  id: z.string(),
  parent: z.string().optional(),
  serial: natural.optional(),
  ...runShape,
  vmFingerprint: z.string(),
  layout: z.enum(qemuReleases),
  qemuVersion: z.string(),
  term: natural.transform(term),
  epoch: natural.transform(epoch),
  icount: natural.transform(icount),
  position: natural.transform(logPosition),
  blockRequestId: natural,
  takenAtMs: natural,
  seedId: z.string().optional(),
  vmFile: z.string(),
  label: z.string().optional(),
  guest: z.string().optional(),
  chunkBytes: z.int().min(512).max(storeLimits.chunkBytesMax),
  deviceState: z.object({ bytes: natural, sha256: hexName }),
  images: z.array(
    z.object({ name: z.string(), bytes: natural.max(storeLimits.imageBytesMax), root: hexName }),
  ),
  addedBytes: natural,
});

/** A manifest with the roots: what only the store itself needs. */
export type StoredManifest = Omit<z.output<typeof manifestSchema>, 'understudy' | 'version'>;
export type StoredImage = StoredManifest['images'][number];

export function encodeManifest(manifest: StoredManifest): Buffer {
  const { id, deviceState, images, ...rest } = manifest;
  return sealText({
    understudy: 'snapshot',
    version: 1,
    id,
    ...rest,
    deviceState: { bytes: deviceState.bytes, sha256: deviceState.sha256.toString('hex') },
    images: images.map(({ name, bytes, root }) => ({ name, bytes, root: root.toString('hex') })),
  });
}

/** Throws `store` when it is damaged, or not the one with this id. */
export function decodeManifest(bytes: Buffer, id: string): StoredManifest {
  const { value } = openSealed(bytes, manifestSchema, `Snapshot '${id}'`);
  const { understudy: _, version: __, ...manifest } = value;
  if (manifest.id !== id) {
    throw new UnderstudyError('store', `Snapshot '${id}' says that it is '${manifest.id}'`);
  }
  return manifest;
}

/** As the port knows it. */
export function publicManifest(manifest: StoredManifest): SnapshotManifest {
  const {
    chunkBytes: _,
    deviceState,
    images,
    parent,
    serial,
    seedId,
    label,
    guest,
    ...facts
  } = manifest;
  return {
    ...facts,
    deviceStateBytes: deviceState.bytes,
    images: images.map(({ name, bytes }) => ({ name, bytes })),
    ...(parent === undefined ? {} : { parent }),
    ...(serial === undefined ? {} : { serial }),
    ...(seedId === undefined ? {} : { seedId }),
    ...(label === undefined ? {} : { label }),
    ...(guest === undefined ? {} : { guest }),
  };
}

/** `20261121-215828-123-9f3c01`: tells the time of the cut, and is never made twice. */
export function newSnapshotId(takenAtMs: number): string {
  const time = new Date(takenAtMs).toISOString().replace(/[-:Z]/g, '').replace(/[T.]/g, '-');
  return `${time}-${randomBytes(3).toString('hex')}`;
}

/** Throws `config`, naming what cannot be kept. */
export function checkFacts(facts: SnapshotFacts): void {
  checkName(facts.vm, 'name of a virtual machine');
  checkName(facts.run, 'name of a run');
  checkTime(facts.takenAtMs);
  const names = new Set<string>();
  for (const { name, bytes } of facts.images) {
    checkName(name, 'name of an image');
    if (names.has(name)) {
      throw new UnderstudyError('config', `Image '${name}' is given twice`);
    }
    names.add(name);
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > storeLimits.imageBytesMax) {
      throw new UnderstudyError(
        'config',
        `An image has 0 to ${storeLimits.imageBytesMax} bytes: '${name}' has ${bytes}`,
      );
    }
  }
}

/** Times are kept as whole milliseconds. Throws `config`. */
export function checkTime(timeMs: number): void {
  if (Number.isSafeInteger(timeMs) && timeMs >= 0) return;
  throw new UnderstudyError(
    'config',
    `A time is a whole number of milliseconds since 1970: current value is ${timeMs}`,
  );
}
