/**
 * The JSON of an image: which layers it has, and how it wants to be run.
 *
 *     docker-archive   manifest.json: [{ Config, RepoTags, Layers }], all three are files in it
 *     OCI layout       oci-layout, index.json -> manifest -> config and layers, by digests, which
 *                      are files blobs/ALGORITHM/HEX
 *
 * Both have the same config. Keys that are of no use here are not looked at.
 */
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { digestText } from './checked-stream.ts';
import { containerLimits } from './limits.ts';

const strings = z.array(z.string()).nullish();
/** Go writes a set as an object of empty objects. */
const setOfNames = z.record(z.string(), z.unknown()).nullish();

const configSchema = z.object({
  architecture: z.string().default('amd64'),
  os: z.string().default('linux'),
  config: z
    .object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      Hostname: z.string().nullish(),
      StopSignal: z.union([z.string(), z.number()]).nullish(),
      StopTimeout: z.number().int().nonnegative().nullish(),
      Volumes: setOfNames,
      ExposedPorts: setOfNames,
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string().regex(digestText)) }).nullish(),
});

const dockerSchema = z.array(
  z.object({ Config: z.string(), RepoTags: strings, Layers: z.array(z.string()).nullish() }),
);

const descriptor = z.object({
  mediaType: z.string().default(''),
  digest: z.string().regex(digestText),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: z.object({ architecture: z.string(), os: z.string() }).nullish(),
});

const indexSchema = z.object({ manifests: z.array(descriptor) });
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) });

/** How an image wants to be run; what it does not say is empty or `undefined`. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=VALUE`. */
  readonly env: readonly string[];
  readonly workingDir: string | undefined;
  readonly user: string | undefined;
  readonly hostname: string | undefined;
  /** A name or a number. */
  readonly stopSignal: string | undefined;
  readonly stopSeconds: number;
  /** Paths. */
  readonly volumes: readonly string[];
  /** Such as `80/tcp`. */
  readonly exposedPorts: readonly string[];
  /** Digests of its layers, uncompressed; `undefined` when it does not say. */
  readonly diffIds: readonly string[] | undefined;
}

/** Of a root file system without any image. */
export const noConfig: ImageConfig = {
  entrypoint: [],
  cmd: [],
  env: [],
  workingDir: undefined,
  user: undefined,
  hostname: undefined,
  stopSignal: undefined,
  stopSeconds: containerLimits.stopSeconds,
  volumes: [],
  exposedPorts: [],
  diffIds: undefined,
};

/** Throws `config` for what is none, and for another architecture. */
export function parseConfig(bytes: Buffer, name: string): ImageConfig {
  const { architecture, os, config, rootfs } = parsed(configSchema, bytes, name);
  if (architecture !== 'amd64' || os !== 'linux') throw otherPlatform([`${os}/${architecture}`]);
  const given = (text: string | null | undefined): string | undefined => text || undefined;
  return {
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    env: config?.Env ?? [],
    workingDir: given(config?.WorkingDir),
    user: given(config?.User),
    hostname: given(config?.Hostname),
    stopSignal: given(config?.StopSignal?.toString()),
    stopSeconds: config?.StopTimeout ?? containerLimits.stopSeconds,
    volumes: Object.keys(config?.Volumes ?? {}),
    exposedPorts: Object.keys(config?.ExposedPorts ?? {}),
    diffIds: rootfs?.diff_ids,
  };
}

/** The one image of a docker-archive. Throws `config` when there are several, or none. */
export function parseDockerManifest(bytes: Buffer): {
  readonly config: string;
  readonly layers: readonly string[];
} {
  const images = parsed(dockerSchema, bytes, 'manifest.json');
  const [image, ...others] = images;
  if (image === undefined) throw notOne([]);
  if (others.length > 0)
    throw notOne(images.map(({ RepoTags, Config }) => RepoTags?.[0] ?? Config));
  return { config: image.Config, layers: image.Layers ?? [] };
}

interface Descriptor {
  readonly digest: string;
  readonly mediaType: string;
}

const isIndex = (mediaType: string): boolean => /image\.index|manifest\.list/.test(mediaType);

/**
 * What an index leads to for this machine. Throws `config` when that is nothing, or more than one
 * image.
 */
export function parseIndex(
  bytes: Buffer,
  name: string,
): Descriptor & { readonly isIndex: boolean } {
  const { manifests } = parsed(indexSchema, bytes, name);
  // Docker keeps attestations beside an image, of a platform `unknown`.
  const images = manifests.filter(({ platform }) => platform?.os !== 'unknown');
  const fitting = images.filter(
    ({ platform }) =>
      platform == null || (platform.architecture === 'amd64' && platform.os === 'linux'),
  );
  const [image, ...others] = fitting;
  if (image === undefined && images.length > 0) {
    throw otherPlatform(images.map(({ platform }) => `${platform?.os}/${platform?.architecture}`));
  }
  if (image === undefined) throw notOne([]);
  const names = fitting.map(
    ({ annotations, digest }) => annotations?.['org.opencontainers.image.ref.name'] ?? digest,
  );
  if (others.some(({ digest }) => digest !== image.digest)) throw notOne(names);
  return { ...image, isIndex: isIndex(image.mediaType) };
}

/** Digests. Throws `config`. */
export function parseManifest(
  bytes: Buffer,
  name: string,
): { readonly config: string; readonly layers: readonly string[] } {
  const { config, layers } = parsed(manifestSchema, bytes, name);
  return { config: config.digest, layers: layers.map(({ digest }) => digest) };
}

function parsed<T>(schema: z.ZodType<T>, bytes: Buffer, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (thrown) {
    throw new UnderstudyError('config', `'${name}' of the image is no JSON`, {
      cause: asError(thrown),
    });
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  const lines = error.issues.map(
    ({ path, message }) => `${path.join('.') || 'all of it'}: ${message}`,
  );
  throw new UnderstudyError('config', `'${name}' of the image is wrong:\n  ${lines.join('\n  ')}`, {
    hint: 'save or copy the image again',
  });
}

function otherPlatform(platforms: readonly string[]): UnderstudyError {
  return new UnderstudyError(
    'config',
    `The image is for another machine: it must be linux/amd64, and is ${platforms.join(', ')}`,
    { hint: 'pull it with --platform linux/amd64, and save it again' },
  );
}

function notOne(names: readonly string[]): UnderstudyError {
  const what =
    names.length === 0 ? 'There is no image' : `There are several images (${names.join(', ')})`;
  return new UnderstudyError('config', `${what} in it`, { hint: 'save one image, by its name' });
}
