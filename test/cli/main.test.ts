// The command line must say what is wrong in one message, and with the exit code that
// docs/errors.md promises. Each verb is met in the real program; a case more of it may run in this
// process.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { runHere, runVerb } from './run.ts';

const dir = scratchDir();
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

const understudy = (...args: string[]) =>
  runVerb(args, { timeout: hangMs, env: { NO_COLOR: '1' } });

const nodeA = ['--pair', pairFile, '--name', 'a'];

const verbs = [
  'init',
  'node',
  'host',
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
  'run',
  'exec',
  'bench',
];

describe('understudy', () => {
  it('--help names every verb, on standard output', async () => {
    const { code, stdout, stderr } = await understudy('--help');
    expect([code, stderr]).toEqual([0, '']);
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'));
  });

  it('--version says which one it is', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const said = await understudy('--version');
    expect(said).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each(verbs)('%s --help explains it', async (verb) => {
    const { code, stdout, stderr } = await understudy(verb, '--help');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: understudy ${verb}`);
  });

  it.each([
    'log dump',
    'log stat',
    'host status',
    'host restart',
    'host stop',
    ...['take', 'ls', 'show', 'dump', 'rm', 'verify', 'diff'].map((verb) => `snapshot ${verb}`),
  ])('%s --help explains it', async (verb) => {
    const { code, stdout, stderr } = await runHere([...verb.split(' '), '--help']);
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
    ['no file', ['snapshot', 'dump', 'x'], "missing required argument 'file'"],
    ['bad pair name', ['restore', '--as', 'a b', '--out', 'x'], "cannot be called 'a b'"],
    ['nothing prepared', ['node', ...nodeA, '--from', '/nowhere'], 'There is no prepared machine'],
    ['bad position', ['log', 'dump', 'x', '--from', '-1'], 'must be a whole number'],
  ])('%s: exit code 2, and what is wrong', async (_, args, message) => {
    const { code, stdout, stderr } = await runHere(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });

  it('no verb, an unknown verb: the same from the real program', async () => {
    expect(await understudy()).toEqual(await runHere([]));
    expect(await understudy('statsu')).toEqual(await runHere(['statsu']));
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
      const { code, stdout, stderr } = await runHere([...args, '--store', `${dir}/no-store`]);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`There is no snapshot store in '${dir}/no-store'`);
    }
  });

  it('snapshot take where no node answers: exit code 1, and where to run it', async () => {
    const { code, stdout, stderr } = await understudy('snapshot', 'take', '--pair', pairFile);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.trimEnd().split('\n')).toEqual([
      'understudy: No node of this pair is primary or backup on this host',
      '  because: none answers here',
      '  try: run this on a host of the pair, as the user that runs the node',
    ]);
  });

  it('store that a node of another host writes to: exit code 1, and which host', async () => {
    const directory = path.join(dir, 'kept');
    mkdirSync(path.join(directory, 'owners'), { recursive: true });
    const node = { pair: 'web', name: 'b', control: '/run/b/control' };
    const elsewhere = { host: 'elsewhere', machineId: 'm', bootId: 'b', pidSpace: 'p' };
    const flag = { understudy: 'store-owner', version: 1, ...elsewhere, pid: 7, startTime: '1' };
    const file = path.join(directory, 'owners/flag');
    writeFileSync(file, JSON.stringify({ ...flag, node }));
    const { code, stdout, stderr } = await understudy('snapshot', 'rm', 'x', '--store', directory);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.trimEnd().split('\n')).toEqual([
      `understudy: Cannot write to store '${directory}': it is in use by node 'b' of pair 'web', process 7 on 'elsewhere'`,
      `  try: Run this on 'elsewhere': it asks that node there. If it is dead for certain, remove '${file}'.`,
    ]);
  });

  it('node that is not in the pair: exit code 2', async () => {
    const { code, stderr } = await runHere(['status', '--pair', pairFile, '--name', 'c']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('the pair has a and b')]);
  });

  it('init: makes the arbiter once, and says so; again it changes nothing', async () => {
    const file = path.join(dir, 'init.yaml');
    const text = readFileSync(pairFile, 'utf8').replace('file:terms', 'file:new/terms');
    writeFileSync(file, text);
    const first = await understudy('init', '--pair', file);
    const where = path.join(dir, 'new/terms');
    const made =
      /^The arbiter in '(.+)' is set up for pair 'cli': its identity is ([0-9a-f]{32})\n$/;
    const [, directory, identity] = made.exec(first.stdout) ?? [];
    expect([first.code, first.stderr, directory]).toEqual([0, '', where]);
    const again = await runHere(['init', '--pair', file]);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain(`was set up for pair 'cli' before: its identity is ${identity}`);
    expect(again.stdout).toContain('nothing is changed');
    const { stdout } = await runHere(['init', '--pair', file, '--json']);
    const arbiter = `file:${where}`;
    expect(JSON.parse(stdout)).toEqual({ pair: 'cli', arbiter, identity, isNew: false });
  });

  it('status of a node that does not run: exit code 1, and how to start it', async () => {
    const watched = ['--pair', pairFile, '--name', 'a'];
    for (const args of [watched, [...watched, '--watch'], [...watched, '--json']]) {
      const { code, stdout, stderr } = await runHere(['status', ...args]);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`No node answers on '${path.join(dir, 'run-a/control')}'`);
      expect(stderr).toContain('try: start it with `understudy node`');
    }
  });
});
