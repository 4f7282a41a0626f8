// A capture of all RAM lets the node's other work in between, ends when the copy goes, and is what
// RAM was, whatever was shipped or dropped before.
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CaptureOptions, Capturer } from '../../../src/node/keeping/capture.ts';
import { Pace } from '../../../src/node/seeding/pace.ts';
import { ramImage } from '../../../src/ports/snapshot-store.ts';
import { snapshotLimits } from '../../../src/restore/limits.ts';
import { scratchDir } from '../scratch.ts';

const { blockBytes, chunkBytes } = snapshotLimits;
const ramBytes = 4 * chunkBytes;
const dir = scratchDir();
const ramFile = path.join(dir, 'ram');

/** A slice of no length: it lets others in at each step. */
class EachStep extends Pace {
  readonly #signal: AbortSignal;
  steps = 0;

  constructor(signal: AbortSignal) {
    super(signal);
    this.#signal = signal;
  }

  override async breathe(): Promise<void> {
    this.steps += 1;
    await nextTurn();
    this.#signal.throwIfAborted();
  }
}

/** Of a machine without disks. */
const storage: CaptureOptions['storage'] = {
  trackWrites: () => Promise.reject(new Error('unused')),
  prepareCopy: () => Promise.reject(new Error('unused')),
  startCopies: () => Promise.resolve({ done: Promise.resolve() }),
  hurryCopies: () => Promise.resolve(),
  discardCopy: () => Promise.resolve(),
};

describe('a capture', () => {
  let going: AbortController;
  let pace: EachStep;
  let capturer: Capturer;
  let isClosed: boolean;
  /** What the store has. */
  let stored: Buffer;

  beforeEach(async () => {
    going = new AbortController();
    pace = new EachStep(going.signal);
    isClosed = false;
    stored = Buffer.alloc(ramBytes);
    fs.writeFileSync(ramFile, Buffer.alloc(ramBytes, 'ram as it was at first'));
    capturer = await Capturer.begin({ storage, ramFile, diskImages: {} }, pace);
    await capturer.prepare();
  });
  afterEach(() => (isClosed ? undefined : close()));

  async function close(): Promise<void> {
    isClosed = true;
    await capturer.close();
  }

  const writer = {
    put: (image: string, offset: number, bytes: Buffer) => {
      expect(image).toBe(ramImage);
      stored.set(bytes, offset);
      return Promise.resolve();
    },
  };

  function write(offset: number, text: string): void {
    const file = fs.openSync(ramFile, 'r+');
    fs.writeSync(file, text, offset);
    fs.closeSync(file);
  }

  it('lets others in while it compares', async () => {
    let turns = 0;
    let isOver = false;
    const others = (async () => {
      while (!isOver) {
        await nextTurn();
        turns += 1;
      }
    })();
    await capturer.capture();
    isOver = true;
    await others;
    expect(turns).toBeGreaterThanOrEqual(ramBytes / blockBytes);
  });

  it('is what RAM was then', async () => {
    const captured = await capturer.capture();
    const then = fs.readFileSync(ramFile);
    write(blockBytes, 'behind the capture');
    await capturer.ship(captured, writer);
    await capturer.shipped(captured);
    expect(stored.equals(then)).toBe(true);
  });

  it('has what the one before was dropped with', async () => {
    write(chunkBytes + 7, 'before the first');
    await capturer.drop(await capturer.capture());
    await capturer.prepare();
    write(3 * chunkBytes, 'before the second');
    await capturer.ship(await capturer.capture(), writer);
    expect(stored.equals(fs.readFileSync(ramFile))).toBe(true);
  });

  it('ends when its copy goes, and leaves nothing', async () => {
    const whole = pace.steps; // of what `begin` did
    const capturing = capturer.capture();
    const refused = expect(capturing).rejects.toThrow('the copy is gone');
    going.abort(new Error('the copy is gone'));
    await close();
    await refused;
    expect(pace.steps).toBe(whole + 1);
    expect(fs.readdirSync(dir)).toEqual(['ram']);
  });

  it('keeps its shadow for as long as it works', async () => {
    write(ramBytes - blockBytes, 'at the very end');
    const capturing = capturer.capture();
    await close();
    await expect(capturing).resolves.toHaveProperty('ramFile');
  });
});
