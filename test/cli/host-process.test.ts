// `understudy host` as an operator has it: the real program, with nodes that wait for their peer.
// QEMU is a script, as no machine runs.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { HostStatus } from '../../src/controller/host-status.ts';
import { processStartTime } from '../../src/host/pid-files.ts';
import { freePort } from '../arbiter/lossy-proxy.ts';
import { writeMachineless } from '../node/machineless.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { program, root, runVerb } from './run.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const places = ['--dir', at('pairs'), '--run-dir', at('run')];
const running: ChildProcess[] = [];
let hosts = 0;

beforeAll(async () => {
  await writeMachineless(dir);
  fs.mkdirSync(at('pairs'));
});

afterEach(async () => {
  await verb('stop');
  for (const child of running.splice(0)) await exitOf(child);
  fs.rmSync(at('pairs'), { recursive: true });
  fs.mkdirSync(at('pairs'));
});

const verb = (...args: string[]) => {
  const [name = '', ...rest] = args;
  return runVerb(['host', name, ...places, ...rest], { timeout: hangMs, env: { NO_COLOR: '1' } });
};

function startHost(): ChildProcess {
  hosts += 1;
  const log = fs.openSync(at(`host${hosts}.log`), 'w');
  const args = [...program, 'host', ...places, '--name', 'a'];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', log] });
  fs.closeSync(log);
  running.push(child);
  return child;
}

const logOf = (host: number): string => fs.readFileSync(at(`host${host}.log`), 'utf8');

function exitOf(child: ChildProcess): Promise<number | string | null> {
  const ended = child.exitCode ?? child.signalCode;
  if (ended !== null) return Promise.resolve(ended);
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
}

/** Node a waits for node b, which spoke last and is on no host. */
async function writePair(pair: string, more = ''): Promise<void> {
  const [a, b] = [await freePort(), await freePort()];
  fs.writeFileSync(
    at(`pairs/${pair}.yaml`),
    `pair: ${pair}\nvm: ../vm.yaml\narbiter: file:../terms\nnodes:
  a: { listen: 'ws://127.0.0.1:${a}', stateDir: ../state, runDir: ../${pair} ${more} }
  b: { listen: 'ws://127.0.0.1:${b}', stateDir: ../state, runDir: ../${pair}-b }\n`,
  );
}

async function until(what: (status: HostStatus) => boolean): Promise<HostStatus> {
  const end = performance.now() + hangMs;
  let last = '';
  while (performance.now() < end) {
    const { code, stdout } = await verb('status', '--json');
    last = stdout;
    if (code === 0 && what(JSON.parse(stdout) as HostStatus)) return JSON.parse(stdout);
    await sleep(50);
  }
  throw new Error(`the host did not come to it: ${last}`);
}

const nodeOf = (status: HostStatus, pair: string) =>
  status.nodes.find((node) => node.pair === pair);
const isWaiting = (status: HostStatus, pair: string): boolean =>
  nodeOf(status, pair)?.state === 'waiting';
const pidOf = (status: HostStatus, pair: string): number => nodeOf(status, pair)?.pid ?? 0;
const isAlive = (pid: number): boolean => processStartTime(pid) !== undefined;

it('runs every pair; restarts what is killed, not what is stopped; tells a bad file', async () => {
  await writePair('web');
  await writePair('mail');
  fs.writeFileSync(at('pairs/bad.yaml'), 'pair: my pair\n');
  const host = startHost();
  const first = await until((now) => isWaiting(now, 'web') && isWaiting(now, 'mail'));
  expect(first).toMatchObject({ pid: host.pid, dir: at('pairs'), stopping: false });
  expect(first.nodes.map(({ pair, node }) => `${pair}/${node}`)).toEqual(['mail/a', 'web/a']);
  expect(nodeOf(first, 'web')).toMatchObject({
    ...{ file: 'web.yaml', process: 'running', role: 'starting', state: 'waiting' },
    ...{ reason: expect.any(String), restarts: 0, changed: false, concerns: [] },
  });
  const told = await until(({ concerns }) => concerns.length > 0);
  expect(told.concerns).toMatchObject([
    { about: 'bad.yaml', problem: expect.stringContaining('must be 1-32 letters') },
  ]);
  const text = await verb('status');
  expect(text.stdout).toMatch(/^web\/a: starting, waiting, term \d+: .*, pid \d+, restarts 0$/m);
  expect(text.stdout).toMatch(/^ {2}bad\.yaml, since .*must be 1-32 letters/m);

  process.kill(pidOf(first, 'web'), 'SIGKILL');
  const again = await until(
    (now) => isWaiting(now, 'web') && pidOf(now, 'web') !== pidOf(first, 'web'),
  );
  expect(nodeOf(again, 'web')?.restarts).toBe(1);
  expect(pidOf(again, 'mail')).toBe(pidOf(first, 'mail'));

  const pairFile = at('pairs/mail.yaml');
  await runVerb(['stop', '--pair', pairFile, '--name', 'a'], { timeout: hangMs });
  await until((now) => nodeOf(now, 'mail')?.process === 'ended');
  const asked = await verb('restart', 'mail', '--json');
  expect(JSON.parse(asked.stdout)).toEqual({ nodes: ['mail/a'] });
  await until((now) => isWaiting(now, 'mail'));
  const unknown = await verb('restart', 'shop');
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain("There is no 'shop' on this host");
  expect(unknown.stderr).toContain('nodes of this host: mail/a, web/a');

  const second = await runVerb(['host', ...places], { timeout: hangMs });
  expect(second.code).toBe(3);
  expect(second.stderr).toContain(`A host for '${at('pairs')}' runs already: process ${host.pid}`);
  const ended = await verb('stop');
  expect(ended.stdout).toBe(`host ${host.pid} has ended\n`);
  expect(await exitOf(host)).toBe(0);
  expect([pidOf(again, 'web'), pidOf(again, 'mail')].filter(isAlive)).toEqual([]);
});

