// Goal: every form of an image is read as what it is, whole and checked; what is none, is damaged,
// or is for another machine is refused in one message.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { openImage } from '../../src/container/open-image.ts';
import { findProgram } from '../../src/host/processes.ts';
import { scratchDir } from '../node/scratch.ts';
import { dockerArchive, type ImageParts, ociFiles, sha256, tar } from './tar-writer.ts';
import { laidOut } from './unpacking.ts';

const dir = scratchDir();
let files = 0;

function put(content: Buffer | string): string {
  files += 1;
  const file = path.join(dir, `file${files}`);
  fs.writeFileSync(file, content);
  return file;
}

function putLayout(parts: ImageParts, change: (files: Map<string, Buffer>) => void = () => {}) {
  files += 1;
  const layout = path.join(dir, `layout${files}`);
  const content = ociFiles(parts);
  change(content);
  for (const [name, bytes] of content) {
    fs.mkdirSync(path.dirname(path.join(layout, name)), { recursive: true });
    fs.writeFileSync(path.join(layout, name), bytes);
  }
  return layout;
}

const isRoot = process.getuid?.() === 0;
const parts: ImageParts = {
  config: { Cmd: ['/bin/serve'], Env: ['A=1'], ExposedPorts: { '80/tcp': {} } },
  layers: [
    tar({ name: 'bin/' }, { name: 'bin/serve', content: 'old', mode: 0o755 }),
    tar({ name: 'bin/serve', content: 'new', mode: 0o755 }),
  ],
};

const asTar = (layout: Map<string, Buffer>): Buffer =>
  tar(...[...layout].map(([name, content]) => ({ name, content })));

/** The image's own words for what is wrong with it. */
async function wrongWith(image: string): Promise<string> {
  const error = await openImage(image, path.join(dir, `scratch-of-${path.basename(image)}`)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UnderstudyError);
  expect((error as UnderstudyError).code).toBe('config');
  return (error as UnderstudyError).describe();
}

describe.skipIf(!isRoot)('an image is laid out', () => {
  it.each<[string, () => string]>([
    ['a docker-archive', () => put(dockerArchive(parts))],
    ['a docker-archive in gzip', () => put(gzipSync(dockerArchive(parts)))],
    ['an OCI layout', () => putLayout(parts)],
    ['an OCI layout in a tar', () => put(asTar(ociFiles(parts)))],
    ['layers in gzip', () => putLayout({ ...parts, compress: gzipSync })],
  ])('%s', async (_, made) => {
    const image = made();
    const root = await laidOut(dir, image);
    expect(fs.readFileSync(path.join(root, 'bin/serve'), 'utf8')).toBe('new');
    const { config, close } = await openImage(image, path.join(dir, `again-${files}`));
    close();
    expect(config).toMatchObject({ cmd: ['/bin/serve'], env: ['A=1'], exposedPorts: ['80/tcp'] });
  });

  it.each(['gzip', 'xz', 'zstd'].filter(findProgram))(
    'a root file system, by tar and %s',
    async (program) => {
      const from = path.join(dir, `from-${program}`);
      fs.mkdirSync(path.join(from, 'etc'), { recursive: true });
      fs.writeFileSync(path.join(from, 'etc/name'), program);
      fs.writeFileSync(path.join(from, 'etc/.wh.other'), 'a name like any other here');
      fs.symlinkSync('/etc/name', path.join(from, 'link'));
      execFileSync('tar', [
        '-C',
        from,
        `--use-compress-program=${program}`,
        '-cf',
        `${from}.tar`,
        '.',
      ]);
      const root = await laidOut(dir, `${from}.tar`);
      expect(fs.readFileSync(path.join(root, 'etc/name'), 'utf8')).toBe(program);
      expect(fs.readlinkSync(path.join(root, 'link'))).toBe('/etc/name');
      expect(fs.existsSync(path.join(root, 'etc/.wh.other'))).toBe(true);
    },
  );

  it('a layer with another content than its config says', async () => {
    const other: ImageParts = { ...parts, layers: [tar({ name: 'bin/' }), tar({ name: 'x/' })] };
    const archive = dockerArchive(parts);
    const [, layer] = other.layers;
    const at = archive.indexOf(parts.layers[1] as Buffer);
    (layer as Buffer).copy(archive, at);
    await expect(laidOut(dir, put(archive))).rejects.toThrow(
      /1\/layer.tar' is damaged: its digest/,
    );
  });

  it('a blob of a layer with another digest', async () => {
    const digest = sha256(parts.layers[0] as Buffer);
    const image = putLayout(parts, (layout) => {
      layout.set(`blobs/${digest.replace(':', '/')}`, tar({ name: 'bin/' }, { name: 'evil' }));
    });
    await expect(laidOut(dir, image)).rejects.toThrow(`its digest must be ${digest}`);
  });

  it('a layer that is not there', async () => {
    const digest = sha256(parts.layers[0] as Buffer);
    const image = putLayout(parts, (layout) => layout.delete(`blobs/${digest.replace(':', '/')}`));
    await expect(laidOut(dir, image)).rejects.toThrow(
      "The image is not whole: there is no 'blobs/",
    );
  });

  it('a layer that ends in the middle', async () => {
    const layer = tar({ name: 'bin/' }, { name: 'bin/long', content: 'x'.repeat(5000) });
    const image = putLayout({ layers: [layer.subarray(0, 3000)] });
    const error = await laidOut(dir, image).catch((thrown: unknown) => thrown);
    expect((error as UnderstudyError).describe()).toContain('because: it ends in the middle');
  });
});

