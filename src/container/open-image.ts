/**
 * What a person gives as an image, whatever it is:
 *
 *     a directory      an OCI layout, an unpacked docker-archive, or a root file system
 *     a tar archive    the same three; it may be compressed
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import { FileSource, upTo } from './byte-source.ts';
import { checkDigest, checked } from './checked-stream.ts';
import { compressionOf, decompressed } from './decompressed.ts';
import { filesOfDirectory, filesOfTar, type ImageFiles, readSmall } from './image-files.ts';
import {
  type ImageConfig,
  noConfig,
  parseConfig,
  parseDockerManifest,
  parseIndex,
  parseManifest,
} from './image-json.ts';
import { containerLimits } from './limits.ts';
import { blockBytes, isHeader } from './tar-header.ts';

export interface ContainerImage {
  readonly kind: 'docker-archive' | 'oci-layout' | 'root file system';
  readonly config: ImageConfig;
  readonly content:
    | { readonly directory: string }
    /** In the order in which they are laid over each other. */
    | { readonly layers: readonly Layer[] };
  close(): void;
}

export interface Layer {
  /** For messages. */
  readonly name: string;
  /** Of an image: some files say what is taken away of the layers below. */
  readonly hasWhiteouts: boolean;
  /** The tar archive, not compressed; its last piece comes when its digests are right. */
  stream(): AsyncGenerator<Buffer>;
}

/**
 * `scratch` is a file that may be made, and is left: a compressed archive is there uncompressed.
 *
 * @throws UnderstudyError `config` when it is no image, or not for this machine.
 */
export async function openImage(image: string, scratch: string): Promise<ContainerImage> {
  const stat = statOf(image);
  if (stat.isDirectory()) {
    const files = filesOfDirectory(image);
    return (await described(files)) ?? rootDirectory(image, files);
  }
  const archive = await uncompressedArchive(image, scratch);
  const files = await filesOfTar(archive);
  try {
    return (await described(files)) ?? rootArchive(image, archive, files);
  } catch (thrown) {
    files.close();
    throw thrown;
  }
}