it('files that change and go: told, and stopped in good order', async () => {
  await writePair('web');
  await writePair('mail');
  startHost();
  const first = await until((now) => isWaiting(now, 'web') && isWaiting(now, 'mail'));
  await writePair('web');
  const changed = await until((now) => nodeOf(now, 'web')?.changed === true);
  expect(pidOf(changed, 'web')).toBe(pidOf(first, 'web'));
  await verb('restart', 'web/a');
  const anew = await until(
    (now) => isWaiting(now, 'web') && pidOf(now, 'web') !== pidOf(first, 'web'),
  );
  expect(nodeOf(anew, 'web')).toMatchObject({ changed: false, restarts: 0 });
  fs.rmSync(at('pairs/web.yaml'));
  const left = await until((now) => nodeOf(now, 'web') === undefined);
  expect(isAlive(pidOf(anew, 'web'))).toBe(false);
  expect(fs.existsSync(at('web'))).toBe(false); // as a node leaves that was told to stop
  expect(pidOf(left, 'mail')).toBe(pidOf(first, 'mail'));
  await writePair('shop', ', egress: nothing');
  const refused = await until((now) => nodeOf(now, 'shop')?.process === 'refused');
  expect(nodeOf(refused, 'shop')?.concerns).toMatchObject([
    { about: 'shop/a', problem: expect.stringContaining('exit code 2') },
  ]);
  await writePair('shop');
  await until((now) => isWaiting(now, 'shop'));
});

it('SIGKILL of the host: its nodes go on, and the next host has them, and their log', async () => {
  await writePair('web');
  const killed = startHost();
  const first = await until((now) => isWaiting(now, 'web'));
  killed.kill('SIGKILL');
  expect(await exitOf(killed)).toBe('SIGKILL');
  const pid = pidOf(first, 'web');
  expect(isAlive(pid)).toBe(true);
  process.kill(pid, 'SIGHUP'); // it has something to say while nobody listens
  const next = startHost();
  const found = await until((now) => isWaiting(now, 'web'));
  expect(found.pid).toBe(next.pid);
  expect(nodeOf(found, 'web')).toMatchObject({ pid, restarts: 0, changed: false });
  const end = performance.now() + hangMs;
  while (!logOf(hosts).includes('SIGHUP: nothing') && performance.now() < end) await sleep(20);
  expect(logOf(hosts)).toMatch(/"of":"web\/a".*SIGHUP: nothing is read anew/);

  // The end of one that is no child is seen, and known for what it was.
  process.kill(pid, 'SIGKILL');
  const again = await until((now) => isWaiting(now, 'web') && pidOf(now, 'web') !== pid);
  expect(nodeOf(again, 'web')?.restarts).toBe(1);
  const kept = await verb('stop', '--keep-nodes');
  expect(kept.stdout).toBe(`host ${next.pid} has ended; its nodes go on\n`);
  expect(isAlive(pidOf(again, 'web'))).toBe(true);
  const third = startHost();
  await until((now) => pidOf(now, 'web') === pidOf(again, 'web') && isWaiting(now, 'web'));
  process.kill(pidOf(again, 'web'), 'SIGTERM');
  await until((now) => nodeOf(now, 'web')?.process === 'ended');
  third.kill('SIGTERM');
  expect(await exitOf(third)).toBe(0);
  expect(logOf(hosts)).toContain('"msg":"the host ends"');
});

it('the run directory is taken away: made anew, and nodes are restarted as before', async () => {
  await writePair('web');
  startHost();
  const first = await until((now) => isWaiting(now, 'web'));
  fs.rmSync(at('run'), { recursive: true });
  process.kill(pidOf(first, 'web'), 'SIGKILL');
  await until((now) => isWaiting(now, 'web') && pidOf(now, 'web') !== pidOf(first, 'web'));
});

it('a node that somebody has started already: adopted, not started a second time', async () => {
  await writePair('web');
  const args = ['node', '--pair', at('pairs/web.yaml'), '--name', 'a'];
  const own = spawn(process.execPath, [...program, ...args], { cwd: root, stdio: 'ignore' });
  running.push(own);
  const end = performance.now() + hangMs;
  while (!fs.existsSync(at('web/control')) && performance.now() < end) await sleep(20);
  startHost();
  const found = await until((now) => isWaiting(now, 'web'));
  expect(nodeOf(found, 'web')).toMatchObject({ pid: own.pid, restarts: 0, concerns: [] });
  await verb('stop');
  expect(await exitOf(own)).toBe(0);
});

it('no host answers, no directory: which, and what to do', async () => {
  const status = await verb('status');
  expect(status).toMatchObject({ code: 1, stdout: '' });
  expect(status.stderr).toContain(`No host answers on '${at('run/control')}'`);
  expect(status.stderr).toContain('try: start one with `understudy host`');
  const missing = await runVerb(['host', '--dir', at('none'), '--run-dir', at('run4')], {
    timeout: hangMs,
  });
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain(`'${at('none')}'`);
});
