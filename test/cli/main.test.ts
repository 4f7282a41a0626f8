// The command line must say what is wrong in one message, and with the exit code that docs/errors.md
// promises. Each test starts the real program.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();
const root = path.resolve(import.meta.dirname, '../..');
const pairFile = path.join(dir, 'pair.yaml');
writeFileSync(
  pairFile,
  `pair: cli
vm: vm.yaml
arbiter: file:terms
nodes:
  a: { listen: ws://127.0.0.1:1, runDir: run-a }
  b: { listen: ws://127.0.0.1:2, runDir: run-b }
`,
);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function understudy(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const command = ['--import', 'tsx', path.join(root, 'src/cli/main.ts'), ...args];
    const options = { cwd: root, timeout: 15_000, env: { ...process.env, NO_COLOR: '1' } };
    execFile(process.execPath, command, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

const nodeA = ['--pair', pairFile, '--name', 'a'];

const verbs = [
  'node',
  'status',
  'drill',
  'stop',
  'console',
  'witness',
  'secret',
  'demo',
  'doctor',
  'log',
  'snapshot',
  'restore',
  'replay',
  'import',
];

describe('understudy', () => {
  it('--help names every verb, on standard output', async () => {
    const { code, stdout, stderr } = await understudy('--help');
    expect([code, stderr]).toEqual([0, '']);
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'));
  });

  it.each([
    ...verbs,
    'log dump',
    'log stat',
    ...['take', 'ls', 'show', 'rm', 'verify', 'diff'].map((verb) => `snapshot ${verb}`),
  ])('%s --help explains it', async (verb) => {
    const { code, stdout, stderr } = await understudy(...verb.split(' '), '--help');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: understudy ${verb}`);
  });

  it.each([
    ['no verb', [], 'Usage: understudy'],
    ['unknown verb', ['protect'], "unknown command 'protect'"],
    ['mistyped verb', ['statsu'], 'Did you mean status?'],
    ['unknown option', ['doctor', '--colour'], "unknown option '--colour'"],
    ['missing option', ['node', '--name', 'a'], "required option '--pair <file>' not specified"],
    ['bad address', ['witness', '--listen', '7100', '--state', 'x'], 'It must be HOST:PORT'],
    ['bad value', ['demo', '--rounds', 'many'], 'must be a number above 0'],
    ['bad choice', ['log', 'dump', 'x', '--qemu', '4.2'], 'Allowed choices are'],
    ['bad instant', ['replay', '--epoch', 'noon'], 'It must be a whole number'],
    ['bad time', ['replay', '--at', 'noon'], 'It must be a time such as'],
    ['two instants', ['replay', '--epoch', '1', '--end'], 'Give one of --at, --epoch'],
    ['no store', ['snapshot', 'ls'], 'Which store? Give --store'],
    ['pair without snapshots', ['snapshot', 'ls', '--pair', pairFile], 'has no snapshots'],
    ['bad pair name', ['restore', '--as', 'a b', '--out', 'x'], "cannot be called 'a b'"],
    ['nothing prepared', ['node', ...nodeA, '--from', '/nowhere'], 'There is no prepared machine'],
    ['bad position', ['log', 'dump', 'x', '--from', '-1'], 'must be a whole number'],
  ])('%s: exit code 2, and what is wrong', async (_, args, message) => {
    const { code, stdout, stderr } = await understudy(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });

  it('pair file that is not there: exit code 2, one message with cause and hint', async () => {
    for (const verb of ['node', 'status', 'console']) {
      const { code, stderr } = await understudy(verb, '--pair', '/nowhere/p.yaml', '--name', 'a');
      expect(code).toBe(2);
      expect(stderr.trimEnd().split('\n')).toEqual([
        "understudy: Cannot read pair file '/nowhere/p.yaml'",
        expect.stringContaining('  because: ENOENT'),
        '  try: give its path with --pair',
      ]);
    }
  });

  it('store that is not there: exit code 1, and its path', async () => {
    for (const args of [['snapshot', 'ls'], ['restore', '--as', 'x', '--out', dir], ['replay']]) {
      const { code, stdout, stderr } = await understudy(...args, '--store', `${dir}/no-store`);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`There is no snapshot store in '${dir}/no-store'`);
    }
  });

  it('node that is not in the pair: exit code 2', async () => {
    const { code, stderr } = await understudy('status', '--pair', pairFile, '--name', 'c');
    expect([code, stderr]).toEqual([2, expect.stringContaining('the pair has a and b')]);
  });

  it('status of a node that does not run: exit code 1, and how to start it', async () => {
    const watched = ['--pair', pairFile, '--name', 'a'];
    for (const args of [watched, [...watched, '--watch'], [...watched, '--json']]) {
      const { code, stdout, stderr } = await understudy('status', ...args);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`No node answers on '${path.join(dir, 'run-a/control')}'`);
      expect(stderr).toContain('try: start it with `understudy node`');
    }
  });
});
