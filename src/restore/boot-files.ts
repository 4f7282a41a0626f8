/**
 * What a machine boots with beside its disks, in its snapshots: the firmware, a kernel, an initial
 * RAM disk. A host that has none of them can restore it then.
 *
 * They are images of a snapshot like RAM and disks, so the store has each file once, however many
 * snapshots and machines have it. A snapshot without them is restored with the files that its VM
 * file names.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { BootFile } from '../hypervisor/config.ts';
import {
  bootImage,
  type ImageFacts,
  type Snapshot,
  type SnapshotWriter,
} from '../ports/snapshot-store.ts';
import { snapshotLimits } from './limits.ts';

/** Read, digested and put at once. */
const pieceBytes = snapshotLimits.putBytes;

/** A file of them as an image of a snapshot. */
export interface KeptBootFile {
  readonly image: ImageFacts;
  /** All of it, until a snapshot has it: the file may be replaced at any time. */
  content: Buffer | undefined;
}

/**
 * Reads the files, others being let in between. Throws `config` when one of them is not what the
 * machine was started with any more, or cannot be read.
 */
export async function readBootFiles(files: readonly BootFile[]): Promise<KeptBootFile[]> {
  const kept: KeptBootFile[] = [];
  for (const file of files) {
    const content = await unchangedContent(file);
    kept.push({ image: { name: bootImage(file.name), bytes: content.length }, content });
  }
  return kept;
}

async function unchangedContent({ name, path: file, sha256 }: BootFile): Promise<Buffer> {
  const digest = createHash('sha256');
  const pieces: Buffer[] = [];
  try {
    for await (const piece of fs.createReadStream(file, { highWaterMark: pieceBytes })) {
      digest.update(piece as Buffer);
      pieces.push(piece as Buffer);
    }
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read the ${name} '${file}'`, {
      cause: asError(thrown),
    });
  }
  if (digest.digest('hex') === sha256) return Buffer.concat(pieces);
  throw new UnderstudyError('config', `The ${name} '${file}' is not what the machine began with`, {
    hint: 'put the former one back, or start both nodes anew with this one',
  });
}

/** Puts those that no snapshot of this copy has yet: later ones inherit them. */
export async function putBootFiles(
  files: readonly KeptBootFile[],
  writer: Pick<SnapshotWriter, 'put'>,
): Promise<void> {
  for (const { image, content } of files) {
    if (content === undefined) continue;
    for (let at = 0; at < content.length; at += pieceBytes) {
      await writer.put(image.name, at, content.subarray(at, at + pieceBytes));
    }
  }
}

/**
 * Puts those that a snapshot has into `dir`, each under its name, and returns the text of its VM
 * file with them in place of what it names. Throws `store` when one is damaged.
 */
export async function materializeBootFiles(snapshot: Snapshot, dir: string): Promise<string> {
  const { images, vmFile } = snapshot.manifest;
  const has = (name: BootFile['name']) => images.some((image) => image.name === bootImage(name));
  const document = parseDocument(vmFile);
  for (const { name, key } of places) {
    if (!has(name)) continue;
    await snapshot.materialize(bootImage(name), path.join(dir, name));
    document.setIn(key, name);
  }
  return document.toString();
}

/** Where a VM file names each. */
const places: readonly { readonly name: BootFile['name']; readonly key: readonly string[] }[] = [
  { name: 'firmware', key: ['firmware'] },
  { name: 'kernel', key: ['boot', 'kernel'] },
  { name: 'initrd', key: ['boot', 'initrd'] },
];
