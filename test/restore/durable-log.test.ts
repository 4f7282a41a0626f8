// What a backup acknowledges with `ack: durable` is on its disk: flushed before it is told, whole
// and in order after a death, and never told again once the disk has failed.
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { reasonOf } from '../../src/base/errors.ts';
import { icount, type LogPosition, logPosition, type Millis, term } from '../../src/base/units.ts';
import { BackupCore, type BackupEffect } from '../../src/core/backup.ts';
import {
  type DurableFrame,
  DurableLog,
  type DurableLogBase,
  DurableLogReader,
  type DurableRecord,
} from '../../src/restore/durable-log.ts';
import { Spool } from '../../src/restore/spool.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';

const dir = scratchDir();
const file = path.join(dir, 'pair-b.durable-log');
const base: DurableLogBase = {
  pair: 'web',
  vmFingerprint: 'f1',
  layout: '7.2',
  term: 3,
  seedId: '3.1',
  position: logPosition(100),
  icount: icount(7),
  blockRequestId: 5,
};

const receivedAtMs = 1_700_000_000_000;

/** Log of the given lengths, from the base on. */
function frames(...lengths: number[]): DurableFrame[] {
  let at = base.position as number;
  return lengths.map((length, index) => {
    const from = logPosition(at);
    at += length;
    const payload = Buffer.alloc(length, 'x');
    return {
      kind: 'frame',
      from,
      to: logPosition(at),
      icount: icount(index),
      receivedAtMs,
      payload,
    };
  });
}

/** A disk whose flushes end when the test says so. */
class SlowDisk {
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  flushes = 0;

  readonly flush = (): Promise<void> => {
    this.flushes += 1;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  };

  get inFlight(): number {
    return this.#waiting.length;
  }

  done(): void {
    this.#waiting.shift()?.resolve();
  }

  fail(): void {
    this.#waiting.shift()?.reject(new Error('EIO: i/o error, fdatasync'));
  }
}

function open(disk: SlowDisk, budgetBytes = 1_000_000) {
  const durable: number[] = [];
  const failures: string[] = [];
  const options = { path: file, budgetBytes, budgetKey: 'durableLogBudget', flush: disk.flush };
  const log = new DurableLog(options, base, {
    onDurable: (to) => durable.push(to),
    onFailure: (error) => failures.push(reasonOf(error)),
    now: () => receivedAtMs,
  });
  return { log, durable, failures };
}

/** A record of a cut, as bytes. */
function mark(position: number): Buffer {
  const bytes = Buffer.alloc(17);
  bytes.writeUInt8(2, 0);
  bytes.writeBigUInt64BE(BigInt(position), 1);
  return bytes;
}

