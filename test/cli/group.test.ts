// Bad input of `understudy group`: rows of docs/errors.md, each said once, with its exit code, and
// nothing touched.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { scratchDirectory } from '../store/rig.ts';
import { root, runHere } from './run.ts';

const errorsPage = fs.readFileSync(path.join(root, 'docs/errors.md'), 'utf8');

function groupFile(more = '', pairMore = ''): string {
  const directory = scratchDirectory();
  for (const name of ['web', 'db']) {
    const nodes = ['a', 'b'].map(
      (node, index) =>
        `  ${node}: { listen: 'ws://127.0.0.1:${9001 + index}', runDir: ${name}-${node} }`,
    );
    const head = `pair: ${name}\nvm: vm.yaml\narbiter: 'file:terms'\nsnapshots: { store: ${name} }\n${pairMore}`;
    fs.writeFileSync(
      path.join(directory, `${name}.yaml`),
      `${head}\nnodes:\n${nodes.join('\n')}\n`,
    );
  }
  const file = path.join(directory, 'group.yaml');
  const members = 'members: { web: web.yaml, db: db.yaml }';
  fs.writeFileSync(file, `group: bank\n${members}\nsets: sets\n${more}`);
  return file;
}

interface Case {
  /** The row of docs/errors.md. */
  readonly row: string;
  readonly args: readonly string[];
  readonly more?: string;
  /** Of each pair file. */
  readonly pairMore?: string;
  readonly code: number;
  readonly says: RegExp;
}

const cases: readonly Case[] = [
  {
    row: 'group file with a mistake, or a pair without snapshots',
    args: ['ls'],
    more: 'evry: 10s\n',
    code: 2,
    says: /unknown key 'evry': did you mean 'every'\?/,
  },
  {
    row: '`group run` without a time',
    args: ['run'],
    code: 2,
    says: /does not say how often[\s\S]*--every/,
  },
  {
    row: 'member without a primary on this host, or without a backup, for `group take`',
    args: ['take'],
    code: 1,
    says: /No set of group 'bank' was taken[\s\S]*member 'web': No node of this pair is primary/,
  },
  {
    row: 'set that is not there, or is damaged',
    args: ['show', '20261201-000000-000-abcdef'],
    code: 1,
    says: /There is no set '20261201-000000-000-abcdef'/,
  },
  {
    row: '`group restore` without any set',
    args: ['restore', '--out', '/nowhere/at/all', '--as', 'again'],
    code: 1,
    says: /There is no set of group 'bank'[\s\S]*group take/,
  },
  {
    row: '`--egress` of a member in another form',
    args: ['restore', '--out', '/nowhere/at/all', '--as', 'again', '--egress', 'web'],
    code: 2,
    says: /MEMBER=EGRESS/,
  },
  {
    row: '`group restart` of a member without `ack: durable`',
    args: ['restart', '--out', '/nowhere/at/all'],
    code: 2,
    says: /Not all members of 'bank' have ack: durable[\s\S]*'web', 'db'[\s\S]*group restore/,
  },
  {
    row: '`group restart` of a member that runs, has no durable log here, or ran alone since',
    args: ['restart', '--out', '/nowhere/at/all'],
    pairMore: 'ack: durable',
    code: 1,
    says: /cannot go on from its durable logs:\s+web: there is no durable log[\s\S]*db: there/,
  },
];

for (const { row, args, more, pairMore, code, says } of cases) {
  it(row, async () => {
    const file = groupFile(more, pairMore);
    const before = fs.readdirSync(path.dirname(file)).sort();
    const ended = await runHere(['group', ...args, '--group', file]);
    expect(ended.stderr).toMatch(says);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(fs.readdirSync(path.dirname(file)).sort()).toEqual(before);
    expect(errorsPage).toContain(`| ${row} |`);
  });
}
