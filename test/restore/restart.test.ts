// The disks of a machine that goes on from a snapshot take the place of the node's, or nothing
// changes.
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { icount } from '../../src/base/units.ts';
import { refuseMarked } from '../../src/hypervisor/disks/image-marker.ts';
import { preparedPaths } from '../../src/restore/prepared.ts';
import { replaceDisks } from '../../src/restore/restart.ts';
import { scratchDir } from '../node/scratch.ts';

const scratch = scratchDir();
let dir: string;
let images: Record<string, string>;
let made = 0;

beforeEach(() => {
  made += 1;
  dir = path.join(scratch, `machine${made}`);
  const place = path.join(scratch, `node${made}`);
  fs.mkdirSync(dir);
  fs.mkdirSync(place);
  images = {};
  for (const id of ['one', 'two']) {
    fs.writeFileSync(preparedPaths(dir).disk(id), `kept ${id}`);
    const image = path.join(place, `${id}.raw`);
    fs.writeFileSync(image, `old ${id}`);
    images[id] = image;
  }
});

const machine = () => ({
  dir,
  facts: {
    ...{ snapshot: 's1', vmFingerprint: 'f', qemuVersion: '7.2', memoryBytes: 1 },
    ...{ icount: icount(1), disks: ['one', 'two'] },
  },
});
const contents = (suffix = '') =>
  Object.values(images).map((image) => fs.readFileSync(image + suffix, 'utf8'));
const names = () => fs.readdirSync(path.dirname(images.one ?? '')).sort();

it('the old images stay beside the new ones, and nothing else does', async () => {
  await replaceDisks(machine(), images);
  expect(contents()).toEqual(['kept one', 'kept two']);
  expect(contents('.before-restart')).toEqual(['old one', 'old two']);
  expect(names()).toHaveLength(4);
  // The next restart finds what this one left.
  await replaceDisks(machine(), images);
  expect(contents('.before-restart')).toEqual(['kept one', 'kept two']);
});

it('a node without the image yet gets it', async () => {
  fs.rmSync(images.two ?? '');
  await replaceDisks(machine(), images);
  expect(contents()).toEqual(['kept one', 'kept two']);
});

it.each([
  ['an image that cannot be copied', () => fs.rmSync(preparedPaths(dir).disk('two'))],
  [
    'no place for an image',
    () => Object.assign(images, { two: path.join(scratch, 'nowhere', 'two.raw') }),
  ],
  ['a disk that the pair file does not know', () => Reflect.deleteProperty(images, 'two')],
])('%s: nothing was changed, nothing is left, and the machine may boot', async (_, spoil) => {
  const before = images.one ?? '';
  spoil();
  await expect(replaceDisks(machine(), images)).rejects.toThrow(/Cannot copy|no image for disk/);
  expect(fs.readFileSync(before, 'utf8')).toBe('old one');
  expect(names().filter((name) => name.endsWith('.restarting'))).toEqual([]);
  refuseMarked([before]);
});
