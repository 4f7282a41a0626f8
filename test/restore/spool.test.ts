// Log in the spool is what a backup has promised to keep: whole, in order, within its budget, and
// there again after a death.
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { Spool } from '../../src/restore/spool.ts';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();
const file = path.join(dir, 'spool');
const options = { path: file, budgetBytes: 64 * 1024 * 1024 };
const text = (spool: Spool): string | undefined => spool.read()?.toString();
/** What a process leaves that dies now. */
const die = (): void => undefined;

describe('a spool', () => {
  it('gives back what was appended, in order', async () => {
    const spool = Spool.create(options);
    expect(text(spool)).toBeUndefined();
    spool.append(Buffer.from('one'));
    spool.append(Buffer.from('two'));
    expect(text(spool)).toBe('one');
    spool.append(Buffer.from('three'));
    expect([text(spool), text(spool), text(spool)]).toEqual(['two', 'three', undefined]);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    await spool.remove();
    expect(fs.existsSync(file)).toBe(false);
  });

  it('refuses what is beyond its budget, and takes it when there is room again', async () => {
    const spool = Spool.create({ path: file, budgetBytes: 100 });
    spool.append(Buffer.alloc(60));
    expect(spool.hasRoomFor(60)).toBe(false);
    expect(() => spool.append(Buffer.alloc(60))).toThrow('Cannot spool 60 bytes of log: 68 of 100');
    expect(spool.usedBytes).toBe(68);
    spool.read();
    expect(spool.usedBytes).toBe(68);
    spool.releaseRead();
    expect(spool.usedBytes).toBe(0);
    spool.append(Buffer.alloc(60));
    await spool.remove();
  });

  it('gives the room of what was released back to the file system', async () => {
    const spool = Spool.create(options);
    const record = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 20; i += 1) spool.append(record);
    const before = fs.statSync(file).blocks;
    for (let i = 0; i < 18; i += 1) spool.read();
    spool.releaseRead();
    expect(fs.statSync(file).blocks).toBeLessThan(before / 5);
    expect(spool.read()?.equals(record)).toBe(true);
    await spool.remove();
  });

  it('process dies: everything that is not released is there again', async () => {
    const spool = Spool.create(options);
    const record = Buffer.alloc(limits.logReclaimBytes, 'x');
    spool.append(record);
    spool.append(Buffer.from('two'));
    spool.append(Buffer.from('three'));
    spool.read();
    spool.releaseRead();
    spool.read(); // taken, but not released: it may not have been executed
    die();
    const again = Spool.open(options);
    expect([text(again), text(again), text(again)]).toEqual(['two', 'three', undefined]);
    again.append(Buffer.from('four'));
    expect(text(again)).toBe('four');
    await again.remove();
    await spool.close();
  });

  it('death in the middle of a record: what is whole is there, the torn end is cut off', async () => {
    const records = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(records, fc.nat(), async (written, cut) => {
        const spool = Spool.create(options);
        const ends = written.map((bytes) => spool.append(bytes));
        await spool.close();
        const start = (ends[0] ?? 0) - (written[0]?.length ?? 0) - 8;
        const size = start + (cut % (spool.end - start + 1));
        fs.truncateSync(file, size);
        const again = Spool.open(options);
        const whole = ends.filter((end) => end <= size).length;
        expect(again.end).toBe(whole === 0 ? start : ends[whole - 1]);
        for (const bytes of written.slice(0, whole)) {
          expect(again.read()).toEqual(Buffer.from(bytes));
        }
        expect(again.read()).toBeUndefined();
        await again.close();
      }),
    );
  });

  it('tells how far it is on the disk, and covers what came before the call', async () => {
    const spool = Spool.create(options);
    const first = spool.append(Buffer.from('one'));
    expect(spool.durableTo).toBeLessThan(first);
    const synced = spool.sync();
    const second = spool.append(Buffer.from('two'));
    await synced;
    expect(spool.durableTo).toBe(first);
    await Promise.all([spool.sync(), spool.sync()]);
    expect(spool.durableTo).toBe(second);
    await spool.remove();
  });

  it('a damaged record is named, not passed on', async () => {
    const spool = Spool.create(options);
    const end = spool.append(Buffer.from('one'));
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, 'X', end - 1);
    fs.closeSync(fd);
    expect(() => spool.read()).toThrow(/is damaged at 28/);
    await spool.close();
  });

  it('something else in its place is refused', () => {
    fs.writeFileSync(file, 'of somebody else, and long enough for a header');
    expect(() => Spool.open(options)).toThrow('is no spool of version 1');
    expect(() => Spool.open({ ...options, path: `${file}.none` })).toThrow('Cannot keep log in');
  });
});
