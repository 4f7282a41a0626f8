// A backup's disk that is not its primary's any more, because another program changed the image or
// because the copy wrote something else: a compare must say so, and the copy must be seeded anew,
// before anybody goes on from that image.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WatchEvent } from '../../src/observe/control-client.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';

let pair: PairUnderTest;

beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
});

test("the backup's image is changed: a compare says where, and a seed mends it", async () => {
  const { a, b } = await pair.protect();
  expect(await pair.compare(a, b)).toEqual([]);
  const [ours, theirs] = ['a', 'b'].map((name) => path.join(pair.stage.dir, `data-${name}.raw`));
  const { size } = fs.statSync(theirs as string);
  const at = size - 70_000; // where the guest does not write
  const bytesAt = (image: string | undefined): string => {
    const bytes = Buffer.alloc(8);
    const fd = fs.openSync(image as string, 'r');
    fs.readSync(fd, bytes, 0, 8, at);
    fs.closeSync(fd);
    return bytes.toString('hex');
  };
  const fd = fs.openSync(theirs as string, 'r+');
  fs.writeSync(fd, 'CHANGED!', at);
  fs.closeSync(fd);

  const discarded = b.next((event): event is typeof event => event.type === 'replicaDiscarded');
  const [difference] = await pair.compare(a, b);
  expect(difference).toMatch(
    /^disk data: '.*data-b.raw' was changed at byte \d+ by another program/,
  );
  await discarded;
  await pair.protectedBy(a, b);
  expect(bytesAt(theirs)).toBe(bytesAt(ours));
  expect(await pair.compare(a, b)).toEqual([]);
  await waitFor('nothing to be wrong', async () => {
    const { concerns } = await a.status();
    return concerns.some(({ about }) => about === 'disk') ? undefined : true;
  });
});

test('a copy wrote something else than its primary: the pair finds out by itself, and mends it', async () => {
  pair.configure((file) => {
    file.compareEvery = '1s';
  });
  const { a, b } = await pair.protect();
  const { size } = fs.statSync(path.join(pair.stage.dir, 'data-b.raw'));
  const at = size - 70_000; // where the guest does not write
  // As its storage daemon sees it, the guest did it: nobody changed the image behind its back.
  const socket = fs
    .readdirSync(pair.stage.runDir('b'), { recursive: true, encoding: 'utf8' })
    .map((file) => path.join(pair.stage.runDir('b'), file))
    .find((file) => path.basename(file).includes('nbd') && fs.statSync(file).isSocket());
  const uri = `nbd+unix:///data?socket=${socket}`;
  await promisify(execFile)('qemu-io', ['-f', 'raw', '-c', `write -P 9 ${at} 4k`, uri]);

  const discarded = b.next((event): event is typeof event => event.type === 'replicaDiscarded');
  const compared = await b.next(
    (event): event is Extract<WatchEvent, { type: 'cutCompared' }> =>
      event.type === 'cutCompared' && !event.equal,
  );
  const block = at - (at % (64 * 1024));
  expect(compared.differences).toEqual([
    `disk data differs from the primary's, first at byte ${block}`,
  ]);
  await discarded;
  await pair.protectedBy(a, b);
  expect(await pair.compare(a, b)).toEqual([]);
});
