/** Facts, images and pieces for tests of the store, also in processes that are no test. */
import { epoch, icount, logPosition, term } from '../../src/base/units.ts';
import type {
  LogPiece,
  SnapshotFacts,
  SnapshotStore,
  WritableStore,
} from '../../src/ports/snapshot-store.ts';
import { storeLimits } from '../../src/store/limits.ts';
import { openStore } from '../../src/store/store.ts';

export const chunkBytes = storeLimits.chunkBytes;

export function facts(changes: Partial<SnapshotFacts> = {}): SnapshotFacts {
  return {
    vm: 'web',
    run: 'r1',
    vmFingerprint: 'f00d',
    layout: '7.2',
    qemuVersion: '7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)',
    term: term(3),
    epoch: epoch(17),
    icount: icount(123_456),
    position: logPosition(1000),
    blockRequestId: 9,
    takenAtMs: Date.UTC(2026, 10, 21, 12),
    vmFile: 'memory: 128M\n',
    images: [{ name: 'ram', bytes: 8 * chunkBytes }],
    ...changes,
  };
}

export function piece(from: number, to: number, changes: Partial<LogPiece> = {}): LogPiece {
  return {
    vm: 'web',
    run: 'r1',
    layout: '7.2',
    term: term(3),
    from: logPosition(from),
    to: logPosition(to),
    fromIcount: icount(from * 10),
    toIcount: icount(to * 10),
    fromTimeMs: from,
    toTimeMs: to,
    firstEpoch: epoch(1),
    lastEpoch: epoch(2),
    payload: Buffer.from(`log ${from}-${to} `.repeat(50)),
    ...changes,
  };
}

/** Bytes that compress to half, different for each seed: SplitMix32, in every other byte. */
export function noise(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed | 0;
  for (let at = 0; at + 4 <= bytes; at += 8) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    buffer.writeInt32LE(mixed ^ (mixed >>> 15), at);
  }
  return buffer;
}

/** Takes a snapshot whose RAM has these chunks changed, by number. */
export async function take(
  store: Pick<WritableStore, 'begin'>,
  chunks: Readonly<Record<number, Buffer>>,
  options: { readonly facts?: Partial<SnapshotFacts>; readonly parent?: string } = {},
) {
  const writer = await store.begin(facts(options.facts), options.parent);
  for (const [chunk, bytes] of Object.entries(chunks)) {
    await writer.put('ram', Number(chunk) * chunkBytes, bytes);
  }
  await writer.deviceState(Buffer.from('device state'));
  return await writer.commit();
}

export async function ramOf(store: SnapshotStore, id: string): Promise<Buffer> {
  const snapshot = await store.open(id);
  const ram = snapshot.manifest.images.find(({ name }) => name === 'ram');
  return await snapshot.read('ram', 0, ram?.bytes ?? 0);
}

/** Beside whoever writes to the store, as `snapshot ls` and `verify` do. */
export async function reading<T>(
  directory: string,
  read: (store: SnapshotStore) => Promise<T>,
): Promise<T> {
  const reader = await openStore({ directory, mode: 'read' });
  try {
    return await read(reader);
  } finally {
    await reader.close();
  }
}
