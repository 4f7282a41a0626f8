// Whatever a machine writes while it is seeded, and whatever its backup had before: what the backup
// holds at the end is the machine at the cut.
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { seedStreams } from '../../../src/node/seeding/bulk.ts';
import { sendExtents, sendImage } from '../../../src/node/seeding/disk-rounds.ts';
import { lastRound, sendChanges, sendRamRounds } from '../../../src/node/seeding/ram-rounds.ts';
import { hangMs } from '../../time.ts';
import { scratchDir } from '../scratch.ts';
import { blockBytes, kib, SeedAttempt, SeedFiles } from './seed-rig.ts';

const dir = scratchDir();
const page = 4 * kib;
const sizes = { ramBytes: 16 * blockBytes, diskBytes: 8 * blockBytes + 512 };
const deviceState = Buffer.from('device state');

let files: SeedFiles;
let next = 1;
beforeEach(() => {
  const own = path.join(dir, String(next));
  next += 1;
  fs.mkdirSync(own);
  files = new SeedFiles(own, sizes);
});
afterEach(() => files.remains.discard());

/** A whole seed; `meanwhile` is the guest, called between the rounds and before the cut. */
async function seed(attempt: SeedAttempt, meanwhile: () => void = () => undefined): Promise<void> {
  const { shadow, pace, ram, disk, holdings } = attempt;
  const source = { image: files.disk, stream: disk };
  await sendImage(source, pace, await holdings.digests(seedStreams.disk(0)));
  meanwhile();
  const digests = await holdings.digests(seedStreams.ram);
  const sending = sendRamRounds({ shadow, stream: ram, pace, digests });
  meanwhile();
  await sending;
  meanwhile();
  const changes = await lastRound({ shadow, pace });
  await attempt.offer(deviceState);
  // The cut of a disk is the tracker's and the storage daemon's work; here all of it was written.
  const written = [{ from: 0, to: files.diskBytes }];
  await sendExtents(source, pace, written);
  await disk.end(files.diskBytes);
  await sendChanges({ shadow, stream: ram }, changes);
  await ram.end(files.ramBytes);
  expect(await attempt.receiver.complete).toEqual(deviceState);
  await attempt.finish();
}

interface Write {
  readonly file: 'ram' | 'disk';
  readonly at: number;
  readonly length: number;
  readonly value: number;
}

const anyWrite: fc.Arbitrary<Write> = fc.record({
  file: fc.constantFrom('ram' as const, 'disk' as const),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  length: fc.constantFrom(1, 100, page, 3 * page, blockBytes, 2 * blockBytes),
  value: fc.constantFrom(0, 0, 1, 2, 255),
});

function perform({ file, at, length, value }: Write): void {
  const size = file === 'ram' ? sizes.ramBytes : sizes.diskBytes;
  const offset = Math.floor(at * size);
  files.write(file, offset, Buffer.alloc(Math.min(length, size - offset), value));
}

describe('a seed in rounds', () => {
  it('ends equal after any writes, from nothing, from an older image and from older RAM', async () => {
    const someWrites = fc.array(anyWrite, { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(someWrites, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 3 }),
        async (bursts, breakAfter) => {
          const own = path.join(dir, `p${next}`);
          next += 1;
          fs.mkdirSync(own);
          files = new SeedFiles(own, sizes);
          const queue = bursts.flat();
          const meanwhile = (): void => {
            for (const write of queue.splice(0, 3)) perform(write);
          };
          meanwhile();
          for (let broken = 0; broken < breakAfter; broken += 1) {
            const attempt = new SeedAttempt(files, `1.${broken}`);
            const digests = await attempt.holdings.digests(seedStreams.ram);
            meanwhile();
            await sendRamRounds({ ...attempt, stream: attempt.ram, digests });
            attempt.break(files);
            meanwhile();
          }
          await seed(new SeedAttempt(files, '1.9'), meanwhile);
          expect(files.areEqual()).toBe(true);
          fs.rmSync(own, { recursive: true });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('leaves zeros out, on the link and in the files', async () => {
    files.write('ram', 5 * blockBytes, Buffer.alloc(blockBytes, 'a'));
    const attempt = new SeedAttempt(files, '1.1');
    await seed(attempt);
    expect(attempt.ram.sentBytes).toBe(blockBytes);
    expect(files.areEqual()).toBe(true);
    expect(fs.statSync(files.backupRam).blocks * 512).toBeLessThanOrEqual(blockBytes);
    expect(fs.statSync(files.backupRam).mode & 0o777).toBe(0o600);
  });

  it('a block that became zero after it was sent is zero at the backup', async () => {
    files.write('ram', 0, Buffer.alloc(blockBytes, 'a'));
    files.write('disk', 0, Buffer.alloc(blockBytes, 'a'));
    const attempt = new SeedAttempt(files, '1.1');
    await seed(attempt, () => {
      files.write('ram', 0, Buffer.alloc(blockBytes));
      files.write('disk', 0, Buffer.alloc(blockBytes));
    });
    expect(files.areEqual()).toBe(true);
    expect(fs.readFileSync(files.backupRam).every((byte) => byte === 0)).toBe(true);
  });

  it('what changed in a block that was sent is sent by the page', async () => {
    files.write('ram', 0, Buffer.alloc(4 * blockBytes, 'a'));
    const attempt = new SeedAttempt(files, '1.1');
    let calls = 0;
    await seed(attempt, () => {
      calls += 1;
      if (calls === 3) files.write('ram', blockBytes + 5, Buffer.from('b'));
    });
    expect(attempt.ram.sentBytes).toBe(4 * blockBytes + page);
    expect(files.areEqual()).toBe(true);
  });

  it('a link that broke: what arrived is not sent again', async () => {
    files.write('ram', 0, Buffer.alloc(10 * blockBytes, 'a'));
    const first = new SeedAttempt(files, '1.1');
    await sendRamRounds({ ...first, stream: first.ram, digests: undefined });
    await vi.waitUntil(() => first.receiver.receivedBytes === 10 * blockBytes, { timeout: hangMs });
    first.break(files);
    files.write('ram', 3 * blockBytes, Buffer.from('new'));

    const second = new SeedAttempt(files, '1.2');
    expect(second.receiver.holdings).toEqual({
      type: 'seedHave',
      seedId: '1.2',
      resumes: '1.1',
      streams: [{ stream: seedStreams.ram, bytes: 10 * blockBytes }],
    });
    await seed(second);
    expect(second.ram.sentBytes).toBe(blockBytes);
    expect(files.areEqual()).toBe(true);
  });

  it('an older image: equal blocks are not sent, and what is zero by now is', async () => {
    files.write('disk', 0, Buffer.alloc(4 * blockBytes, 'a'));
    fs.copyFileSync(files.disk, files.backupDisk);
    files.write('disk', blockBytes, Buffer.alloc(blockBytes));
    files.write('disk', 8 * blockBytes, Buffer.alloc(512, 'z'));
    const { disk, holdings, pace, receiver, pair, shadow } = new SeedAttempt(files, '1.1');
    const digests = await holdings.digests(seedStreams.disk(0));
    await sendImage({ image: files.disk, stream: disk }, pace, digests);
    expect(disk.sentBytes).toBe(512);
    await vi.waitUntil(() => receiver.receivedBytes === 512, { timeout: hangMs }); // zeros were sent before it
    expect(fs.readFileSync(files.backupDisk).equals(fs.readFileSync(files.disk))).toBe(true);
    receiver.close();
    shadow.close();
    pair.break();
  });
});
