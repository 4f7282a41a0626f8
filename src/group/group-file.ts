/** The group file: which pairs belong together, and where their sets are kept (docs/groups.md). */
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { duration } from '../node/pair-file/pair-amounts.ts';
import { describeIssue } from '../node/pair-file/pair-checks.ts';
import { loadPairConfig, nodeNames } from '../node/pair-file/pair-config.ts';

export interface GroupMember {
  readonly name: string;
  /** Absolute. */
  readonly pairFile: string;
  readonly pair: string;
  /** Directory of its snapshots. */
  readonly store: string;
}

export interface GroupConfig {
  readonly name: string;
  readonly members: readonly GroupMember[];
  /** Directory of the sets, absolute. */
  readonly sets: string;
  /** How often `group run` takes one. */
  readonly everyMs: number | undefined;
  /** So many of the newest stay; `undefined`: all. */
  readonly keepLast: number | undefined;
  /** How long a member may hold outputs for a set. */
  readonly holdMaxMs: number;
}

const membersMin = 2;
const membersMax = 16;
/** Two round trips at least. */
const holdMsMin = 20;
const holdMsMax = limits.lineHoldMaxMs;
const [everyMsMin, everyMsMax] = [1_000, 86_400_000];

const nameWords = 'must be 1 to 32 letters, digits, _ or -';
const nameField = z.string(nameWords).regex(/^[A-Za-z0-9_-]{1,32}$/, nameWords);
const pathField = (words: string) => z.string(words).min(1, words);

function durationField(words: string, minMs: number, maxMs: number) {
  const fits = (text: string): boolean => duration(text) >= minMs && duration(text) <= maxMs;
  return z.string(words).refine(fits, words).transform(duration);
}

const keepWords = 'must be a whole number from 1 to 100000';
const holdWords = `must be a time such as 250ms, from ${holdMsMin}ms to ${holdMsMax / 1000}s`;

const schema = z.strictObject({
  group: nameField,
  members: z.record(nameField, pathField('must be the path of a pair file'), {
    error: 'must be names, each with the path of a pair file',
  }),
  sets: pathField('must be the directory for the sets'),
  every: durationField(
    'must be a time such as 10s, from 1s to 24h',
    everyMsMin,
    everyMsMax,
  ).optional(),
  keep: z
    .strictObject({ last: z.int(keepWords).min(1, keepWords).max(100_000, keepWords) })
    .optional(),
  holdMax: durationField(holdWords, holdMsMin, holdMsMax).default(250),
});

const keysAt = (at: readonly PropertyKey[]): readonly string[] =>
  at[0] === 'keep' ? ['last'] : Object.keys(schema.shape);

/** Throws `config` with every problem of the file, and of the pair files that it names. */
export function loadGroup(file: string): GroupConfig {
  const document = read(file);
  const parsed = schema.safeParse(document);
  if (!parsed.success) {
    const { issues } = parsed.error;
    throw notUsable(
      file,
      issues.flatMap((issue) => describeIssue(issue, document, keysAt)),
    );
  }
  const { group, members, sets, every, keep, holdMax } = parsed.data;
  const base = path.dirname(path.resolve(file));
  const loaded = Object.entries(members).map(([name, pairFile]) =>
    loadMember(name, path.resolve(base, pairFile)),
  );
  const problems = problemsOf(loaded);
  if (problems.length > 0) throw notUsable(file, problems);
  return {
    name: group,
    members: loaded,
    sets: path.resolve(base, sets),
    everyMs: every,
    keepLast: keep?.last,
    holdMaxMs: holdMax,
  };
}

function loadMember(name: string, pairFile: string): GroupMember {
  const { pair, snapshots } = loadPairConfig(pairFile, nodeNames(pairFile)[0] ?? '');
  if (snapshots === undefined) {
    throw new UnderstudyError('config', `Pair file '${pairFile}' of '${name}' has no snapshots`, {
      hint: 'add `snapshots: { store: DIRECTORY }` to it, see docs/restore.md',
    });
  }
  return { name, pairFile, pair, store: snapshots.store };
}

function problemsOf(members: readonly GroupMember[]): string[] {
  const count = members.length;
  const problems =
    count < membersMin || count > membersMax
      ? [`members: must be ${membersMin} to ${membersMax}: current value is ${count}`]
      : [];
  for (const [index, { name, pair, store }] of members.entries()) {
    const isSame = (before: GroupMember): boolean => before.pair === pair && before.store === store;
    const other = members.slice(0, index).find(isSame);
    if (other === undefined) continue;
    problems.push(`members.${name}: is pair '${pair}' with the store of '${other.name}'`);
  }
  return problems;
}

function read(file: string): unknown {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read group file '${file}'`, {
      cause: asError(thrown),
      hint: 'check the path and the rights of the file',
    });
  }
  try {
    return YAML.parse(text);
  } catch (thrown) {
    throw notUsable(file, [`is not YAML: ${asError(thrown).message.split('\n')[0]}`]);
  }
}

function notUsable(file: string, lines: readonly string[]): UnderstudyError {
  const message = `Group file '${file}' is not usable:\n  ${lines.join('\n  ')}`;
  return new UnderstudyError('config', message, { hint: 'see docs/groups.md' });
}
