/**
 * Where the arbiter of a pair is, as the pair file says it:
 *
 *   file:PATH                                 a directory that both nodes see
 *   http://HOST:PORT, https://HOST:PORT       a witness
 *   etcd:URL[,URL...][/PREFIX]                an etcd cluster, by some or all of its members
 */
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { isLoopback } from '../base/loopback.ts';
import { arbiterLimits } from './limits.ts';

export type ArbiterSpec =
  | { readonly kind: 'file'; readonly directory: string }
  | { readonly kind: 'witness'; readonly url: string }
  | {
      readonly kind: 'etcd';
      readonly endpoints: readonly string[];
      /** The key of a pair is PREFIX/PAIR. @default '/understudy' */
      readonly prefix: string;
    };

const filePrefix = 'file:';
const defaultEtcdPrefix = '/understudy';
const etcdPrefix = /^(?:\/[A-Za-z0-9._-]{1,64}){1,8}$/;

/**
 * Reads a spec. A relative path is relative to `baseDir`. Throws `UnderstudyError` ('config') whose
 * message says what is expected in this place, without naming the place.
 */
export function parseArbiterSpec(text: string, baseDir: string): ArbiterSpec {
  if (text.startsWith(filePrefix)) {
    const given = text.slice(filePrefix.length);
    if (given === '') throw wrong('must be file:PATH, and the path is missing');
    return { kind: 'file', directory: path.resolve(baseDir, given) };
  }
  if (/^https?:/.test(text)) {
    const url = parseUrl(text);
    if (url.pathname !== '/') throw wrong(`'${text}' must end after the port`);
    return { kind: 'witness', url: url.origin };
  }
  if (text.startsWith('etcd:')) return parseEtcd(text.slice('etcd:'.length));
  throw wrong(
    'must be file:PATH, http://HOST:PORT, https://HOST:PORT or etcd:URL[,URL...][/PREFIX]',
  );
}

/** Whether it is a path that means another place in another directory, or on another host. */
export function isRelative(text: string): boolean {
  return text.startsWith(filePrefix) && !path.isAbsolute(text.slice(filePrefix.length));
}

/** The URLs that a spec would have us talk to. */
export function urlsOf(spec: ArbiterSpec): readonly string[] {
  switch (spec.kind) {
    case 'file':
      return [];
    case 'witness':
      return [spec.url];
    case 'etcd':
      return spec.endpoints;
  }
}

/** Which one it is, for people, as in "The arbiter in '/srv/web/arbiter'". */
export function nameOfArbiter(spec: ArbiterSpec): string {
  switch (spec.kind) {
    case 'file':
      return `The arbiter in '${spec.directory}'`;
    case 'witness':
      return `The witness at ${spec.url}`;
    case 'etcd':
      return `The etcd at ${spec.endpoints.join(', ')} (keys in ${spec.prefix})`;
  }
}

/** As in a pair file, with an absolute path. */
export function textOfArbiter(spec: ArbiterSpec): string {
  switch (spec.kind) {
    case 'file':
      return `${filePrefix}${spec.directory}`;
    case 'witness':
      return spec.url;
    case 'etcd':
      return `etcd:${spec.endpoints.join(',')}${spec.prefix}`;
  }
}

/** Those that would carry plain text to another machine. */
export function plainRemoteUrls(spec: ArbiterSpec): readonly string[] {
  return urlsOf(spec).filter((text) => {
    const { protocol, hostname } = new URL(text);
    return protocol === 'http:' && !isLoopback(hostname);
  });
}

function parseEtcd(text: string): ArbiterSpec {
  const parts = text.split(',');
  if (parts.length > arbiterLimits.endpoints) {
    throw wrong(`names ${parts.length} endpoints: at most ${arbiterLimits.endpoints} may be`);
  }
  let prefix = defaultEtcdPrefix;
  const endpoints = parts.map((part, index) => {
    const url = parseUrl(part);
    if (url.pathname !== '/') {
      if (index < parts.length - 1) throw wrong(`'${part}' must end after the port`);
      prefix = url.pathname;
    }
    return url.origin;
  });
  if (!etcdPrefix.test(prefix)) {
    throw wrong(
      `has the prefix '${prefix}': it must be like /NAME/NAME, without a slash at its end`,
    );
  }
  if (new Set(endpoints).size < endpoints.length) throw wrong('names an endpoint twice');
  return { kind: 'etcd', endpoints, prefix };
}

function parseUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong(`'${text}' must be http://HOST:PORT or https://HOST:PORT`);
  }
  // `URL` drops a port that is its protocol's own, so the text is looked at, too.
  const hasPort = /^https?:\/\/[^/]+:\d+(?:\/|$)/.test(text);
  if (!hasPort) throw wrong(`'${text}' must be http://HOST:PORT or https://HOST:PORT`);
  if (url.username !== '' || url.password !== '') {
    throw wrong(`'${url.origin}' must not hold a name or password: that goes to arbiterAuth`);
  }
  if (url.search !== '' || url.hash !== '') throw wrong(`'${text}' must end after the port`);
  return url;
}

function wrong(message: string): UnderstudyError {
  return new UnderstudyError('config', message);
}
