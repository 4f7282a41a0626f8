/**
 * How fast the snapshot store is: increments as a snapshot a second makes them, hashing and
 * compressing, writing an image out, checking everything, and copying to a second store.
 *
 *   npm run bench -- store [--directory DIR] [--ram FILE] [--increments N] [--json]
 *
 * Without `--ram`, an image of a guest's memory, pages of this program's own files stand in for it.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { epoch, icount, logPosition, term } from '../src/base/units.ts';
import type { SnapshotFacts, SnapshotStore } from '../src/ports/snapshot-store.ts';
import { encodeChunk, isZero, nameOf } from '../src/store/chunk.ts';
import { storeLimits } from '../src/store/limits.ts';
import { openStore } from '../src/store/store.ts';
import { Copier } from '../src/store/tier/copier.ts';
import type { CopyMessage } from '../src/store/tier/news.ts';

const MB = 1e6;
const pageBytes = 4096;
const { chunkBytes } = storeLimits;
const defaultImageBytes = 64 * 1024 * 1024;
/**
 * An increment of about 1 MB: as scattered as a guest's writes, so each page costs its whole chunk.
 */
const pagesChanged = 64;

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: os.tmpdir() },
    ram: { type: 'string' },
    increments: { type: 'string', default: '100' },
    json: { type: 'boolean' },
  },
});

/** An image in whole chunks. */
function readImage(): Buffer {
  if (values.ram !== undefined) return fs.readFileSync(values.ram);
  const program = fs.readFileSync(process.execPath).subarray(0, defaultImageBytes);
  return Buffer.concat([program, Buffer.alloc(defaultImageBytes)]).subarray(0, defaultImageBytes);
}

function factsOf(number: number, bytes: number): SnapshotFacts {
  return {
    vm: 'bench',
    run: 'bench',
    vmFingerprint: '',
    layout: '7.2',
    qemuVersion: '',
    term: term(1),
    epoch: epoch(number),
    icount: icount(number),
    position: logPosition(number),
    blockRequestId: 0,
    takenAtMs: Date.now() + number,
    vmFile: '',
    images: [{ name: 'ram', bytes }],
  };
}

/** The same pages each time: what an idle guest does. Gives the numbers of the chunks. */
function changePages(image: Buffer, round: number): number[] {
  const chunks = new Set<number>();
  const pages = image.length / pageBytes;
  for (let i = 0; i < pagesChanged; i += 1) {
    const page = Math.floor((i * pages) / pagesChanged);
    image.writeUInt32LE(round * pagesChanged + i, page * pageBytes + 128);
    chunks.add(Math.floor((page * pageBytes) / chunkBytes));
  }
  return [...chunks];
}

async function takeAll(store: SnapshotStore, image: Buffer): Promise<string> {
  const writer = await store.begin(factsOf(0, image.length));
  for (let at = 0; at < image.length; at += 64 * chunkBytes) {
    await writer.put('ram', at, image.subarray(at, at + 64 * chunkBytes));
  }
  await writer.deviceState(Buffer.alloc(60_000, 'state'));
  return (await writer.commit()).id;
}

async function takeChanges(store: SnapshotStore, image: Buffer, round: number, parent: string) {
  const chunks = changePages(image, round);
  const writer = await store.begin(factsOf(round, image.length), parent);
  for (const chunk of chunks) {
    const at = chunk * chunkBytes;
    await writer.put('ram', at, image.subarray(at, at + chunkBytes));
  }
  await writer.deviceState(Buffer.alloc(60_000, `state ${round}`));
  return { changedBytes: chunks.length * chunkBytes, manifest: await writer.commit() };
}

