/**
 * The pair file: two nodes, one machine, one arbiter. Both nodes read the same file.
 */
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { z } from 'zod';
import { type ArbiterAuth, authProblems } from '../../arbiter/credentials.ts';
import { type ArbiterSpec, parseArbiterSpec } from '../../arbiter/spec.ts';
import { pairName } from '../../arbiter/state.ts';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { runDirBytesMax } from '../run-dir.ts';
import type { CertificateFiles } from './certificate-files.ts';
import { parseListenAddress } from './listen-address.ts';
import { type NamedImages, namedImages } from './named-images.ts';
import { seedRateField, spoolSizeField } from './pair-amounts.ts';
import { describeIssue, pairProblems, type TlsKeys } from './pair-checks.ts';
import {
  compareEverySchema,
  copyToKeys,
  copyToProblems,
  keepKeys,
  type SnapshotPolicy,
  snapshotKeys,
  snapshotPolicy,
  snapshotsSchema,
} from './policy.ts';
import {
  type WatchdogPolicy,
  watchdogKeys,
  watchdogPolicy,
  watchdogProblems,
  watchdogSchema,
} from './watchdog-policy.ts';

const tlsSchema = z.strictObject({
  ca: z.string().min(1).optional(),
  cert: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
});

import { detectorProblem } from '../../core/failure-detector.ts';

const nodeSchema = z.strictObject({
  listen: z
    .string()
    .refine(
      (text) => parseListenAddress(text) !== undefined,
      'must be ws://HOST:PORT or wss://HOST:PORT, with a port from 1 to 65535',
    )
    .describe('where this node waits for its peer'),
  /** Image of each disk on this node, by the id in the VM file. Overwritten when it is a backup. */
  disks: z.record(z.string(), z.string()).default({}),
  /** Of the first card, or a list with one for each. */
  egress: z
    .union(
      [z.string(), z.array(z.string())],
      'must be one egress, or a list with one for each card',
    )
    .default('none'),
  /** Directory on a tmpfs for RAM, log and sockets. */
  runDir: z.string().min(1).optional(),
  /** Directory on a disk for what a node must still know after a loss of power. */
  stateDir: z.string().min(1).optional(),
  /** Directory for the log of a seed, when it should not lie in the run directory. */
  spoolDir: z.string().min(1).optional(),
  /** Directory on a disk for the log that is acknowledged with `ack: durable`. */
  durableLogDir: z.string().min(1).optional(),
  /** What differs from the pair's `tls` on this node. */
  tls: tlsSchema.optional(),
});

/** How the node proves itself to the arbiter: paths of files, but for `user` and `plaintext`. */
const arbiterAuthSchema = z.strictObject({
  secret: z.string().optional(),
  ca: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  plaintext: z.boolean().optional(),
});

const pairSchema = z
  .strictObject({
    pair: z.string().regex(pairName, 'must be 1-32 letters, digits, _ or -'),
    vm: z.string().describe('the VM file, relative to this one'),
    arbiter: z.string().superRefine(refuseBadSpec).describe('who gives out terms'),
    arbiterAuth: arbiterAuthSchema.default({}),
    nodes: z.record(z.string().regex(/^[A-Za-z0-9_-]{1,16}$/), nodeSchema),
    security: z.strictObject({ secretFile: z.string().min(1) }).optional(),
    /** Certificates of the link, where they are the same paths on both nodes. */
    tls: tlsSchema.optional(),
    epochMs: z
      .number('must be a number from 1 to 1000')
      .min(1, 'must be a number from 1 to 1000')
      .max(1000, 'must be a number from 1 to 1000')
      .default(limits.epochMs),
    ack: z.enum(['received', 'durable'], 'must be received or durable').default('received'),
    onBackupLost: z.enum(['runAlone', 'hold'], 'must be runAlone or hold').default('runAlone'),
    silenceMs: z
      .number('must be a number up to 60000')
      .max(60_000, 'must be a number up to 60000')
      .default(limits.silenceMs),
    heartbeatMs: z.number('must be a number').optional(),
    seedBandwidth: seedRateField.default(Number.POSITIVE_INFINITY),
    spoolBudget: spoolSizeField.default(limits.spoolBudgetBytes),
    durableLogBudget: spoolSizeField.default(limits.durableLogBudgetBytes),
    compareEvery: compareEverySchema,
    /** Which cuts of the protected machine are kept. */
    snapshots: snapshotsSchema.optional(),
    /** What is done about a guest that fails by itself. */
    watchdog: watchdogSchema.optional(),
  })
  .superRefine(refuseBadAuth);

