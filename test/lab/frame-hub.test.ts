// Nodes come and go behind the hub; passt must see one client, and lose nothing in between.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StreamEgress } from '../../src/egress/stream.ts';
import { FrameHub } from '../../src/lab/frame-hub.ts';
import { StreamPeer, testFrame, textOf, until } from '../egress/outside.ts';

let folder: string;
let passt: StreamPeer;
let hub: FrameHub;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'understudy-'));
  passt = new StreamPeer();
  await passt.listen(join(folder, 'passt'));
  hub = await FrameHub.open(join(folder, 'passt'), join(folder, 'hub'));
});
afterEach(async () => {
  await hub.close();
  await passt.close();
  rmSync(folder, { recursive: true });
});

async function node() {
  const egress = new StreamEgress({ path: join(folder, 'hub') });
  const got: string[] = [];
  egress.onFrame((frame) => got.push(textOf(frame)));
  await egress.open();
  return { egress, got };
}

test('carries frames both ways', async () => {
  const { egress, got } = await node();
  egress.send([testFrame('out')]);
  await until('it left', () => passt.seen.length > 0);
  expect(passt.seen.map(textOf)).toEqual(['out']);
  passt.put(testFrame('in'));
  await until('it came', () => got.length > 0);
  expect(got).toEqual(['in']);
  await egress.close();
});

test('what comes between two speakers goes to the next one', async () => {
  const first = await node();
  first.egress.send([testFrame('hello')]);
  await until('it left', () => passt.seen.length > 0);
  await first.egress.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  passt.put(testFrame('between'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const second = await node();
  await until('it came', () => second.got.length > 0);
  expect(second.got).toEqual(['between']);
  expect(first.got).toEqual([]);
  expect(passt.clients).toBe(1);
  await second.egress.close();
});

test('the newest speaker gets the frames though the old one is still connected', async () => {
  const first = await node();
  const second = await node();
  passt.put(testFrame('in'));
  await until('it came', () => second.got.length > 0);
  expect(first.got).toEqual([]);
  await first.egress.close();
  await second.egress.close();
});
