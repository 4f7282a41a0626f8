/** Processes of a node: none outlives it, and none that is not ours is ever touched. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootId, processStartTime } from '../../src/host/pid-files.ts';
import {
  endStale,
  findProgram,
  livingOwned,
  type OwnedProcess,
  parentDeathSignalWorks,
  type SpawnOptions,
  spawnOwned,
} from '../../src/host/processes.ts';
import { compiled } from '../compiled/program.ts';
import { makeRunDir, removeRunDir } from '../hypervisor/real-qemu.ts';

let runDir: string;
let owned: OwnedProcess[];
let foreign: ChildProcess[];

beforeEach(() => {
  runDir = makeRunDir();
  owned = [];
  foreign = [];
});
afterEach(async () => {
  for (const child of owned) await child.kill('SIGKILL');
  for (const child of foreign) child.kill('SIGKILL');
  removeRunDir(runDir);
});

function start(command: string, args: string[], more: Partial<SpawnOptions> = {}): OwnedProcess {
  const child = spawnOwned({ name: 'test', command, args, runDir, ...more });
  owned.push(child);
  return child;
}

const shell = (script: string, more: Partial<SpawnOptions> = {}): OwnedProcess =>
  start('sh', ['-c', script], more);

/** A process that nobody here owns. */
function startForeign(): number {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  foreign.push(child);
  return child.pid!;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const gone = (pid: number): boolean => processStartTime(pid) === undefined;

describe('a child', () => {
  it('reports an exit that nobody asked for, with what it said', async () => {
    // Goal: the reason that QEMU gave on stderr reaches the operator.
    let told: unknown;
    const onExit = (info: unknown): void => {
      told = info;
    };
    const info = await shell('echo "no such drive" >&2; exit 3', { onExit }).exited;
    expect(info).toMatchObject({ code: 3, signal: null, expected: false, reason: 'exit code 3' });
    expect(info.stderr).toBe('no such drive\n');
    expect(info.error).toMatchObject({ code: 'qemu', cause: { message: 'no such drive' } });
    expect(told).toBe(info);
  });

  it('keeps only the end of a long stderr', async () => {
    // Goal: a chatty process costs 16 KiB, and the last words are what is kept.
    const script = 'i=0; while [ $i -lt 9000 ]; do echo "line $i" >&2; i=$((i+1)); done';
    const { stderr } = await shell(script).exited;
    expect(stderr.length).toBe(16 * 1024);
    expect(stderr.endsWith('line 8999\n')).toBe(true);
  });

  it('does not wait for somebody else who holds its stderr open', async () => {
    // Goal: the end of a process is known at once even when it left a child behind.
    const child = shell('sleep 1000 & echo $! >&2; exit 0');
    const { stderr } = await child.exited;
    process.kill(Number(stderr.trim()), 'SIGKILL');
    expect(gone(child.pid)).toBe(true);
  });

  it('ends on SIGTERM, and that was expected', async () => {
    // Goal: an end on purpose is no error.
    const info = await start('sleep', ['1000']).kill();
    expect(info).toMatchObject({ signal: 'SIGTERM', expected: true, error: undefined });
  });

  it('gets SIGKILL when it ignores SIGTERM', async () => {
    // Goal: nothing can refuse to end.
    const child = shell('trap "" TERM; echo ready >&2; while :; do sleep 1; done');
    await until(() => child.stderrTail() === 'ready\n', 'the trap is set');
    const info = await child.kill('SIGTERM', { terminateMs: 50 });
    expect(info).toMatchObject({ signal: 'SIGKILL', expected: true });
    expect(await child.kill()).toBe(info);
  });

  it('has the environment it was given', async () => {
    // Goal: options reach the process itself, through all that starts it.
    const { stderr } = await shell('echo "$WORD" >&2', { env: { WORD: 'understudy' } }).exited;
    expect(stderr).toBe('understudy\n');
  });

  it('gets its arguments as they are', async () => {
    // Goal: no shell on the way looks at them.
    const args = ['-c', 'printf "%s|" "$@" >&2', 'sh', 'a b', '$HOME', '', '"; exit 9', "'"];
    expect((await start('sh', args).exited).stderr).toBe('a b|$HOME||"; exit 9|\'|');
  });

  it('is the program itself, in a process group of its own', async () => {
    // Goal: signals go to QEMU and not to a wrapper; Ctrl-C at the node does not reach it.
    const child = start('sleep', ['1000']);
    const comm = (): string => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim();
    await until(() => comm() === 'sleep', 'the program runs');
    const group = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[4];
    expect(Number(group)).toBe(child.pid);
  });

  it('is refused by name when there is no such program', () => {
    // Goal: what is missing is said, instead of an exit code 127 later.
    expect(() => start('no-such-program', [])).toThrow(/Cannot find the program 'no-such-program'/);
    expect(findProgram('sh')).toMatch(/^\/.*\/sh$/);
    expect(findProgram(runDir)).toBeUndefined();
  });

  it('has a pid file for its owner only, as long as it lives', async () => {
    // Goal: a node that is killed leaves a trace, one that is not leaves none.
    const child = start('sleep', ['1000'], { name: 'recorder' });
    const [file] = readdirSync(runDir);
    expect(statSync(path.join(runDir, file!)).mode & 0o777).toBe(0o600);
    expect(livingOwned(runDir)).toMatchObject([
      {
        name: 'recorder',
        pid: child.pid,
        startTime: processStartTime(child.pid),
        bootId: bootId(),
      },
    ]);
    await child.kill('SIGKILL');
    expect(readdirSync(runDir)).toEqual([]);
  });
});

describe('a node that ends', () => {
  async function startNode(
    ending: string,
    env = process.env,
  ): Promise<{ node: ChildProcess; child: number }> {
    const args = [compiled('test/host/owned-child-main.ts'), runDir, ending];
    const node = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    foreign.push(node);
    const child = await new Promise<number>((resolve, reject) => {
      node.stdout?.once('data', (data: Buffer) => resolve(Number(data.toString())));
      node.once('exit', () => reject(new Error('the node ended before it had a child')));
    });
    return { node, child };
  }

  it('takes its children along when it is killed', async () => {
    // Goal: SIGKILL of the node, which runs no code of ours, leaves no process behind.
    expect(parentDeathSignalWorks()).toBe(true);
    const { node, child } = await startNode('wait');
    await until(() => readFileSync(`/proc/${child}/comm`, 'utf8') === 'sleep\n', 'it sleeps');
    node.kill('SIGKILL');
    await until(() => gone(child), 'the child of the killed node is gone');
    // The file it left says nothing that lives: nothing is ended, and it is cleared away.
    expect(await endStale(runDir)).toEqual([]);
    expect(readdirSync(runDir)).toEqual([]);
  });

  it('takes its children along when it exits', async () => {
    // Goal: an exit without an orderly end leaves no process behind, also without setpriv.
    const bin = path.join(runDir, 'bin');
    mkdirSync(bin);
    symlinkSync(findProgram('sleep')!, path.join(bin, 'sleep'));
    const { child } = await startNode('exit', { ...process.env, PATH: bin });
    await until(() => gone(child), 'the child is gone');
  });
});

describe('the start of a node', () => {
  const deadNode = { pid: 2 ** 22 + 1, startTime: '1' };

  function leavePidFile(pid: number, changes: object = {}): void {
    const content = {
      name: 'recorder',
      command: 'sleep',
      pid,
      startTime: processStartTime(pid),
      bootId: bootId(),
      node: deadNode,
      ...changes,
    };
    writeFileSync(path.join(runDir, `recorder-${pid}.pid.json`), JSON.stringify(content));
  }

  it('ends what an earlier node left running, and says so', async () => {
    // Goal: the very process in the pid file is gone when this returns, and its file as well.
    const pid = startForeign();
    leavePidFile(pid);
    expect(await endStale(runDir)).toEqual([{ name: 'recorder', pid, command: 'sleep' }]);
    expect(gone(pid)).toBe(true);
    expect(readdirSync(runDir)).toEqual([]);
  });

  it.each([
    ['the pid was given to another process since', { startTime: '12345' }],
    ['the machine was booted since', { bootId: '00000000-0000-0000-0000-000000000000' }],
  ])('touches nothing when %s', async (_, changes) => {
    // Goal: a process that is not ours survives, whatever an old file says.
    const pid = startForeign();
    leavePidFile(pid, changes);
    expect(await endStale(runDir)).toEqual([]);
    expect(gone(pid)).toBe(false);
    expect(readdirSync(runDir)).toEqual([]);
  });

  it('leaves everything alone while another node uses the directory', async () => {
    // Goal: a node started twice by mistake does not kill the machine of the first.
    const node = startForeign();
    const pid = startForeign();
    leavePidFile(pid, { node: { pid: node, startTime: processStartTime(node) } });
    await expect(endStale(runDir)).rejects.toMatchObject({ code: 'resources' });
    expect(gone(pid)).toBe(false);
    expect(readdirSync(runDir)).toHaveLength(1);
  });

  it('leaves its own children alone', async () => {
    // Goal: calling it late does no harm.
    const child = start('sleep', ['1000']);
    expect(await endStale(runDir)).toEqual([]);
    expect(gone(child.pid)).toBe(false);
    expect(livingOwned(runDir)).toHaveLength(1);
  });

  it('clears away files that were cut short, and only pid files', async () => {
    // Goal: what a dying node half wrote does not stop the next start.
    writeFileSync(path.join(runDir, 'recorder-7.pid.json.new'), '{"name": "rec');
    writeFileSync(path.join(runDir, 'storage-8.pid.json'), '[]');
    writeFileSync(path.join(runDir, 'disk.raw'), 'data');
    expect(await endStale(runDir)).toEqual([]);
    expect(readdirSync(runDir)).toEqual(['disk.raw']);
  });

  it('finds nothing in a directory that does not exist', async () => {
    // Goal: the first start of all is an ordinary one.
    expect(await endStale(path.join(runDir, 'none'))).toEqual([]);
    expect(existsSync(path.join(runDir, 'none'))).toBe(false);
  });
});

it('a name with spaces and parentheses does not confuse the start time', () => {
  // Goal: field 22 of /proc/PID/stat is counted from the right place.
  const script = 'cp "$(command -v sleep)" "$0/a) S 1 (b" && exec "$0/a) S 1 (b" 1000';
  const child = spawn('sh', ['-c', script, runDir], { stdio: 'ignore' });
  foreign.push(child);
  const comm = (): string => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim();
  return until(() => comm() === 'a) S 1 (b', 'it runs').then(() => {
    const started = execFileSync('ps', ['-o', 'etimes=', '-p', String(child.pid)]).toString();
    const ticks = Number(processStartTime(child.pid!));
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    expect(Math.abs(uptime - ticks / 100 - Number(started))).toBeLessThan(3);
  });
});
