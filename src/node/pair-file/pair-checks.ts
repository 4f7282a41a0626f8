/**
 * What can be wrong with a pair file: each problem a line with place, reason and current value; and
 * the checks that concern several keys at once.
 */
import type { z } from 'zod';
import { isRelative } from '../../arbiter/spec.ts';
import { isLoopback } from '../../base/loopback.ts';
import { nearest } from '../../hypervisor/vm-file/nearest.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';

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
export function pairProblems(pair: CheckedPair): string[] {
  const nodes = Object.entries(pair.nodes).map(([name, node]) => ({
    name,
    node,
    address: parseListenAddress(node.listen) as ListenAddress, // the schema has seen to it
  }));
  return [
    ...nodes.flatMap(({ name, node, address }) => linkProblems(name, node, address, pair)),
    ...togetherProblems(nodes),
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

function togetherProblems(nodes: readonly PlacedNode[]): string[] {
  const [a, b] = nodes;
  if (a === undefined || b === undefined || nodes.length > 2) return [];
  if (a.address.scheme !== b.address.scheme) {
    return ['nodes: both must have ws:// or both wss:// in `listen`'];
  }
  // With both on loopback they share a host, where a path means the same to both.
  if (!isLoopback(a.address.host) || !isLoopback(b.address.host)) return [];
  const problems: string[] = [];
  if (a.address.host === b.address.host && a.address.port === b.address.port) {
    problems.push(`nodes: both listen on ${a.node.listen}`);
  }
  if (a.node.runDir !== undefined && a.node.runDir === b.node.runDir) {
    problems.push(`nodes: both have the run directory '${a.node.runDir}'`);
  }
  const theirs = new Set(Object.values(b.node.disks));
  for (const image of Object.values(a.node.disks)) {
    if (theirs.has(image)) {
      problems.push(
        `nodes: both have the disk image '${image}': a backup's images are overwritten`,
      );
    }
  }
  return problems;
}
