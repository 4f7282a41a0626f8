/** Tar archives as a test wants them, also such as no tool makes. */
import { createHash } from 'node:crypto';

export interface Written {
  readonly name: string;
  /** As in the header. @default '0' with content, else '5' for names with a slash at their end */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
}

const octal = (value: number, length: number): string =>
  `${value.toString(8).padStart(length - 1, '0')}\0`;

function header(file: Written, bytes: number): Buffer {
  const { name, type = name.endsWith('/') ? '5' : '0', link = '' } = file;
  const { mode = type === '5' ? 0o755 : 0o644, uid = 0, gid = 0, mtime = 1_000_000 } = file;
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(uid, 8), 108);
  block.write(octal(gid, 8), 116);
  block.write(octal(bytes, 12), 124);
  block.write(octal(mtime, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(link, 157, 100);
  block.write('ustar\x0000', 257);
  block.write(octal(file.device?.[0] ?? 0, 8), 329);
  block.write(octal(file.device?.[1] ?? 0, 8), 337);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 7)} `, 148);
  return block;
}

/** An archive, whole. */
export function tar(...files: readonly Written[]): Buffer {
  const members = files.map((file) => {
    const content = Buffer.from(file.content ?? '');
    return Buffer.concat([
      header(file, content.length),
      content,
      Buffer.alloc(-content.length & 511),
    ]);
  });
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

/** Extended headers for the entry behind. */
export function pax(records: Readonly<Record<string, string | Buffer>>): Written {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length += 1;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return { name: 'pax', type: 'x', content: Buffer.concat(lines) };
}

export const sha256 = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface Platform {
  readonly architecture: string;
  readonly os?: string;
}

/** What is in an image: how it is run, and its layers. */
export interface ImageParts {
  readonly config?: object;
  readonly platform?: Platform;
  readonly layers: readonly Buffer[];
  /** How the layers of an OCI layout are stored. @default as they are */
  readonly compress?: (layer: Buffer) => Buffer;
}

const configOf = ({ config = {}, platform, layers }: ImageParts): string =>
  JSON.stringify({
    ...{ architecture: 'amd64', os: 'linux', ...platform, config },
    rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
  });

/** What `docker save` wrote for years. */
export function dockerArchive(parts: ImageParts): Buffer {
  const layers = parts.layers.map((_, index) => `${index}/layer.tar`);
  const manifest = [{ Config: 'config.json', RepoTags: ['made:1'], Layers: layers }];
  return tar(
    { name: 'config.json', content: configOf(parts) },
    ...parts.layers.map((content, index) => ({ name: layers[index] as string, content })),
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  );
}

/** Files of an OCI layout by their names. */
export function ociFiles(parts: ImageParts): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const blob = (content: Buffer | string, mediaType: string) => {
    const bytes = Buffer.from(content);
    const digest = sha256(bytes);
    files.set(`blobs/${digest.replace(':', '/')}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = blob(configOf(parts), 'application/vnd.oci.image.config.v1+json');
  const layers = parts.layers.map((layer) => blob(layer, 'application/vnd.oci.image.layer.v1.tar'));
  const manifest = blob(
    JSON.stringify({ schemaVersion: 2, config, layers }),
    'application/vnd.oci.image.manifest.v1+json',
  );
  const platform = { architecture: 'amd64', os: 'linux', ...parts.platform };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, platform }] };
  files.set('index.json', Buffer.from(JSON.stringify(index)));
  files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  return files;
}
