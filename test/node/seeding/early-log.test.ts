// Log that comes before the copy can take it must reach the copy whole and in order, without being
// held in memory.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { EarlyLog } from '../../../src/node/seeding/early-log.ts';
import { scratchDir } from '../scratch.ts';

const options = { path: path.join(scratchDir(), 'spool'), budgetBytes: 1024 * 1024 * 1024 };

class Taker {
  readonly taken: Buffer[] = [];
  pendingBytes = 0;

  feed(bytes: Buffer): void {
    this.taken.push(bytes);
    this.pendingBytes += bytes.length;
  }

  get text(): string {
    return this.taken.join(' ');
  }
}

describe('early log', () => {
  it('waits for a taker, then goes to it directly', async () => {
    const early = new EarlyLog(options);
    early.push(Buffer.from('a'));
    early.push(Buffer.from('b'));
    expect(early.usedBytes).toBeGreaterThan(0);
    const taker = new Taker();
    early.attach(taker);
    early.push(Buffer.from('c'));
    expect(taker.text).toBe('a b c');
    expect(early.usedBytes).toBe(0);
    await early.close();
  });

  it('keeps what the taker has no room for, and its order with what comes meanwhile', async () => {
    const early = new EarlyLog(options);
    const large = Buffer.alloc(limits.spoolFeedBytes, 'x');
    early.push(large);
    early.push(large);
    const taker = new Taker();
    early.attach(taker);
    expect(taker.taken.length).toBe(1);
    early.push(Buffer.from('last'));
    early.pump();
    expect(taker.taken.length).toBe(1);
    taker.pendingBytes = 0;
    early.pump();
    expect(taker.taken.length).toBe(2);
    early.flush();
    expect(taker.taken.map(String)).toEqual([String(large), String(large), 'last']);
    await early.close();
  });

  it('a spool without room says so', async () => {
    const early = new EarlyLog({ ...options, budgetBytes: 10 });
    expect(() => early.push(Buffer.alloc(11))).toThrow('0 of 10 are used');
    await early.close();
  });
});
