/**
 * How a client proves itself to an arbiter, and the arbiter to it: which files the pair file names,
 * whether they fit the kind of arbiter, and their content.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { asError, UnderstudyError } from '../base/errors.ts';
import { arbiterLimits } from './limits.ts';
import { type ArbiterSpec, plainRemoteUrls, urlsOf } from './spec.ts';

/** As the pair file says it; paths are absolute. */
export interface ArbiterAuth {
  /** File with the secret that a witness and its clients share. */
  readonly secret?: string | undefined;
  /** PEM file: who signs the server's certificate. @default the system's authorities */
  readonly ca?: string | undefined;
  /** PEM files: the client's own certificate and its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name and password file of an etcd user. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Accept etcd in plain text on another machine. */
  readonly plaintext?: boolean | undefined;
}

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface Credentials {
  readonly secret?: Buffer;
  readonly tls?: TlsFiles;
  readonly user?: { readonly name: string; readonly password: string };
}

export interface AuthProblem {
  readonly key: keyof ArbiterAuth;
  readonly message: string;
}

/** What does not fit the arbiter or each other; empty when all is well. */
export function authProblems(spec: ArbiterSpec, auth: ArbiterAuth): AuthProblem[] {
  const problems: AuthProblem[] = [];
  const refuse = (key: keyof ArbiterAuth, message: string): void => {
    problems.push({ key, message });
  };
  const only = (keys: readonly (keyof ArbiterAuth)[], fits: boolean, place: string): void => {
    for (const key of keys) {
      if (auth[key] !== undefined && !fits) refuse(key, `is only for ${place}`);
    }
  };
  const encrypted = urlsOf(spec).some((url) => url.startsWith('https:'));
  only(['secret'], spec.kind === 'witness', 'a witness (http: or https:)');
  only(['ca', 'cert', 'key'], encrypted, 'https: addresses');
  only(['user', 'password', 'plaintext'], spec.kind === 'etcd', 'etcd:');
  if ((auth.cert === undefined) !== (auth.key === undefined)) refuse('cert', 'goes with key');
  if ((auth.user === undefined) !== (auth.password === undefined)) {
    refuse('user', 'goes with password');
  }
  // Whoever can answer in the arbiter's place can make two winners.
  const plain = `${plainRemoteUrls(spec).join(', ')} is not on this machine and has no TLS`;
  if (plainRemoteUrls(spec).length === 0) return problems;
  if (spec.kind === 'witness' && auth.secret === undefined) {
    refuse('secret', `is needed, as ${plain}`);
  }
  if (spec.kind === 'etcd' && auth.plaintext !== true) {
    refuse('plaintext', `${plain}: use https:, or set this to true where nobody else is`);
  }
  return problems;
}

/** Reads the files. Rejects with `UnderstudyError` ('config', 'rights'). */
export async function loadCredentials(auth: ArbiterAuth): Promise<Credentials> {
  const { secret, ca, cert, key, user, password } = auth;
  const hasTls = ca !== undefined || cert !== undefined;
  return {
    ...(secret === undefined ? {} : { secret: await readSecret(secret) }),
    ...(hasTls ? { tls: await readTls({ ca, cert, key }) } : {}),
    ...(user === undefined || password === undefined
      ? {}
      : { user: { name: user, password: (await readPassword(password)).toString() } }),
  };
}

/** A shared secret: one line in a file that only its owner may read. */
export async function readSecret(file: string): Promise<Buffer> {
  const secret = await readPassword(file);
  if (secret.length >= arbiterLimits.secretBytesMin) return secret;
  throw new UnderstudyError(
    'config',
    `Cannot use the secret in '${file}' as it must have ${arbiterLimits.secretBytesMin} bytes or ` +
      `more: it has ${secret.length}`,
    { hint: `head -c 32 /dev/urandom | base64 > '${file}'` },
  );
}

export async function readTls(files: {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}): Promise<TlsFiles> {
  const { ca, cert, key } = files;
  const bytesMax = arbiterLimits.credentialBytesMax;
  return {
    ...(ca === undefined ? {} : { ca: await readSmall(ca, { bytesMax, isPrivate: false }) }),
    ...(cert === undefined ? {} : { cert: await readSmall(cert, { bytesMax, isPrivate: false }) }),
    ...(key === undefined ? {} : { key: await readSmall(key, { bytesMax, isPrivate: true }) }),
  };
}

async function readPassword(file: string): Promise<Buffer> {
  const bytes = await readSmall(file, { bytesMax: arbiterLimits.secretBytesMax, isPrivate: true });
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end -= 1;
  return bytes.subarray(0, end);
}

async function readSmall(
  file: string,
  { bytesMax, isPrivate }: { readonly bytesMax: number; readonly isPrivate: boolean },
): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { mode, size } = await handle.stat();
    if (isPrivate && (mode & 0o077) !== 0) {
      throw new UnderstudyError(
        'rights',
        `Cannot use '${file}' as other users may read it: its mode is 0${(mode & 0o777).toString(8)}`,
        { hint: `chmod 600 '${file}'` },
      );
    }
    if (size > bytesMax) {
      throw new UnderstudyError(
        'config',
        `Cannot use '${file}' as it must have at most ${bytesMax} bytes: it has ${size}`,
      );
    }
    return await handle.readFile();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) throw thrown;
    throw new UnderstudyError('config', `Cannot read '${file}'`, { cause: asError(thrown) });
  } finally {
    await handle?.close();
  }
}
