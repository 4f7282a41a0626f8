/**
 * Sends a machine's state to a new backup: a cut, then RAM and disks as they were at that cut.
 *
 * Pieces that are all zero are left out: the receiver starts from empty files.
 */
import fs from 'node:fs';
import { limits } from '../base/limits.ts';
import type { Term } from '../base/units.ts';
import { isZero } from '../hypervisor/ram.ts';
import type { Link } from '../ports/link.ts';

/** Numbers of the bulk streams of a seed. */
export const seedStreams = {
  deviceState: 0,
  ram: 1,
  disk: (index: number): number => 2 + index,
} as const;

export interface BulkTarget {
  readonly link: Link;
  readonly term: Term;
  readonly stream: number;
}

/** Sends bytes that are in memory. Rejects when the link closes. Returns the bytes sent. */
export async function sendBytes(target: BulkTarget, bytes: Buffer): Promise<number> {
  const { link, term, stream } = target;
  for (let offset = 0; offset < bytes.length; offset += limits.bulkPieceBytes) {
    const payload = bytes.subarray(offset, offset + limits.bulkPieceBytes);
    await link.ready();
    link.send({ kind: 'blob', term, stream, offset, last: false, payload });
  }
  await sendEnd(target, bytes.length);
  return bytes.length;
}

/** Sends a file but for its zero pieces. Rejects when the link closes. Returns the bytes sent. */
export async function sendFile(target: BulkTarget, path: string): Promise<number> {
  const { link, term, stream } = target;
  const file = await fs.promises.open(path, 'r');
  try {
    const { size } = await file.stat();
    const buffer = Buffer.allocUnsafe(limits.bulkPieceBytes);
    let sent = 0;
    for (let offset = 0; offset < size; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) break;
      const payload = buffer.subarray(0, bytesRead);
      if (!isZero(payload)) {
        await link.ready();
        link.send({ kind: 'blob', term, stream, offset, last: false, payload });
        sent += bytesRead;
      }
      offset += bytesRead;
    }
    await sendEnd(target, size);
    return sent;
  } finally {
    await file.close();
  }
}

async function sendEnd({ link, term, stream }: BulkTarget, offset: number): Promise<void> {
  await link.ready();
  link.send({ kind: 'blob', term, stream, offset, last: true, payload: new Uint8Array(0) });
}
