/**
 * The pair file: two nodes, one machine, one arbiter. Both nodes read the same file.
 */
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { z } from 'zod';
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
  /** Directory for the log of a seed, when it should not lie in the run directory. */
  spoolDir: z.string().optional(),
});

const unitBytes: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** A number and a unit, as in "1.5GiB". Gives bytes. */
function amount(text: string): number {
  const [, digits, unit] = /^([0-9]+(?:\.[0-9]+)?) ?([kMG]B|[KMG]iB)$/.exec(text) ?? [];
  return Math.round(Number(digits) * (unitBytes[unit ?? ''] ?? Number.NaN));
}

const sizeField = z.string().transform((text, context) => {
  const bytes = amount(text);
  if (bytes >= limits.spoolBudgetMinBytes && Number.isSafeInteger(bytes)) return bytes;
  const least = `${limits.spoolBudgetMinBytes / 1e6}MB`;
  const message = `must be a size such as 512MiB, at least ${least}: current value is ${text}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const rateField = z.string().transform((text, context) => {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY;
  const rate = text.endsWith('/s') ? amount(text.slice(0, -'/s'.length)) : Number.NaN;
  if (rate >= limits.seedBandwidthMin && Number.isSafeInteger(rate)) return rate;
  const least = `${limits.seedBandwidthMin / 1e6}MB/s`;
  const message = `must be a rate such as 200MB/s, at least ${least}, or unlimited: current value is ${text}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const pairSchema = z.strictObject({
  pair: z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1-32 letters, digits, _ or -'),
  vm: z.string().describe('the VM file, relative to this one'),
  arbiter: z.string().regex(/^file:.+/, 'must be file:PATH'),
  nodes: z.record(z.string().regex(/^[A-Za-z0-9_-]{1,16}$/), nodeSchema),
  epochMs: z.number().min(1).max(1000).default(limits.epochMs),
  onBackupLost: z.enum(['runAlone', 'hold']).default('runAlone'),
  seedBandwidth: rateField.default(Number.POSITIVE_INFINITY),
  spoolBudget: sizeField.default(limits.spoolBudgetBytes),
});

export interface NodeConfig {
  readonly name: string;
  readonly listen: string;
  readonly disks: Readonly<Record<string, string>>;
  readonly egress: string;
  readonly runDir: string;
  readonly spoolDir: string | undefined;
}

export interface PairConfig {
  readonly pair: string;
  readonly vmFile: string;
  readonly arbiter: string;
  readonly epochMs: number;
  readonly onBackupLost: 'runAlone' | 'hold';
  /** Bytes per second that a seed may send; Infinity without a bound. */
  readonly seedBandwidth: number;
  /** Bytes of log that may wait for a copy that is being seeded. */
  readonly spoolBudget: number;
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
    spoolDir: node.spoolDir === undefined ? undefined : path.resolve(baseDir, node.spoolDir),
  });
  const arbiterPath = path.resolve(baseDir, data.arbiter.slice('file:'.length));
  return {
    pair: data.pair,
    vmFile: path.resolve(baseDir, data.vm),
    arbiter: `file:${arbiterPath}`,
    epochMs: data.epochMs,
    onBackupLost: data.onBackupLost,
    seedBandwidth: data.seedBandwidth,
    spoolBudget: data.spoolBudget,
    self: toNode(name, selfData),
    peer: toNode(peerName, peerData),
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