it('a directory is a root file system when it looks like one', async () => {
  const root = path.join(dir, 'plain');
  fs.mkdirSync(path.join(root, 'etc'), { recursive: true });
  const { kind, content } = await openImage(root, path.join(dir, 'unused'));
  expect([kind, content]).toEqual(['root file system', { directory: fs.realpathSync(root) }]);
});

describe('what is no image for this machine is refused', () => {
  it.each<[string, () => string, string]>([
    ['nothing', () => path.join(dir, 'nowhere'), 'Cannot read the image'],
    ['an empty file', () => put(''), 'is no container image: it is empty'],
    ['a text', () => put('hello\n'.repeat(200)), 'is no container image: it is no tar archive'],
    ['a compressed text', () => put(gzipSync('hello')), 'there is no tar archive in it'],
    [
      'gzip that is damaged',
      () => put(gzipSync('x'.repeat(999)).subarray(0, 20)),
      'Cannot decompress',
    ],
    [
      'a tar of photos',
      () => put(tar({ name: 'a.jpg' }, { name: 'b.jpg' })),
      'in it, but a.jpg, b.jpg',
    ],
    [
      'an empty directory',
      () => fs.mkdtempSync(path.join(dir, 'empty-')),
      'and no root file system (bin, sbin, usr, etc, lib, lib64) in it, but nothing',
    ],
    [
      'another architecture, docker-archive',
      () => put(dockerArchive({ ...parts, platform: { architecture: 'arm64' } })),
      'it must be linux/amd64, and is linux/arm64',
    ],
    [
      'another architecture, OCI',
      () => putLayout({ ...parts, platform: { architecture: 's390x' } }),
      'it must be linux/amd64, and is linux/s390x',
    ],
    [
      'a manifest with another digest',
      () =>
        putLayout(parts, (layout) => {
          const index = layout.get('index.json')?.toString() ?? '';
          const digest = /sha256:[0-9a-f]{64}/.exec(index)?.[0] ?? '';
          layout.set(`blobs/${digest.replace(':', '/')}`, Buffer.from('{}'));
        }),
      'is damaged: its digest must be sha256:',
    ],
    [
      'a digest that is none',
      () =>
        putLayout(parts, (layout) => {
          const index = layout.get('index.json')?.toString() ?? '';
          const changed = index.replace(/sha256:[0-9a-f]{64}/, 'sha256:../../../etc/passwd');
          layout.set('index.json', Buffer.from(changed));
        }),
      "'index.json' of the image is wrong:\n  manifests.0.digest",
    ],
    [
      'JSON that is none',
      () => put(tar({ name: 'manifest.json', content: '[' })),
      "'manifest.json' of the image is no JSON",
    ],
    [
      'several images',
      () => {
        const image = (tag: string) => ({ Config: 'c', RepoTags: [tag], Layers: [] });
        const manifest = JSON.stringify([image('a:1'), image('b:2')]);
        return put(tar({ name: 'manifest.json', content: manifest }));
      },
      'There are several images (a:1, b:2) in it',
    ],
    ['no layers', () => put(dockerArchive({ layers: [] })), 'must have 1 to 256 layers: it has 0'],
    [
      'a config that is outside',
      () => {
        const manifest = [{ Config: '../../../../etc/hostname', Layers: ['l'] }];
        return put(tar({ name: 'manifest.json', content: JSON.stringify(manifest) }));
      },
      'The image is not whole: there is no',
    ],
  ])('%s', async (_, made, says) => {
    expect(await wrongWith(made())).toContain(says);
  });

  it('a layout whose links lead out of it: nothing outside is read', async () => {
    const layout = path.join(dir, 'linked');
    fs.mkdirSync(layout);
    fs.writeFileSync(path.join(layout, 'oci-layout'), '{}');
    fs.symlinkSync(put('{"manifests":[]}'), path.join(layout, 'index.json'));
    expect(await wrongWith(layout)).toContain('is no container image');
  });
});
