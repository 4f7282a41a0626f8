// A directory is of no use after a loss of power when a name above it was not flushed. That it was
// flushed cannot be seen from here; that each name which was made is gone through can.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  flushPath,
  flushPathSync,
  makeDirectory,
  makeDirectorySync,
} from '../../src/host/durable-files.ts';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();

describe.each([
  ['makeDirectory', makeDirectory],
  ['makeDirectorySync', async (directory: string) => makeDirectorySync(directory)],
])('%s', (name, make) => {
  it('makes what is missing above, too, for its owner only', async () => {
    const deep = path.join(dir, name, 'a', 'b');
    await make(deep);
    for (const at of [deep, path.dirname(deep), path.join(dir, name)]) {
      expect([at, fs.statSync(at).mode & 0o777]).toEqual([at, 0o700]);
    }
  });

  it('takes one that is there, and a relative path', async () => {
    await make(path.relative(process.cwd(), path.join(dir, `${name}-relative`)));
    await make(path.join(dir, `${name}-relative`));
    expect(fs.existsSync(path.join(dir, `${name}-relative`))).toBe(true);
  });

  it('throws where a file is in the way', async () => {
    fs.writeFileSync(path.join(dir, `${name}-file`), '');
    await expect(make(path.join(dir, `${name}-file`, 'below'))).rejects.toThrow('ENOTDIR');
  });
});

it('flushes a file as well as a directory, and says when there is none', async () => {
  const file = path.join(dir, 'file');
  fs.writeFileSync(file, 'content');
  for (const there of [file, dir]) {
    await flushPath(there);
    flushPathSync(there);
  }
  await expect(flushPath(`${file}-not`)).rejects.toThrow('ENOENT');
  expect(() => flushPathSync(`${file}-not`)).toThrow('ENOENT');
});
