// Goal: layers are laid over each other as engines do it, with owners, modes and times; and no
// name, link or target in them reaches anything outside of the root.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFileSystem, treeSize } from '../../src/container/file-system.ts';
import { scratchDir } from '../node/scratch.ts';
import { dockerArchive, pax, tar, type Written } from './tar-writer.ts';
import { laidOut } from './unpacking.ts';

const dir = scratchDir();
let images = 0;

/** An image of these layers, laid out. */
function layers(...content: readonly (readonly Written[])[]): Promise<string> {
  images += 1;
  const file = path.join(dir, `image${images}`);
  fs.writeFileSync(file, dockerArchive({ layers: content.map((files) => tar(...files)) }));
  return laidOut(dir, file);
}

/** All below it, without following a link. */
function list(root: string, below = ''): string[] {
  const entries = fs.readdirSync(path.join(root, below), { withFileTypes: true });
  const names = entries.flatMap((entry) => {
    const name = path.join(below, entry.name);
    return entry.isDirectory() ? [name, ...list(root, name)] : [name];
  });
  return names.sort();
}

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('layers', () => {
  it('a whiteout takes a file, a directory and a link of the layers below away', async () => {
    const root = await layers(
      [
        { name: 'a', content: '1' },
        { name: 'd/' },
        { name: 'd/e/' },
        { name: 'd/e/f', content: '2' },
        { name: 'l', type: '2', link: '/a' },
        { name: 'stays', content: '3' },
      ],
      [{ name: '.wh.a' }, { name: 'd/.wh.e' }, { name: '.wh.l' }, { name: '.wh.never-there' }],
    );
    expect(list(root)).toEqual(['d', 'stays']);
  });

  it('what the same layer brings stays, before and behind its whiteouts', async () => {
    const root = await layers(
      [
        { name: 'd/' },
        { name: 'd/old', content: '1' },
        { name: 'd/sub/' },
        { name: 'd/sub/old', content: '1' },
        { name: 'f', content: 'old' },
      ],
      [
        { name: 'd/before', content: '2' },
        { name: 'd/sub/new', content: '2' },
        { name: 'd/.wh..wh..opq' },
        { name: 'd/behind', content: '2' },
        { name: 'f', content: 'new' },
        { name: '.wh.f' },
        { name: '.wh..wh.plnk/' },
      ],
    );
    expect(list(root)).toEqual(['d', 'd/before', 'd/behind', 'd/sub', 'd/sub/new', 'f']);
    expect(fs.readFileSync(path.join(root, 'f'), 'utf8')).toBe('new');
  });

  it('owners, modes, times, devices and other names of a file are kept', async () => {
    const root = await layers([
      { name: 'su', content: 'x', mode: 0o4755, uid: 0, gid: 7, mtime: 12_345 },
      { name: 'other', type: '1', link: 'su' },
      { name: 'd/', mode: 0o1777, uid: 1000, gid: 1001, mtime: 54_321 },
      { name: 'd/in', content: 'y', uid: 70_000 },
      { name: 'link', type: '2', link: 'd', uid: 5, mtime: 99 },
      { name: 'pipe', type: '6', mode: 0o620 },
    ]);
    const of = (name: string) => fs.lstatSync(path.join(root, name));
    expect(of('su')).toMatchObject({ mode: 0o104755, gid: 7, nlink: 2, mtimeMs: 12_345_000 });
    expect(of('other').ino).toBe(of('su').ino);
    expect(of('d')).toMatchObject({ mode: 0o41777, uid: 1000, gid: 1001, mtimeMs: 54_321_000 });
    expect(of('d/in').uid).toBe(70_000);
    expect(of('link')).toMatchObject({ uid: 5, mtimeMs: 99_000 });
    expect([of('pipe').isFIFO(), of('pipe').mode & 0o777]).toEqual([true, 0o620]);
  });

  it('long names, times in fractions and capabilities come in extended headers', async () => {
    const long = `${'n'.repeat(90)}/${'m'.repeat(90)}`;
    // cap_net_raw, permitted and effective, as the kernel keeps it.
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const root = await layers([
      pax({ path: long, mtime: '1700000000.25', 'SCHILY.xattr.security.capability': capability }),
      { name: 'short', content: 'x', mode: 0o755 },
      { name: 'next', content: 'y' },
    ]);
    const file = path.join(root, long);
    expect(fs.statSync(file).mtimeMs).toBe(1_700_000_000_250);
    // A file system that is made of it has it, too.
    const image = path.join(dir, 'capable.raw');
    const { signal } = new AbortController();
    await makeFileSystem({ image, from: root, size: treeSize(root), bytes: undefined, signal });
    const listed = execFileSync('debugfs', ['-R', `ea_list /${long}`, image], { stdio: 'pipe' });
    expect(listed.toString().replaceAll(' ', '')).toContain(
      `security.capability(20)=${capability.toString('hex')}`,
    );
    expect(fs.readFileSync(path.join(root, 'next'), 'utf8')).toBe('y');
  });

  it('a directory, a file and a link take each other’s place', async () => {
    const root = await layers(
      [{ name: 'x/' }, { name: 'x/in', content: '1' }, { name: 'y', content: '1' }],
      [{ name: 'x', content: 'a file' }, { name: 'y/' }, { name: 'y/in', content: '2' }],
    );
    expect(fs.readFileSync(path.join(root, 'x'), 'utf8')).toBe('a file');
    expect(list(root)).toEqual(['x', 'y', 'y/in']);
  });

  it('a name behind a link of the layers below goes where that leads', async () => {
    const root = await layers(
      [
        { name: 'usr/' },
        { name: 'usr/lib/' },
        { name: 'lib', type: '2', link: 'usr/lib' },
        { name: 'abs', type: '2', link: '/usr/lib' },
      ],
      [
        { name: 'lib/one', content: '1' },
        { name: 'abs/two', content: '2' },
        { name: '/three', content: '3' },
      ],
    );
    expect(list(root)).toEqual([
      'abs',
      'lib',
      'three',
      'usr',
      'usr/lib',
      'usr/lib/one',
      'usr/lib/two',
    ]);
  });

  it('links that lead out may be there: in the machine they lead nowhere', async () => {
    const root = await layers([{ name: 'out', type: '2', link: '../../../../etc' }]);
    expect(fs.readlinkSync(path.join(root, 'out'))).toBe('../../../../etc');
  });
});