function refuseBadSpec(text: string, context: z.RefinementCtx<string>): void {
  try {
    parseArbiterSpec(text, '/');
  } catch (thrown) {
    // Not `continue`: what else could be checked takes a good one for granted.
    context.addIssue({ code: 'custom', message: asError(thrown).message, continue: false });
  }
}

/** Runs when each key is well by itself. */
function refuseBadAuth(
  { arbiter, arbiterAuth }: { readonly arbiter: string; readonly arbiterAuth: ArbiterAuth },
  context: z.RefinementCtx,
): void {
  for (const { key, message } of authProblems(parseArbiterSpec(arbiter, '/'), arbiterAuth)) {
    context.addIssue({ code: 'custom', path: ['arbiterAuth', key], message });
  }
}

export interface NodeConfig extends NamedImages {
  readonly name: string;
  readonly listen: string;
  /** Of the first card, or one for each. */
  readonly egress: string | readonly string[];
  readonly runDir: string;
  readonly stateDir: string;
  readonly spoolDir: string | undefined;
  readonly durableLogDir: string;
  readonly tls?: CertificateFiles;
}

export interface PairConfig {
  /** Where it was read from. */
  readonly file: string;
  readonly pair: string;
  readonly vmFile: string;
  readonly arbiter: ArbiterSpec;
  readonly arbiterAuth: ArbiterAuth;
  readonly epochMs: number;
  /** What a backup acknowledges: log that it holds in memory, or on disk. */
  readonly ack: 'received' | 'durable';
  readonly onBackupLost: 'runAlone' | 'hold';
  /** Silence of the peer that is suspicious, and how often a node breaks its own. */
  readonly silenceMs: number;
  readonly heartbeatMs: number;
  /** Bytes per second that a seed may send; Infinity without a bound. */
  readonly seedBandwidth: number;
  /** Bytes of log that may wait for a copy that is being seeded. */
  readonly spoolBudget: number;
  /** Bytes of log that a backup may keep on disk from one seed to the next, with `ack: durable`. */
  readonly durableLogBudget: number;
  /** A pair of which no cut is made compares itself so often; `undefined`: never. */
  readonly compareEveryMs: number | undefined;
  /** Which cuts are kept while there is a backup; `undefined`: none. */
  readonly snapshots: SnapshotPolicy | undefined;
  /** What is done about a guest that fails by itself; `undefined`: nothing, and nobody looks. */
  readonly watchdog: WatchdogPolicy | undefined;
  readonly secretFile?: string;
  readonly self: NodeConfig;
  readonly peer: NodeConfig;
}

/** The names of the pair's two nodes. Throws `config` like `loadPairConfig`. */
export function nodeNames(file: string): readonly string[] {
  return Object.keys(readPair(file).nodes);
}

/** Reads the pair file as the node `name` sees it. Throws `config` with every problem found. */
export function loadPairConfig(file: string, name: string): PairConfig {
  const problem = (lines: readonly string[]): UnderstudyError => notUsable(file, lines);
  const data = readPair(file);
  const names = Object.keys(data.nodes);
  const selfData = data.nodes[name];
  const peerName = names.find((other) => other !== name);
  const peerData = peerName === undefined ? undefined : data.nodes[peerName];
  if (selfData === undefined || peerName === undefined || peerData === undefined) {
    throw problem([`nodes: there is no node '${name}'; the pair has ${names.join(' and ')}`]);
  }
  const { silenceMs, heartbeatMs = silenceMs / 3 } = data;
  const detector = { silenceMs, heartbeatMs };
  const unfit = detectorProblem(detector);
  const baseDir = path.dirname(path.resolve(file));
  const snapshots = data.snapshots && snapshotPolicy(data.snapshots, baseDir);
  const watchdog = data.watchdog && watchdogPolicy(data.watchdog);
  const problems = [
    ...pairProblems(data, baseDir),
    ...(unfit === undefined ? [] : [unfit]),
    ...(snapshots === undefined ? [] : copyToProblems(snapshots)),
    ...watchdogProblems(watchdog, snapshots),
  ];
  if (problems.length > 0) throw problem(problems);
  const toNode = (nodeName: string, node: z.infer<typeof nodeSchema>): NodeConfig => {
    const stateDir = path.resolve(baseDir, node.stateDir ?? '.understudy');
    return {
      name: nodeName,
      listen: node.listen,
      ...namedImages(node.disks, baseDir),
      egress: node.egress,
      stateDir,
      runDir: path.resolve(baseDir, node.runDir ?? defaultRunDir(data.pair, nodeName)),
      ...tlsFiles({ ...data.tls, ...node.tls }, baseDir),
      spoolDir: node.spoolDir === undefined ? undefined : path.resolve(baseDir, node.spoolDir),
      durableLogDir:
        node.durableLogDir === undefined ? stateDir : path.resolve(baseDir, node.durableLogDir),
    };
  };
  return {
    file: path.resolve(file),
    pair: data.pair,
    vmFile: path.resolve(baseDir, data.vm),
    arbiter: parseArbiterSpec(data.arbiter, baseDir),
    arbiterAuth: withAbsolutePaths(data.arbiterAuth, baseDir),
    epochMs: data.epochMs,
    ack: data.ack,
    onBackupLost: data.onBackupLost,
    ...detector,
    seedBandwidth: data.seedBandwidth,
    spoolBudget: data.spoolBudget,
    durableLogBudget: data.durableLogBudget,
    compareEveryMs: data.compareEvery,
    snapshots,
    watchdog,
    ...(data.security === undefined
      ? {}
      : { secretFile: path.resolve(baseDir, data.security.secretFile) }),
    self: toNode(name, selfData),
    peer: toNode(peerName, peerData),
  };
}

