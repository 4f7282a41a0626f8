// A command in a machine of its own ends as it does anywhere: its exit code, its output byte for
// byte, its signals. When the machine fails in the middle it goes on, and nobody can tell.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { livingOwned } from '../../src/host/processes.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { program, root } from '../cli/run.ts';
import { guestDir } from './harness/booted.ts';
import { bootMs, waitFor } from './harness/wait.ts';

let dir: string;
let running: Running[];

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-exec-test-'));
  running = [];
});

afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ ended }) => ended));
  fs.rmSync(dir, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly stdout: () => Buffer;
  readonly stderr: () => string;
  /** Where its machines are. */
  readonly keep: string;
}

function execute(options: readonly string[], command: readonly string[], input = ''): Running {
  const keep = path.join(dir, `keep${running.length}`);
  const args = ['exec', '--guest', guestDir, '--memory', '128M', '--keep', keep, ...options];
  const child = spawn(process.execPath, [...program, ...args, '--', ...command], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
  });
  const said: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  child.stdout.on('data', (bytes: Buffer) => said.stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => said.stderr.push(bytes));
  child.stdin.end(input);
  const stdout = (): Buffer => Buffer.concat(said.stdout);
  const stderr = (): string => Buffer.concat(said.stderr).toString();
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout: stdout(), stderr: stderr() }));
  });
  const of = { child, ended, stdout, stderr, keep };
  running.push(of);
  return of;
}

/** SIGKILL to QEMUs of the machine's nodes, all at once; returns how many were killed. */
function killMachines({ keep }: Running, life: number, ...nodes: readonly string[]): number {
  const pids = nodes.flatMap((name) => {
    const { runDir } = loadPairConfig(path.join(keep, `${life}/pair.yaml`), name).self;
    const owned = livingOwned(`${runDir}/pids`);
    return owned.filter(({ command }) => /qemu-system/.test(command)).map(({ pid }) => pid);
  });
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return pids.length;
}

const snapshotsOf = ({ keep }: Running, life: number): number => {
  const store = path.join(keep, `${life}/kept/snapshots`);
  if (!fs.existsSync(store)) return 0;
  const names = fs.readdirSync(store, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.snapshot') && !name.includes('.new-')).length;
};

/** Bytes that look like chance and are the same each time, with an account of them beside them. */
const streaming = `
my ($state, $hash) = (12345, 0);
binmode STDOUT;
for my $piece (1 .. 256) {
  my $bytes = '';
  for (1 .. 1024) {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    $bytes .= pack 'N', $state * 2;
  }
  syswrite STDOUT, $bytes;
  syswrite STDERR, "piece $piece state $state\\n";
  select undef, undef, undef, $ARGV[0];
}
exit 5;
`;

/** What it says, by the same rule here. */
function streamed(): { readonly stdout: string; readonly stderr: string } {
  let state = 12345n;
  let stderr = '';
  const digest = createHash('sha256');
  for (let piece = 1; piece <= 256; piece += 1) {
    const bytes = Buffer.alloc(4096);
    for (let word = 0; word < 1024; word += 1) {
      state = (state * 1103515245n + 12345n) & 0x7fffffffn;
      bytes.writeUInt32BE(Number(state * 2n), 4 * word);
    }
    digest.update(bytes);
    stderr += `piece ${piece} state ${state}\n`;
  }
  return { stdout: digest.digest('hex'), stderr };
}

const hashed = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const stream = (pauseSeconds: string): string[] => ['perl', '-e', streaming, pauseSeconds];
/** What we say ourselves of a machine that failed. */
const withoutOurs = (stderr: string): string => stderr.replaceAll(/^understudy: .*\n/gm, '');

describe('a command', () => {
  test(
    'ends with its own code, and one that is not there with 127',
    async () => {
      const seven = await execute(['--tries', '1'], ['sh', '-c', 'cat; exit 7'], 'in\0put').ended;
      expect(seven).toMatchObject({ code: 7, stderr: '' });
      expect(seven.stdout.toString()).toBe('in\0put');
      const none = await execute(['--tries', '1'], ['no-such-command']).ended;
      expect(none.code).toBe(127);
      expect(none.stderr).toMatch(
        /^understudy exec: cannot run 'no-such-command': No such file.*\n$/,
      );
    },
    bootMs,
  );

  test(
    'gets the signals that are sent to exec',
    async () => {
      const trap = 'trap "echo asked; exit 3" TERM; echo up; while :; do sleep 0.1; done';
      const trapped = execute(['--tries', '1'], ['sh', '-c', trap]);
      await waitFor('it to run', () => trapped.stdout().includes('up\n') || undefined, bootMs);
      trapped.child.kill('SIGTERM');
      const asked = await trapped.ended;
      expect([asked.code, asked.stdout.toString(), asked.stderr]).toEqual([3, 'up\nasked\n', '']);
      const plain = execute(['--tries', '1'], ['sh', '-c', 'echo up; exec sleep 1000']);
      await waitFor('it to run', () => plain.stdout().includes('up\n') || undefined, bootMs);
      plain.child.kill('SIGTERM');
      expect((await plain.ended).code).toBe(143);
    },
    bootMs,
  );

  test(
    'says 1 MiB, and something beside it, byte for byte',
    async () => {
      const { code, stdout, stderr } = await execute(['--tries', '1'], stream('0')).ended;
      expect(stdout.length).toBe(1 << 20);
      expect([code, hashed(stdout), stderr]).toEqual([5, ...Object.values(streamed())]);
    },
    bootMs,
  );
});

describe('its machine fails in the middle', () => {
  test(
    'the primary: the backup goes on, with the same bytes',
    async () => {
      const of = execute(['--every', '1s'], stream('0.1'));
      await waitFor('something to be printed', () => of.stdout().length > 1e5 || undefined, bootMs);
      expect(killMachines(of, 1, 'a')).toBeGreaterThan(0);
      const { code, stdout, stderr } = await of.ended;
      expect([code, hashed(stdout), stderr]).toEqual([5, ...Object.values(streamed())]);
      expect(fs.existsSync(path.join(of.keep, '2'))).toBe(false);
    },
    bootMs,
  );

  test(
    'all of it: it goes on from the newest snapshot, with the same bytes',
    async () => {
      const of = execute(['--every', '1s'], stream('0.1'));
      await waitFor('something to be printed', () => of.stdout().length > 1e5 || undefined, bootMs);
      await waitFor('two snapshots', () => snapshotsOf(of, 1) >= 2 || undefined, bootMs);
      expect(killMachines(of, 1, 'a', 'b')).toBeGreaterThan(1);
      const { code, stdout, stderr } = await of.ended;
      expect([code, hashed(stdout)]).toEqual([5, streamed().stdout]);
      expect(withoutOurs(stderr)).toBe(streamed().stderr);
      expect(stderr).toMatch(
        /^understudy: The machine of the command has failed: .* from snapshot /m,
      );
    },
    bootMs,
  );

  test(
    'its kernel, each time: it is tried as often as was asked for, and nothing is said twice',
    async () => {
      const panics = 'echo before; sleep 3; echo c >/proc/sysrq-trigger; sleep 1000';
      const of = execute(['--every', '1s', '--tries', '2'], ['sh', '-c', panics]);
      const { code, stdout, stderr } = await of.ended;
      expect([code, stdout.toString()]).toEqual([125, 'before\n']);
      const failed = 'understudy: The machine of the command has failed: it has booted anew';
      expect(stderr.split(failed)).toHaveLength(3);
    },
    bootMs,
  );
});