function statOf(image: string): fs.Stats {
  let stat: fs.Stats;
  try {
    stat = fs.statSync(image);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read the image '${image}'`, {
      cause: asError(thrown),
      hint: 'give a file or a directory: `docker save NAME -o FILE` makes one of an image by name',
    });
  }
  if (stat.isDirectory() || stat.isFile()) return stat;
  throw noImage(image, 'it is neither a file nor a directory');
}

const noImage = (image: string, why: string): UnderstudyError =>
  new UnderstudyError('config', `'${image}' is no container image: ${why}`, {
    hint: 'give a docker-archive (docker save), an OCI layout, or a root file system: tar or directory',
  });

async function uncompressedArchive(image: string, scratch: string): Promise<string> {
  const fd = fs.openSync(image, 'r');
  try {
    const head = await upTo(new FileSource(fd, 0, blockBytes), blockBytes);
    if (compressionOf(head) === undefined) {
      if (isHeader(head)) return image;
      throw noImage(image, head.length === 0 ? 'it is empty' : 'it is no tar archive');
    }
  } finally {
    fs.closeSync(fd);
  }
  const to = await fs.promises.open(scratch, 'wx', 0o600);
  try {
    for await (const piece of decompressed(fs.createReadStream(image), image)) {
      await to.appendFile(piece);
    }
  } finally {
    await to.close();
  }
  const scratchFd = fs.openSync(scratch, 'r');
  const head = Buffer.alloc(blockBytes);
  const read = fs.readSync(scratchFd, head, 0, blockBytes, 0);
  fs.closeSync(scratchFd);
  if (isHeader(head.subarray(0, read))) return scratch;
  throw noImage(image, 'there is no tar archive in it');
}

/** What says of itself how it is run. Docker's own archives are OCI layouts, too, by now. */
async function described(files: ImageFiles): Promise<ContainerImage | undefined> {
  if (files.has('oci-layout') && files.has('index.json')) return ociLayout(files);
  if (files.has('manifest.json')) return dockerArchive(files);
  return undefined;
}

const blobOf = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

async function ociLayout(files: ImageFiles): Promise<ContainerImage> {
  const blob = async (digest: string): Promise<Buffer> => {
    const bytes = await readSmall(files, blobOf(digest));
    checkDigest(bytes, digest, blobOf(digest));
    return bytes;
  };
  let found = parseIndex(await readSmall(files, 'index.json'), 'index.json');
  for (let depth = 0; found.isIndex; depth += 1) {
    if (depth === containerLimits.indexDepthMax) {
      throw new UnderstudyError('config', 'The image is wrong: its indexes lead to each other');
    }
    found = parseIndex(await blob(found.digest), blobOf(found.digest));
  }
  const manifest = parseManifest(await blob(found.digest), blobOf(found.digest));
  const config = parseConfig(await blob(manifest.config), blobOf(manifest.config));
  const layers = manifest.layers.map((digest) => ({ file: blobOf(digest), digest }));
  return layered('oci-layout', files, { config, layers });
}

async function dockerArchive(files: ImageFiles): Promise<ContainerImage> {
  const manifest = parseDockerManifest(await readSmall(files, 'manifest.json'));
  const config = parseConfig(await readSmall(files, manifest.config), manifest.config);
  const layers = manifest.layers.map((file) => ({ file, digest: undefined }));
  return layered('docker-archive', files, { config, layers });
}

function layered(
  kind: ContainerImage['kind'],
  files: ImageFiles,
  image: {
    readonly config: ImageConfig;
    readonly layers: readonly { readonly file: string; readonly digest: string | undefined }[];
  },
): ContainerImage {
  const { config, layers } = image;
  if (layers.length === 0 || layers.length > containerLimits.layersMax) {
    throw new UnderstudyError(
      'config',
      `The image must have 1 to ${containerLimits.layersMax} layers: it has ${layers.length}`,
    );
  }
  const { diffIds } = config;
  if (diffIds !== undefined && diffIds.length !== layers.length) {
    throw new UnderstudyError(
      'config',
      `The image is wrong: it has ${layers.length} layers, and its config has ${diffIds.length}`,
    );
  }
  return {
    kind,
    config,
    content: {
      layers: layers.map(({ file, digest }, index) => ({
        name: file,
        hasWhiteouts: true,
        stream: () => layerStream(files, { file, digest, diffId: diffIds?.[index] }),
      })),
    },
    close: () => files.close(),
  };
}

function layerStream(
  files: ImageFiles,
  layer: {
    readonly file: string;
    readonly digest: string | undefined;
    readonly diffId: string | undefined;
  },
): AsyncGenerator<Buffer> {
  const { file, digest, diffId } = layer;
  const stored = files.stream(file);
  const bytes = decompressed(digest === undefined ? stored : checked(stored, digest, file), file);
  return diffId === undefined ? bytes : checked(bytes, diffId, file);
}

/** At the top of a root file system is at least one of these. */
const usual = ['bin', 'sbin', 'usr', 'etc', 'lib', 'lib64'];

function requireRoot(image: string, top: readonly string[]): void {
  if (usual.some((name) => top.includes(name))) return;
  const some = top.slice(0, 5).join(', ') || 'nothing';
  throw noImage(
    image,
    `there is no manifest.json, no oci-layout, and no root file system (${usual.join(', ')}) in it, but ${some}`,
  );
}

function rootDirectory(image: string, files: ImageFiles): ContainerImage {
  requireRoot(image, files.top());
  return {
    kind: 'root file system',
    config: noConfig,
    content: { directory: fs.realpathSync(image) },
    close: () => files.close(),
  };
}

function rootArchive(image: string, archive: string, files: ImageFiles): ContainerImage {
  requireRoot(image, files.top());
  const stream = async function* (): AsyncGenerator<Buffer> {
    yield* fs.createReadStream(archive, { highWaterMark: containerLimits.pieceBytes });
  };
  return {
    kind: 'root file system',
    config: noConfig,
    content: { layers: [{ name: image, hasWhiteouts: false, stream }] },
    close: () => files.close(),
  };
}