function notUsable(file: string, lines: readonly string[]): UnderstudyError {
  const message = `Pair file '${file}' is not usable:\n  ${lines.join('\n  ')}`;
  return new UnderstudyError('config', message, { hint: 'see docs/pair-file.md' });
}

/** A pair file whose keys are all well by themselves, with two nodes. */
function readPair(file: string): z.infer<typeof pairSchema> {
  const text = readText(file);
  let document: unknown;
  try {
    document = YAML.parse(text);
  } catch (thrown) {
    throw notUsable(file, [asError(thrown).message]);
  }
  const parsed = pairSchema.safeParse(document);
  if (!parsed.success) {
    const { issues } = parsed.error;
    throw notUsable(
      file,
      issues.flatMap((issue) => describeIssue(issue, document, keysAt)),
    );
  }
  const names = Object.keys(parsed.data.nodes);
  if (names.length !== 2) {
    throw notUsable(file, [
      `nodes: a pair has exactly two nodes: current value is ${names.join(', ')}`,
    ]);
  }
  return parsed.data;
}

function withAbsolutePaths(auth: ArbiterAuth, baseDir: string): ArbiterAuth {
  const resolved = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : path.resolve(baseDir, file);
  return {
    ...auth,
    secret: resolved(auth.secret),
    ca: resolved(auth.ca),
    cert: resolved(auth.cert),
    key: resolved(auth.key),
    password: resolved(auth.password),
  };
}

/** The keys that may stand at a place, for what was mistyped. */
function keysAt(place: readonly PropertyKey[]): readonly string[] {
  if (place.length === 0) return Object.keys(pairSchema.shape);
  if (place.at(-1) === 'tls') return Object.keys(tlsSchema.shape);
  if (place.at(-1) === 'keep') return keepKeys;
  if (place.at(-1) === 'copyTo') return copyToKeys;
  if (place[0] === 'snapshots') return snapshotKeys;
  if (place[0] === 'watchdog') return watchdogKeys;
  if (place[0] === 'arbiterAuth') return Object.keys(arbiterAuthSchema.shape);
  return place[0] === 'nodes' ? Object.keys(nodeSchema.shape) : ['secretFile'];
}

function tlsFiles({ ca, cert, key }: TlsKeys, baseDir: string): { tls?: CertificateFiles } {
  if (ca === undefined || cert === undefined || key === undefined) return {};
  const beside = (file: string): string => path.resolve(baseDir, file);
  return { tls: { ca: beside(ca), cert: beside(cert), key: beside(key) } };
}

/**
 * The pair's and the node's name; the pair's is cut, with its digest, when the path gets too long.
 */
function defaultRunDir(pair: string, node: string): string {
  const parent = '/dev/shm/understudy';
  const dir = `${parent}/${pair}-${node}`;
  if (Buffer.byteLength(dir) <= runDirBytesMax) return dir;
  return `${parent}/${pair.slice(0, 20)}-${hash('sha256', pair, 'hex').slice(0, 8)}-${node}`;
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read pair file '${file}'`, {
      cause: asError(thrown),
      hint: 'give its path with --pair',
    });
  }
}
