// Where a node's durable log is, and of which term: read at each hello, so only the beginning of a
// file that may be long.
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { icount, logPosition } from '../../../src/base/units.ts';
import {
  durableLogPath,
  loggedTerm,
  prepareDurableDir,
} from '../../../src/node/pair-file/durable-log-place.ts';
import type { NodeConfig } from '../../../src/node/pair-file/pair-config.ts';
import { DurableLog } from '../../../src/restore/durable-log.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
const place = { pair: 'web', self: { name: 'b', durableLogDir: dir } as NodeConfig };
const file = durableLogPath(place);

async function begin(term: number): Promise<void> {
  const base = { pair: 'web', vmFingerprint: 'f1', layout: '7.2', term, seedId: '3.1' } as const;
  const cut = { position: logPosition(100), icount: icount(7), blockRequestId: 5 };
  const events = { onDurable: () => undefined, onFailure: () => undefined };
  const log = new DurableLog({ path: file, budgetBytes: 1e6 }, { ...base, ...cut }, events);
  const payload = Buffer.alloc(1000);
  log.push({ from: logPosition(100), to: logPosition(200), icount: icount(9), payload });
  await log.close();
}

describe('the term of the log that is there', () => {
  beforeEach(() => fs.rmSync(file, { force: true }));

  it('is that of the seed that it was begun at', async () => {
    expect(loggedTerm(place)).toBe(0);
    await begin(3);
    expect(loggedTerm(place)).toBe(3);
    await begin(7);
    expect(loggedTerm(place)).toBe(7);
  });

  it('is told although the node died while it wrote', async () => {
    await begin(3);
    const bytes = fs.statSync(file).size - 5;
    fs.truncateSync(file, bytes);
    expect(loggedTerm(place)).toBe(3);
    expect(fs.statSync(file).size).toBe(bytes); // who reads all of it cuts it off
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a letter', Buffer.from('a letter, long enough to be taken for a header')],
  ])('is none where %s is in its place', (_, bytes) => {
    fs.writeFileSync(file, bytes);
    expect(loggedTerm(place)).toBe(0);
  });
});

describe('the directory', () => {
  it('a directory in memory, or one that cannot be had, is refused', async () => {
    await prepareDurableDir(path.join(dir, 'new/deep'));
    expect(fs.statSync(path.join(dir, 'new')).mode & 0o777).toBe(0o700);
    await expect(prepareDurableDir('/dev/shm')).rejects.toThrow('would lie in memory');
    fs.writeFileSync(path.join(dir, 'taken'), '');
    const refused = prepareDurableDir(path.join(dir, 'taken/log'));
    await expect(refused).rejects.toMatchObject({ code: 'rights' });
  });
});
