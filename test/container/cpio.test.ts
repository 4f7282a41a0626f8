// Goal: what is added to an initial RAM disk is there for whoever unpacks it, in the place of what
// was there.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { encodeCpio } from '../../src/container/cpio.ts';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();

it('is unpacked by cpio, byte for byte', () => {
  const files = [
    { name: 'spec', mode: 0o600, content: Buffer.from([0, 1, 2, 0xff]) },
    { name: 'odd-name', mode: 0o644, content: Buffer.from('12345') },
    { name: 'empty', mode: 0o755, content: Buffer.alloc(0) },
  ];
  const archive = encodeCpio(files);
  expect(archive.length % 4).toBe(0);
  execFileSync('cpio', ['-idm', '--quiet'], { input: archive, cwd: dir });
  for (const { name, mode, content } of files) {
    const file = path.join(dir, name);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    expect(fs.statSync(file).mode & 0o777).toBe(mode);
  }
  expect(encodeCpio(files).equals(archive)).toBe(true);
});
