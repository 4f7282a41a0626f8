// A container of another format must be known by its content whatever it is called, for a guest
// that got it as its raw disk would destroy it. The images are those of qemu-img.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { broughtImageProblem, contentProblem } from '../../../src/hypervisor/disks/image-format.ts';
import { scratchDir } from '../../node/scratch.ts';

const isMissing = spawnSync('qemu-img', ['--version']).error !== undefined;

describe('an image', () => {
  const dir = scratchDir();
  const file = (name: string, content: Uint8Array): string => {
    fs.writeFileSync(path.join(dir, name), content);
    return path.join(dir, name);
  };

  it.skipIf(isMissing).each([
    ['qcow2', 'qcow2', []],
    ['qcow', 'qcow', []],
    ['vmdk', 'vmdk', []],
    ['vmdk', 'vmdk', ['-o', 'subformat=monolithicFlat']],
    ['vhdx', 'vhdx', []],
    ['vdi', 'vdi', []],
    ['vhd', 'vpc', []],
    ['vhd', 'vpc', ['-o', 'subformat=fixed']],
    ['qed', 'qed', []],
    ['parallels', 'parallels', []],
  ])('of format %s is known by its content (%s %j), and can be converted', (name, format, more) => {
    const image = path.join(dir, 'disk.raw');
    execFileSync('qemu-img', ['create', '-q', '-f', format, ...more, image, '4M']);
    fs.chmodSync(image, 0o600);
    const problem = contentProblem(image);
    expect(problem).toContain(`${image} is a ${name} image`);
    // What it says to type makes the raw image of it, and leaves the container.
    const command = /Convert it: qemu-img (.*)$/.exec(problem ?? '')?.[1] ?? '';
    const before = fs.readFileSync(image);
    execFileSync('qemu-img', command.split(' '), { cwd: dir });
    const made = path.join(dir, 'disk.converted.raw');
    expect(contentProblem(made)).toBeUndefined();
    expect(fs.statSync(made).size).toBeGreaterThanOrEqual(4 * 1024 * 1024);
    expect(fs.readFileSync(image).equals(before)).toBe(true);
    for (const name of fs.readdirSync(dir)) fs.rmSync(path.join(dir, name));
  });

  it('that is raw, or not there yet, or empty, can be a disk', () => {
    expect(contentProblem(file('raw', Buffer.alloc(1024, 'x')))).toBeUndefined();
    expect(contentProblem(file('named.vmdk', Buffer.alloc(1024)))).toBeUndefined();
    expect(contentProblem(file('empty', Buffer.alloc(0)))).toBeUndefined();
    expect(contentProblem(path.join(dir, 'nowhere'))).toBeUndefined();
  });

  it('that is no file, or has a size that no disk has, cannot', () => {
    expect(contentProblem(dir)).toContain('must be a regular file');
    expect(contentProblem('/dev/null')).toContain('must be a regular file');
    expect(contentProblem(file('odd', Buffer.alloc(1000)))).toContain('has 1000 bytes');
  });

  it('that somebody brings is judged by its name, too, and may not be empty', () => {
    expect(broughtImageProblem(file('b.vmdk', Buffer.alloc(512)))).toContain(
      'is named like a vmdk',
    );
    expect(broughtImageProblem(file('c.raw', Buffer.alloc(0)))).toContain('and not 0');
    expect(broughtImageProblem(file('d.raw', Buffer.alloc(512)))).toBeUndefined();
  });
});
