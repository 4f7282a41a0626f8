/**
 * The pair file: two nodes, one machine, one arbiter. Both nodes read the same file.
 */
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { z } from 'zod';
import { type ArbiterAuth, authProblems } from '../arbiter/credentials.ts';
import { type ArbiterSpec, parseArbiterSpec } from '../arbiter/spec.ts';
import { pairName } from '../arbiter/state.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

const nodeSchema = z.strictObject({
  listen: z
    .string()
    .regex(/^ws:\/\/[^/]+:\d+$/, 'must be ws://HOST:PORT')
    .describe('where this node waits for its peer'),
  /** Image of each disk on this node, by the id in the VM file. Overwritten when it is a backup. */
  disks: z.record(z.string(), z.string()).default({}),
  egress: z.string().default('none'),
  /** Directory on a tmpfs for RAM, log and sockets. */
  runDir: z.string().optional(),
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
    epochMs: z.number().min(1).max(1000).default(limits.epochMs),
    onBackupLost: z.enum(['runAlone', 'hold']).default('runAlone'),
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

export interface NodeConfig {
  readonly name: string;
  readonly listen: string;
  readonly disks: Readonly<Record<string, string>>;
  readonly egress: string;
  readonly runDir: string;
}

export interface PairConfig {
  readonly pair: string;
  readonly vmFile: string;
  readonly arbiter: ArbiterSpec;
  readonly arbiterAuth: ArbiterAuth;
  readonly epochMs: number;
  readonly onBackupLost: 'runAlone' | 'hold';
  readonly self: NodeConfig;
  readonly peer: NodeConfig;
}

/** Reads the pair file as the node `name` sees it. Throws `config` with every problem found. */
export function loadPairConfig(file: string, name: string): PairConfig {
  const text = readText(file);
  const problem = (lines: string[]): UnderstudyError =>
    new UnderstudyError('config', `Pair file '${file}' is not usable:\n  ${lines.join('\n  ')}`, {
      hint: 'see docs/pair-file.md',
    });
  let document: unknown;
  try {
    document = YAML.parse(text);
  } catch (thrown) {
    throw problem([asError(thrown).message]);
  }
  const parsed = pairSchema.safeParse(document);
  if (!parsed.success) {
    throw problem(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const { data } = parsed;
  const names = Object.keys(data.nodes);
  if (names.length !== 2) {
    throw problem([`nodes: a pair has exactly two nodes: current value is ${names.join(', ')}`]);
  }
  const selfData = data.nodes[name];
  const peerName = names.find((other) => other !== name);
  const peerData = peerName === undefined ? undefined : data.nodes[peerName];
  if (selfData === undefined || peerName === undefined || peerData === undefined) {
    throw problem([`nodes: there is no node '${name}'; the pair has ${names.join(' and ')}`]);
  }
  const baseDir = path.dirname(path.resolve(file));
  const toNode = (nodeName: string, node: z.infer<typeof nodeSchema>): NodeConfig => ({
    name: nodeName,
    listen: node.listen,
    disks: Object.fromEntries(
      Object.entries(node.disks).map(([id, image]) => [id, path.resolve(baseDir, image)]),
    ),
    egress: node.egress,
    runDir: path.resolve(baseDir, node.runDir ?? `/dev/shm/understudy/${data.pair}-${nodeName}`),
  });
  return {
    pair: data.pair,
    vmFile: path.resolve(baseDir, data.vm),
    arbiter: parseArbiterSpec(data.arbiter, baseDir),
    arbiterAuth: withAbsolutePaths(data.arbiterAuth, baseDir),
    epochMs: data.epochMs,
    onBackupLost: data.onBackupLost,
    self: toNode(name, selfData),
    peer: toNode(peerName, peerData),
  };
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
