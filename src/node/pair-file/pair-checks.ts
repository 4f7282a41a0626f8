/**
 * What can be wrong with a pair file: each problem a line with place, reason and current value; and
 * the checks that concern several keys at once.
 */
import type { z } from 'zod';
import { isRelative } from '../../arbiter/spec.ts';
import { isLoopback } from '../../base/loopback.ts';
import { fileIdentity } from '../../host/file-identity.ts';
import { isOwnAddress } from '../../host/own-address.ts';
import { nearest } from '../../hypervisor/vm-file/nearest.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { imagePath } from './named-images.ts';

export interface TlsKeys {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

interface CheckedNode {
  readonly listen: string;
  readonly disks: Readonly<Record<string, string>>;
  readonly runDir?: string | undefined;
  readonly tls?: TlsKeys | undefined;
}

interface CheckedPair {
  readonly arbiter: string;
  readonly nodes: Readonly<Record<string, CheckedNode>>;
  readonly security?: { readonly secretFile: string } | undefined;
  readonly tls?: TlsKeys | undefined;
}

/** The words of a key's place in the file. */
function placeOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the file' : path.join('.');
}

/** A problem that the schema found, with what is there now. */
export function describeIssue(
  issue: z.core.$ZodIssue,
  document: unknown,
  keysAt: (path: readonly PropertyKey[]) => readonly string[],
): string[] {
  const place = placeOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(issue.path);
    return issue.keys.map((key) => {
      const meant = nearest(key, known);
      const hint = meant === undefined ? `known: ${known.join(', ')}` : `did you mean '${meant}'?`;
      return `${place}: unknown key '${key}': ${hint}`;
    });
  }
  const value = valueAt(document, issue.path);
  // A check over several keys says itself what is missing.
  if (value === undefined)
    return [`${place}: ${issue.code === 'custom' ? issue.message : 'is missing'}`];
  const current =
    typeof value === 'object' ? '' : `: current value is ${JSON.stringify(value)?.slice(0, 100)}`;
  return [`${place}: ${issue.message}${current}`];
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

/** What is wrong with a pair whose keys are all well by themselves. */
export function pairProblems(pair: CheckedPair, baseDir: string): string[] {
  const nodes = Object.entries(pair.nodes).map(([name, node]) => ({
    name,
    node,
    address: parseListenAddress(node.listen) as ListenAddress, // the schema has seen to it
  }));
  return [
    ...nodes.flatMap(({ name, node, address }) => linkProblems(name, node, address, pair)),
    ...togetherProblems(nodes, baseDir),
    ...arbiterProblems(pair.arbiter, nodes),
  ];
}

function linkProblems(
  name: string,
  node: CheckedNode,
  { scheme, host }: ListenAddress,
  pair: CheckedPair,
): string[] {
  const place = `nodes.${name}`;
  const tls = { ...pair.tls, ...node.tls };
  const given = Object.keys(tls).length > 0;
  const missing = (['ca', 'cert', 'key'] as const).filter((key) => tls[key] === undefined);
  if (scheme === 'ws') {
    if (!isLoopback(host)) {
      return [
        `${place}.listen: ws:// is for loopback addresses only, as it hides and protects nothing: ` +
          `write wss://, and 'security' or 'tls': current value is "${node.listen}"`,
      ];
    }
    return given ? [`${place}.listen: must be wss:// when there is 'tls'`] : [];
  }
  if (given && missing.length > 0) {
    return [`${place}.tls: needs 'ca', 'cert' and 'key': missing is ${missing.join(', ')}`];
  }
  if (given || pair.security !== undefined) return [];
  return [
    `${place}.listen: wss:// needs a shared secret or certificates: ` +
      `write 'security: { secretFile: PATH }' or 'tls: { ca, cert, key }'`,
  ];
}

interface PlacedNode {
  readonly name: string;
  readonly node: CheckedNode;
  readonly address: ListenAddress;
}

/** On two hosts a relative path is two directories, each of which would make a winner. */
function arbiterProblems(arbiter: string, nodes: readonly PlacedNode[]): string[] {
  if (!isRelative(arbiter) || nodes.every(({ address }) => isLoopback(address.host))) return [];
  return [
    `arbiter: a relative path is another directory on each host: write the absolute path of one ` +
      `that both hosts mount, or use a witness: current value is "${arbiter}"`,
  ];
}

function togetherProblems(nodes: readonly PlacedNode[], baseDir: string): string[] {
  const [a, b] = nodes;
  if (a === undefined || b === undefined || nodes.length > 2) return [];
  if (a.address.scheme !== b.address.scheme) {
    return ['nodes: both must have ws:// or both wss:// in `listen`'];
  }
  const problems = [...ownImageProblems(a, baseDir), ...ownImageProblems(b, baseDir)];
  // Where they share a host, a path means the same to both.
  if (!isOwnAddress(a.address.host) || !isOwnAddress(b.address.host)) return problems;
  if (a.address.host === b.address.host && a.address.port === b.address.port) {
    problems.push(`nodes: both listen on ${a.node.listen}`);
  }
  if (a.node.runDir !== undefined && a.node.runDir === b.node.runDir) {
    problems.push(`nodes: both have the run directory '${a.node.runDir}'`);
  }
  const theirs = identities(b, baseDir);
  for (const [image, identity] of identities(a, baseDir)) {
    const same = [...theirs].find(([, other]) => other === identity)?.[0];
    if (same === undefined) continue;
    const what = same === image ? `'${image}'` : `'${image}', which is '${same}' too`;
    problems.push(`nodes: both have the disk image ${what}: a backup's images are overwritten`);
  }
  return problems;
}

/** Two disks of one node that are the same image. */
function ownImageProblems({ name, node }: PlacedNode, baseDir: string): string[] {
  const seen = new Map<string, string>();
  return Object.entries(node.disks).flatMap(([id, written]) => {
    const identity = fileIdentity(imagePath(written, baseDir));
    const other = seen.get(identity);
    seen.set(identity, id);
    if (other === undefined) return [];
    return [`nodes.${name}.disks.${id}: '${written}' is the image of disk '${other}' already`];
  });
}

/** What each image that is named is on this host, whatever it is called. */
function identities({ node }: PlacedNode, baseDir: string): Map<string, string> {
  const written = Object.values(node.disks);
  return new Map(written.map((image) => [image, fileIdentity(imagePath(image, baseDir))]));
}
