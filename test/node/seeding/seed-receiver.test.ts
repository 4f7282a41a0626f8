// A machine's state must arrive whole and equal, and nothing may be written where it does not
// belong.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { icount, logPosition, term } from '../../../src/base/units.ts';
import { BulkStream, seedStreams } from '../../../src/node/seeding/bulk.ts';
import { SeedRemains } from '../../../src/node/seeding/remains.ts';
import { SeedReceiver } from '../../../src/node/seeding/seed-receiver.ts';
import type { BlobFrame, SeedBegin, SeedOffer } from '../../../src/ports/link.ts';
import { memoryLinkPair } from '../../doubles/memory-pair.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
const piece = limits.bulkPieceBytes;
const target = { ramFile: path.join(dir, 'ram2'), diskImages: { d0: path.join(dir, 'disk2') } };

const begin: SeedBegin = {
  type: 'seedBegin',
  seedId: '1.1',
  ramBytes: piece * 20,
  disks: [{ id: 'd0', bytes: piece + 512 }],
};
const offer: SeedOffer = {
  ...begin,
  type: 'seedOffer',
  deviceStateBytes: 12,
  logPosition: logPosition(1000),
  icount: icount(5),
};

const blob = (fields: Partial<BlobFrame>): BlobFrame => ({
  kind: 'blob',
  term: term(1),
  stream: seedStreams.ram,
  offset: 0,
  last: false,
  payload: new Uint8Array(0),
  ...fields,
});

const receive = (): SeedReceiver =>
  new SeedReceiver({ begin, ...target, remains: new SeedRemains() });

describe('a receiver of a seed', () => {
  let receiver: SeedReceiver;

  beforeEach(() => {
    fs.rmSync(target.diskImages.d0, { force: true });
    receiver = receive();
  });
  afterEach(() => receiver.close());

  const last = (stream: number) => receiver.take(blob({ stream, last: true }));

  it('is complete when every stream has ended, in any order, and the cut is known', async () => {
    let complete = false;
    void receiver.complete.then(() => {
      complete = true;
    });
    receiver.take(blob({ payload: Buffer.from('ram') }));
    last(seedStreams.disk(0));
    last(seedStreams.ram);
    receiver.takeOffer(offer);
    await new Promise((resolve) => setImmediate(resolve));
    expect([complete, receiver.isComplete]).toEqual([false, false]);
    receiver.take(blob({ stream: 0, payload: Buffer.from('device state'), last: true }));
    expect((await receiver.complete).toString()).toBe('device state');
    expect(receiver.receivedBytes).toBe(15);
  });

  it('marks an image until it is complete and on the disk', async () => {
    const mark = `${target.diskImages.d0}.seeding`;
    expect(fs.existsSync(mark)).toBe(true);
    receiver.close();
    expect(fs.existsSync(mark)).toBe(true);
    receiver = receive();
    await receiver.settle();
    expect(fs.existsSync(mark)).toBe(false);
  });

  it('RAM of an older copy that is not offered: whoever has it open keeps it', () => {
    receiver.take(blob({ payload: Buffer.from('of an older seed') }));
    const old = fs.openSync(target.ramFile, 'r');
    const again = receive();
    expect(fs.readFileSync(target.ramFile).every((byte) => byte === 0)).toBe(true);
    expect(fs.readFileSync(old).subarray(0, 8).toString()).toBe('of an ol');
    fs.closeSync(old);
    again.close();
  });

  it('an older image of another size is made anew', () => {
    receiver.close();
    fs.writeFileSync(target.diskImages.d0, 'of another size');
    receiver = receive();
    expect(receiver.holdings.streams).toEqual([]);
    expect(fs.readFileSync(target.diskImages.d0).every((byte) => byte === 0)).toBe(true);
  });

  it('piece for an older image before its digests are known: refused', () => {
    receiver.close();
    fs.writeFileSync(target.diskImages.d0, Buffer.alloc(piece + 512, 'old'));
    receiver = receive();
    const early = blob({ stream: seedStreams.disk(0), payload: Buffer.from('x') });
    expect(() => receiver.take(early)).toThrow('lies outside its stream');
  });

  it('zeros become zeros, and take no room', () => {
    receiver.take(blob({ offset: 4096, payload: Buffer.alloc(8192, 'x') }));
    receiver.take(blob({ offset: 0, zeroBytes: piece }));
    expect(fs.readFileSync(target.ramFile).every((byte) => byte === 0)).toBe(true);
    expect(fs.statSync(target.ramFile).blocks).toBe(0);
  });

  it('a cut of another seed is refused', () => {
    expect(() => receiver.takeOffer({ ...offer, seedId: '1.2' })).toThrow(
      'seed 1.2 came while 1.1',
    );
  });

  it('piece outside of its stream: refused, nothing is written', () => {
    const payload = Buffer.alloc(10, 'x');
    const outside = /lies outside its stream/;
    expect(() => receiver.take(blob({ offset: offer.ramBytes - 9, payload }))).toThrow(outside);
    expect(() => receiver.take(blob({ stream: 9, payload }))).toThrow(outside);
    expect(() => receiver.take(blob({ stream: 0, payload }))).toThrow(outside);
    receiver.takeOffer(offer);
    expect(() => receiver.take(blob({ stream: 0, offset: 3, payload }))).toThrow(outside);
    expect(() => receiver.take(blob({ zeroBytes: offer.ramBytes + 1 }))).toThrow(outside);
    expect(fs.statSync(target.ramFile).size).toBe(offer.ramBytes);
    expect(receiver.receivedBytes).toBe(0);
  });

  it('piece behind the last one: refused, as the file is closed', () => {
    receiver.take(blob({ offset: offer.ramBytes, last: true }));
    expect(() => receiver.take(blob({ payload: Buffer.alloc(10, 'x') }))).toThrow(/stream 1/);
    expect(fs.readFileSync(target.ramFile).every((byte) => byte === 0)).toBe(true);
  });

  it('disk that this node has no image for: the pair file is to blame', () => {
    const nowhere = { ...target, diskImages: {}, remains: new SeedRemains() };
    expect(() => new SeedReceiver({ begin, ...nowhere })).toThrow("no image for disk 'd0'");
  });
});

describe('a bulk stream', () => {
  it('the other side goes away in the middle: the sender is told, not left waiting', async () => {
    const pair = memoryLinkPair();
    pair.b.onMessage(() => new Promise(() => undefined)); // takes nothing: credit runs out
    const stream = new BulkStream({ link: pair.a, term: term(1), stream: 1 });
    const sending = stream.bytes(0, Buffer.alloc(piece * 400, 'y'));
    setTimeout(() => pair.break(), 20);
    await expect(sending).rejects.toMatchObject({ code: 'link' });
  });
});