function hashAndCompress(image: Buffer): number {
  const began = performance.now();
  let bytes = 0;
  for (let at = 0; at < image.length; at += chunkBytes) {
    const chunk = image.subarray(at, at + chunkBytes);
    if (isZero(chunk)) continue;
    nameOf(chunk);
    encodeChunk(chunk);
    bytes += chunk.length;
  }
  return bytes / MB / ((performance.now() - began) / 1000);
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

/** The newest snapshot is copied as a whole, the others are what they differ by. */
async function copyAll(from: string) {
  const to = `${from}-copies`;
  fs.mkdirSync(to);
  const copied: { readonly bytes: number; readonly ms: number }[] = [];
  let cpu = process.cpuUsage();
  const tell = (message: CopyMessage) => {
    if (message.type !== 'copied') return;
    if (copied.length === 0) cpu = process.cpuUsage();
    copied.push(message);
  };
  const order = { from, to, node: { pair: 'bench', name: 'bench' } };
  const copier = new Copier({ order, tell });
  copier.say('finish');
  try {
    await copier.run();
  } finally {
    fs.rmSync(to, { recursive: true });
  }
  const { user, system } = process.cpuUsage(cpu);
  const [whole = { bytes: 0, ms: 0 }, ...increments] = copied;
  const ms = increments.map((one) => one.ms).sort((a, b) => a - b);
  return {
    copyWholeStoredMbPerSecond: whole.bytes / MB / (whole.ms / 1000),
    copyIncrementP50Ms: quantile(ms, 0.5),
    copyIncrementP99Ms: quantile(ms, 0.99),
    copyIncrementCpuMs: (user + system) / 1000 / increments.length,
  };
}

async function measure(directory: string) {
  const image = readImage();
  const hashCompressMbPerSecond = hashAndCompress(image);
  const store = await openStore({ directory });
  let parent = '';
  const firstSeconds = await secondsOf(async () => {
    parent = await takeAll(store, image);
  });
  const takesMs: number[] = [];
  const cpu = process.cpuUsage();
  let changedBytes = 0;
  let addedBytes = 0;
  for (let round = 1; round <= Number(values.increments); round += 1) {
    const began = performance.now();
    const taken = await takeChanges(store, image, round, parent);
    takesMs.push(performance.now() - began);
    parent = taken.manifest.id;
    changedBytes = taken.changedBytes;
    addedBytes += taken.manifest.addedBytes;
  }
  const { user, system } = process.cpuUsage(cpu);
  takesMs.sort((a, b) => a - b);
  const snapshot = await store.open(parent);
  const out = path.join(directory, 'image');
  const outSeconds = await secondsOf(() => snapshot.materialize('ram', out));
  if (!fs.readFileSync(out).equals(image)) throw new Error('the image came back changed');
  let verifiedBytes = 0;
  const verifySeconds = await secondsOf(async () => {
    const report = await store.verify();
    if (report.damaged.length > 0) throw new Error('the store is damaged');
    verifiedBytes = report.bytes;
  });
  const copies = await copyAll(directory);
  for (const { id } of (await store.list()).slice(0, -1)) await store.remove(id);
  const collectSeconds = await secondsOf(() => store.collect());
  await store.close();
  const reopenSeconds = await secondsOf(async () => {
    await (await openStore({ directory, catalogue: 'memory' })).close();
  });
  return {
    imageMb: image.length / MB,
    hashCompressMbPerSecond,
    firstSnapshotSeconds: firstSeconds,
    incrementChangedMb: changedBytes / MB,
    incrementAddedMb: addedBytes / takesMs.length / MB,
    incrementP50Ms: quantile(takesMs, 0.5),
    incrementP99Ms: quantile(takesMs, 0.99),
    incrementCpuMs: (user + system) / 1000 / takesMs.length,
    materializeMbPerSecond: image.length / MB / outSeconds,
    verifyStoredMbPerSecond: verifiedBytes / MB / verifySeconds,
    ...copies,
    collectAllButOneSeconds: collectSeconds,
    openWithoutCatalogueSeconds: reopenSeconds,
  };
}

const scratch = fs.mkdtempSync(path.join(values.directory, 'understudy-bench-'));
try {
  const figures = Object.fromEntries(
    Object.entries(await measure(scratch)).map(([name, value]) => [
      name,
      Math.round(value * 100) / 100,
    ]),
  );
  if (values.json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else console.table(figures);
} finally {
  fs.rmSync(scratch, { recursive: true });
}