/** Everything that waits for no flush has happened then. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function readBack() {
  const reader = new DurableLogReader(file);
  const found: DurableRecord[] = [];
  for (let next = reader.read(); next !== undefined; next = reader.read()) found.push(next);
  return { base: reader.base, found, close: () => reader.close() };
}

describe('a durable log', () => {
  it('is acknowledged only when the flush has ended', async () => {
    // Goal: a loss of power right after an acknowledgement loses nothing that it spoke of.
    const disk = new SlowDisk();
    const acks: LogPosition[] = [];
    const core = new BackupCore({ ack: 'durable' });
    const take = (effects: BackupEffect[]): void => {
      for (const effect of effects) if (effect.type === 'ack') acks.push(effect.position);
    };
    const step = (event: Parameters<BackupCore['step']>[0]): void =>
      take(core.step(event, 1000 as Millis));
    step({ type: 'connected', primary: 'a', term: term(3) });
    step({ type: 'replicaReady' });
    step({ type: 'granted' });
    const log = new DurableLog({ path: file, budgetBytes: 1e6, flush: disk.flush }, base, {
      onDurable: (to) => step({ type: 'durable', to }),
      onFailure: (error) => {
        throw error;
      },
    });
    const [first] = frames(50) as [DurableFrame];
    log.push(first);
    step({ type: 'log', to: first.to });
    await settle();
    expect([acks, disk.inFlight]).toEqual([[], 1]);
    disk.done();
    await vi.waitUntil(() => acks.length > 0, { timeout: hangMs });
    expect(acks).toEqual([first.to]);
    await log.close();
  });

  it('has one flush in flight; all that arrived meanwhile goes with the next', async () => {
    const disk = new SlowDisk();
    const { log, durable } = open(disk);
    const [first, ...rest] = frames(10, 20, 30, 40) as [DurableFrame, ...DurableFrame[]];
    log.push(first);
    for (const record of rest) log.push(record);
    await settle();
    expect([disk.flushes, durable]).toEqual([1, []]);
    disk.done();
    await vi.waitUntil(() => disk.flushes === 2, { timeout: hangMs });
    // The flush covered what was written when it began; the rest is another one.
    expect(durable).toEqual([first.to]);
    disk.done();
    await vi.waitUntil(() => durable.length === 2, { timeout: hangMs });
    expect(durable).toEqual([first.to, rest.at(-1)?.to]);
    await settle();
    expect(disk.flushes).toBe(2);
    await log.close();
  });

  it('disk fails a flush: it is told once, and nothing is durable any more', async () => {
    const disk = new SlowDisk();
    const { log, durable, failures } = open(disk);
    const [first, second] = frames(10, 20) as [DurableFrame, DurableFrame];
    log.push(first);
    disk.fail();
    await vi.waitUntil(() => failures.length > 0, { timeout: hangMs });
    expect(failures).toEqual(['Cannot make log durable: EIO: i/o error, fdatasync']);
    log.push(second);
    await settle();
    // The kernel may call the next flush a success although it dropped the data of the first.
    expect([disk.inFlight, durable, failures.length]).toEqual([0, [], 1]);
    await log.close();
  });

  it('is full: it says so, by the key to change, and what was acknowledged is still there', async () => {
    const disk = new SlowDisk();
    const { log, durable, failures } = open(disk, 500);
    const [small, large] = frames(20, 400) as [DurableFrame, DurableFrame];
    log.push(small);
    disk.done();
    await vi.waitUntil(() => durable.length === 1, { timeout: hangMs });
    log.push(large);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(
      /^Cannot make log durable: Cannot spool 433 bytes .* of 500 are used/,
    );
    await log.close();
    const { found, close } = readBack();
    expect(found).toEqual([small]);
    await close();
  });

  it('is closed in the middle of a flush: that is not told any more', async () => {
    const disk = new SlowDisk();
    const { log, durable } = open(disk);
    log.push(frames(10)[0] as DurableFrame);
    const closed = log.close();
    disk.done();
    await closed;
    expect(durable).toEqual([]);
  });

  it('gives back what was pushed, with whose log it is, up to the torn end', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.nat(400), async (sizes, torn) => {
        const log = new DurableLog({ path: file, budgetBytes: 1e6 }, base, {
          onDurable: () => undefined,
          onFailure: (error) => {
            throw error;
          },
          now: () => receivedAtMs,
        });
        const empty = fs.statSync(file).size;
        const pushed = frames(...sizes);
        for (const record of pushed) log.push(record);
        await log.close();
        const size = Math.max(empty, fs.statSync(file).size - torn);
        fs.truncateSync(file, size);
        const { base: found, found: read, close } = readBack();
        expect(found).toEqual(base);
        expect(read).toEqual(pushed.slice(0, read.length));
        if (torn === 0) expect(read).toHaveLength(pushed.length);
        await close();
      }),
      { numRuns: 30 },
    );
  });

  it('marks stand between the log before and behind them, and are flushed with the latter', async () => {
    const disk = new SlowDisk();
    const { log, durable } = open(disk);
    const [first, second] = frames(10, 20) as [DurableFrame, DurableFrame];
    log.push(first);
    disk.done();
    await vi.waitUntil(() => durable.length === 1, { timeout: hangMs });
    log.resumed();
    log.cut({ icount: icount(42) });
    log.cut({ icount: icount(42), judgement: 'ab'.repeat(26) });
    await settle();
    // Alone they say nothing: nobody waits for them.
    expect(disk.flushes).toBe(1);
    log.push(second);
    expect(disk.flushes).toBe(2);
    disk.done();
    await log.close();
    const { found, close } = readBack();
    expect(found).toEqual([
      first,
      { kind: 'resumed', position: 110, icount: 0 },
      { kind: 'cut', position: 110, icount: 42 },
      { kind: 'cut', position: 110, icount: 42, judgement: 'ab'.repeat(26) },
      second,
    ]);
    await close();
  });

  it.each([
    ['a frame without its head', Buffer.alloc(32), 'behind position 100: 32 bytes of kind 0'],
    ['a mark that is too long', Buffer.alloc(18, 1), '18 bytes of kind 1 are no record'],
    ['a judgement that is too short', Buffer.alloc(17 + 25, 2), '42 bytes of kind 2 are no record'],
    ['a judgement at no cut', Buffer.alloc(17 + 26, 1), '43 bytes of kind 1 are no record'],
    ['an unknown kind', Buffer.alloc(17, 3), '17 bytes of kind 3 are no record'],
    ['numbers out of range', Buffer.from([2, ...Buffer.alloc(16, 0xff)]), 'kind 2 are no record'],
    ['a mark elsewhere', mark(120), 'expected log from 100, found it from 120'],
  ])('%s is refused', async (_, bytes, reason) => {
    await open(new SlowDisk()).log.close();
    const spool = Spool.open({ path: file, budgetBytes: 1e6 });
    spool.append(bytes);
    await spool.close();
    const reader = new DurableLogReader(file);
    expect(() => reader.read()).toThrow(reason);
    await reader.close();
  });

  it('of version 1 is refused', async () => {
    const spool = Spool.create({ path: file, budgetBytes: 1e6 });
    spool.append(Buffer.from(JSON.stringify({ understudy: 'durable-log', version: 1, ...base })));
    await spool.close();
    expect(() => new DurableLogReader(file)).toThrow('is no durable log of version 2 or 3');
  });

  it('of version 2, which has no judgements, is read', async () => {
    const spool = Spool.create({ path: file, budgetBytes: 1e6 });
    spool.append(Buffer.from(JSON.stringify({ understudy: 'durable-log', version: 2, ...base })));
    spool.append(mark(100));
    await spool.close();
    const { base: found, found: read, close } = readBack();
    expect(found).toEqual(base);
    expect(read).toEqual([{ kind: 'cut', position: 100, icount: 0 }]);
    await close();
  });

  it('is begun anew: nothing of an earlier seed is in it', async () => {
    for (const position of [100, 5000]) {
      const events = { onDurable: () => undefined, onFailure: () => undefined };
      const start = { ...base, position: logPosition(position) };
      await new DurableLog({ path: file, budgetBytes: 1e6 }, start, events).close();
    }
    const { base: found, found: read, close } = readBack();
    expect([found.position, read]).toEqual([5000, []]);
    await close();
  });

  it('something else in its place, or a gap, is refused', async () => {
    const spool = Spool.create({ path: file, budgetBytes: 1e6 });
    spool.append(Buffer.from('a seed’s log'));
    await spool.close();
    expect(() => new DurableLogReader(file)).toThrow('is no durable log of version 2 or 3');
    const { log } = open(new SlowDisk());
    const [first, , third] = frames(10, 20, 30) as [DurableFrame, DurableFrame, DurableFrame];
    log.push(first);
    log.push(third);
    void log.close(); // its flush never ends
    const reader = new DurableLogReader(file);
    reader.read();
    expect(() => reader.read()).toThrow('expected log from 110, found it from 130');
    await reader.close();
  });
});
