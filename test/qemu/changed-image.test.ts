// Eight bytes that another program changes in the image of a backup: a compare must say so, and the
// copy must be seeded anew, before anybody goes on from that image.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