describe.skipIf(!isRoot)('what leads out of the root is refused', () => {
  const outside = path.join(dir, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, 'secret'), 'mine');
  const up = `../../../../../../../../..`;

  it.each<[string, readonly (readonly Written[])[], string]>([
    ['a name', [[{ name: '../evil', content: 'x' }]], 'it has more `..` than directories'],
    ['a name in the middle', [[{ name: 'a/../../evil', content: 'x' }]], 'leads out of the root'],
    [
      'a link in the same layer',
      [
        [
          { name: 'l', type: '2', link: `${up}${outside}` },
          { name: 'l/secret', content: 'x' },
        ],
      ],
      'a symbolic link on the way',
    ],
    [
      'a link of a layer below',
      [[{ name: 'l', type: '2', link: '..' }], [{ name: 'l/evil', content: 'x' }]],
      'a symbolic link on the way',
    ],
    [
      'a directory behind a link',
      [[{ name: 'l', type: '2', link: `${up}${outside}` }, { name: 'l/new/' }]],
      'a symbolic link on the way',
    ],
    [
      'a hard link',
      [[{ name: 'h', type: '1', link: '../outside/secret' }]],
      'leads out of the root',
    ],
    [
      'a hard link behind a link',
      [
        [
          { name: 'l', type: '2', link: `${up}${outside}` },
          { name: 'h', type: '1', link: 'l/secret' },
        ],
      ],
      'a symbolic link on the way',
    ],
    ['a whiteout', [[{ name: 'd/' }, { name: 'd/.wh...' }]], "it would take '..' away"],
    ['a whiteout of a directory itself', [[{ name: 'd/' }, { name: 'd/.wh..' }]], "take '.' away"],
    [
      'a whiteout behind a link',
      [[{ name: 'l', type: '2', link: `${up}${outside}` }], [{ name: 'l/.wh.secret' }]],
      'a symbolic link on the way',
    ],
    [
      'all of a directory behind a link',
      [[{ name: 'l', type: '2', link: `${up}${outside}` }], [{ name: 'l/.wh..wh..opq' }]],
      'a symbolic link on the way',
    ],
    [
      'a name in an extended header',
      [[pax({ path: '../evil' }), { name: 'good', content: 'x' }]],
      'leads out of the root',
    ],
    [
      'a link in an extended header',
      [[pax({ linkpath: '../outside/secret' }), { name: 'h', type: '1', link: 'good' }]],
      'leads out of the root',
    ],
  ])('%s', async (_, content, says) => {
    const before = list(dir).filter((name) => !/^(image|root|scratch)/.test(name));
    await expect(layers(...content)).rejects.toThrow(says);
    expect(list(dir).filter((name) => !/^(image|root|scratch)/.test(name))).toEqual(before);
    expect(fs.readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('mine');
    expect(fs.statSync(path.join(outside, 'secret')).nlink).toBe(1);
  });

  it('an absolute link is followed in the root, and a hard link by it is of the root', async () => {
    const root = await layers([
      { name: 'l', type: '2', link: outside },
      { name: 'l/secret', content: 'theirs' },
    ]);
    expect(fs.readFileSync(path.join(root, outside, 'secret'), 'utf8')).toBe('theirs');
    expect(fs.readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('mine');
  });

  it.each<[string, readonly Written[], string]>([
    ['links in circles', [{ name: 'l', type: '2', link: 'l' }, { name: 'l/x' }], 'in circles'],
    [
      'a file on the way',
      [{ name: 'f', content: 'x' }, { name: 'f/x' }],
      "'f', which is no directory",
    ],
    ['another name of nothing', [{ name: 'h', type: '1', link: 'no' }], 'which is not there'],
    [
      'another name of a directory',
      [{ name: 'd/' }, { name: 'h', type: '1', link: 'd' }],
      'a directory',
    ],
    [
      'less than nothing',
      [pax({ size: '-512' }), { name: 'n', content: 'x' }],
      'Cannot read the archive',
    ],
    ['a sparse file', [{ name: 's', type: 'S' }], "Cannot read the archive '0/layer.tar'"],
  ])('%s', async (_, content, says) => {
    await expect(layers(content)).rejects.toThrow(says);
  });
});
