/** Sets on a disk: whole or not there. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { epoch, icount, logPosition, term } from '../../src/base/units.ts';
import { type GroupSet, Sets } from '../../src/group/sets.ts';
import { verifySet } from '../../src/group/verify.ts';
import { openStore } from '../../src/store/store.ts';
import { facts, piece, scratchDirectory } from '../store/rig.ts';

const set = (name: string, store = '/kept', snapshot = 's'): GroupSet => ({
  ...{ group: 'bank', set: name, takenAtMs: 1e12 },
  members: {
    web: {
      ...{ pair: 'web', store, snapshot, term: term(3), epoch: epoch(40) },
      ...{ position: logPosition(5000), icount: icount(9), heldMs: 4.5 },
    },
  },
});

it('a set is read as it was written, listed in order, and removed', async () => {
  const sets = new Sets(path.join(scratchDirectory(), 'new', 'sets'));
  expect(sets.list()).toEqual({ sets: [], damaged: [] });
  await sets.write(set('2-b'));
  await sets.write(set('1-a'));
  expect(sets.list().sets.map(({ set: name }) => name)).toEqual(['1-a', '2-b']);
  expect(sets.read('2-b')).toEqual(set('2-b'));
  await sets.remove('2-b');
  expect(() => sets.read('2-b')).toThrow("There is no set '2-b'");
  await expect(sets.remove('2-b')).rejects.toThrow("There is no set '2-b'");
});

it('a set that cannot be written is said so, and nothing of it is there', async () => {
  const directory = scratchDirectory();
  const inTheWay = path.join(directory, 'sets');
  fs.writeFileSync(inTheWay, 'a file');
  await expect(new Sets(inTheWay).write(set('1-a'))).rejects.toMatchObject({
    code: 'resources',
    message: expect.stringContaining("Cannot write set '1-a'"),
  });
  expect(fs.readdirSync(directory)).toEqual(['sets']);
  // Its name is taken by something else: what was written beside it does not stay.
  const sets = new Sets(path.join(directory, 'others'));
  fs.mkdirSync(path.join(sets.directory, '2-b.json'), { recursive: true });
  await expect(sets.write(set('2-b'))).rejects.toMatchObject({ code: 'resources' });
  expect(fs.readdirSync(sets.directory)).toEqual(['2-b.json']);
});

it('a damaged set is named, and not given out', async () => {
  const sets = new Sets(scratchDirectory());
  await sets.write(set('1-a'));
  fs.writeFileSync(path.join(sets.directory, '2-b.json'), '{"understudy":"group-set"');
  expect(() => sets.read(`../${path.basename(sets.directory)}/1-a`)).toThrow(/There is no set/);
  expect(() => sets.read('2-b')).toThrow("Set '2-b'");
  expect(sets.list()).toMatchObject({ damaged: ['2-b'] });
  // One that was renamed is not what it says.
  fs.renameSync(path.join(sets.directory, '1-a.json'), path.join(sets.directory, '3-c.json'));
  expect(() => sets.read('3-c')).toThrow(/is damaged/);
});

it('a set is well when each snapshot is there, with its log up to the line', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const writer = await store.begin(facts());
  await writer.deviceState(Buffer.from('state'));
  const { id } = await writer.commit();
  const well = set('1-a', directory, id);
  expect(await verifySet(well, { deep: false })).toEqual([
    'web: its log ends at 1000, the line is at 5000',
  ]);
  await store.log.append(piece(1000, 3000));
  await store.log.append(piece(3000, 5000));
  expect(await verifySet(well, { deep: true })).toEqual([]);
  const [problem] = await verifySet(set('1-a', directory, 'gone'), { deep: false });
  expect(problem).toMatch(/^web: There is no snapshot 'gone'/);
  await store.close();
});
