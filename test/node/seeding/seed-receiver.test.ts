// A machine's state must arrive whole and equal, and nothing may be written where it does not belong.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';
import { BlobCollector, SeedReceiver } from '../../src/node/seed-receiver.ts';
import { seedStreams, sendBytes, sendFile } from '../../src/node/seed-sender.ts';
import type { BlobFrame, SeedOffer } from '../../src/ports/link.ts';
import { type MemoryPair, memoryLinkPair } from '../../src/wire/memory-pair.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const piece = limits.bulkPieceBytes;
const deviceState = Buffer.from('device state');
const ram = path.join(dir, 'ram');
const disk = path.join(dir, 'disk');
const target = { ramFile: path.join(dir, 'ram2'), diskImages: { d0: path.join(dir, 'disk2') } };

const offer: SeedOffer = {
  type: 'seedOffer',
  seedId: '1.1',
  ramBytes: piece * 20,
  deviceStateBytes: deviceState.length,
  disks: [{ id: 'd0', bytes: piece + 512 }],
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

describe('a seed', () => {
  let pair: MemoryPair;
  let receiver: SeedReceiver;

  beforeEach(() => {
    const bytes = Buffer.alloc(offer.ramBytes);
    bytes.fill('a', 0, 100);
    bytes.fill('b', piece * 7 + 5, piece * 8 + 5);
    fs.writeFileSync(ram, bytes);
    fs.writeFileSync(disk, Buffer.alloc(piece + 512, 'disk'));
    pair = memoryLinkPair();
    receiver = new SeedReceiver({ offer, ...target });
    pair.b.onMessage((message) => {
      if (message.kind === 'blob') receiver.take(message);
    });
  });
  afterEach(() => {
    receiver.close();
    pair.a.close('done');
  });

  const to = (stream: number) => ({ link: pair.a, term: term(1), stream });

  it('arrives equal, and its zeros are not sent', async () => {
    await sendBytes(to(seedStreams.deviceState), deviceState);
    const ramSent = await sendFile(to(seedStreams.ram), ram);
    const diskSent = await sendFile(to(seedStreams.disk(0)), disk);
    expect(await receiver.complete).toEqual(deviceState);
    expect(fs.readFileSync(target.ramFile).equals(fs.readFileSync(ram))).toBe(true);
    expect(fs.readFileSync(target.diskImages.d0).equals(fs.readFileSync(disk))).toBe(true);
    expect([ramSent, diskSent]).toEqual([piece * 3, piece + 512]);
    expect(receiver.receivedBytes).toBe(deviceState.length + ramSent + diskSent);
    // Nor do they take room on the receiver's side.
    expect(fs.statSync(target.ramFile).blocks * 512).toBeLessThanOrEqual(piece * 3);
    expect(fs.statSync(target.ramFile).mode & 0o777).toBe(0o600);
  });

  it('is not complete while a stream is missing', async () => {
    let complete = false;
    void receiver.complete.then(() => {
      complete = true;
    });
    await sendBytes(to(seedStreams.deviceState), deviceState);
    await sendFile(to(seedStreams.ram), ram);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(complete).toBe(false);
  });

  it('older seed left files: nothing of them is seen, and whoever has them open keeps them', () => {
    fs.writeFileSync(target.ramFile, 'of an older seed');
    const old = fs.openSync(target.ramFile, 'r');
    const again = new SeedReceiver({ offer, ...target });
    expect(fs.readFileSync(target.ramFile).every((byte) => byte === 0)).toBe(true);
    expect(fs.readFileSync(old, 'utf8')).toBe('of an older seed');
    fs.closeSync(old);
    again.close();
  });

  it('piece outside of its stream: refused, nothing is written', () => {
    const payload = Buffer.alloc(10, 'x');
    const outside = /lies outside its stream/;
    expect(() => receiver.take(blob({ offset: offer.ramBytes - 9, payload }))).toThrow(outside);
    expect(() => receiver.take(blob({ stream: 9, payload }))).toThrow(outside);
    expect(() => receiver.take(blob({ stream: 0, offset: 3, payload }))).toThrow(outside);
    expect(fs.statSync(target.ramFile).size).toBe(offer.ramBytes);
    expect(receiver.receivedBytes).toBe(0);
  });

  it('piece behind the last one: refused, as the file is closed', () => {
    receiver.take(blob({ offset: offer.ramBytes, last: true }));
    expect(() => receiver.take(blob({ payload: Buffer.alloc(10, 'x') }))).toThrow(/stream 1/);
    expect(fs.readFileSync(target.ramFile).every((byte) => byte === 0)).toBe(true);
  });

  it('disk that this node has no image for: the pair file is to blame', () => {
    expect(() => new SeedReceiver({ offer, ramFile: target.ramFile, diskImages: {} })).toThrow(
      "no image for disk 'd0'",
    );
  });

  it('backup goes away in the middle: the sender is told, not left waiting', async () => {
    const other = memoryLinkPair();
    other.b.onMessage(() => new Promise(() => undefined)); // takes nothing: credit runs out
    fs.writeFileSync(ram, Buffer.alloc(piece * 400, 'y'));
    const sending = sendFile({ ...to(seedStreams.ram), link: other.a }, ram);
    setTimeout(() => other.break(), 20);
    await expect(sending).rejects.toMatchObject({ code: 'link' });
  });
});

describe('a collector of one stream', () => {
  it('gives the bytes when the last piece is there, and refuses any other stream', async () => {
    const collector = new BlobCollector(0, 4);
    collector.take(blob({ stream: 0, offset: 2, payload: Buffer.from('cd') }));
    expect(() => collector.take(blob({ stream: 1 }))).toThrow('stream 1 was not expected');
    expect(() => collector.take(blob({ stream: 0, offset: 3, payload: Buffer.alloc(2) }))).toThrow(
      'was not expected',
    );
    collector.take(blob({ stream: 0, payload: Buffer.from('ab') }));
    collector.take(blob({ stream: 0, offset: 4, last: true }));
    expect((await collector.complete).toString()).toBe('abcd');
  });
});
