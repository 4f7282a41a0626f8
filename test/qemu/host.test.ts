// One process runs the machines of a directory, and none is lost: not when a node is killed, not
// when the host itself is, and not when a pair is restarted.
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import YAML from 'yaml';
import type { HostStatus } from '../../src/controller/host-status.ts';
import { processStartTime } from '../../src/host/pid-files.ts';
import { Stage } from '../../src/lab/stage.ts';
import { patientMs } from './harness/pair.ts';
import { bootMs, waitFor } from './harness/wait.ts';
import { consoleOf, RunningVerbs, understudy } from './verbs.ts';

const pairs = ['one', 'two'];
let dir: string;
let stages: Stage[];
let verbs: RunningVerbs;
let places: string[];

const fileOf = (pair: string): string => path.join(dir, 'pairs', `${pair}.yaml`);

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'us-host-'));
  fs.mkdirSync(path.join(dir, 'pairs'));
  places = ['--dir', path.join(dir, 'pairs'), '--run-dir', path.join(dir, 'run')];
  verbs = new RunningVerbs(() => dir);
  stages = [];
  for (const pair of pairs) {
    const nodes = ['a', 'b'];
    const pairKeys = { pair, silenceMs: patientMs };
    const stage = await Stage.open({ nodes, egressSpecs: ['none', 'none'], pairKeys });
    stages.push(stage);
    const config = YAML.parse(fs.readFileSync(stage.pairFile, 'utf8')) as { vm: string };
    config.vm = path.join(stage.dir, config.vm);
    fs.writeFileSync(fileOf(pair), YAML.stringify(config));
  }
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') {
    for (const name of fs.readdirSync(dir).filter((each) => each.endsWith('.log'))) {
      const lines = fs.readFileSync(path.join(dir, name), 'utf8').split('\n').slice(-40);
      console.log([name, ...lines].join('\n'));
    }
  }
  await host('stop');
  await verbs.end();
  for (const stage of stages) await stage.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

const host = (verb: string, ...args: string[]) => understudy('host', verb, ...places, ...args);
const startHost = (): ChildProcess => verbs.run('host', ...places);

async function statusOf(): Promise<HostStatus> {
  return JSON.parse((await host('status', '--json')).stdout) as HostStatus;
}

const nodesOf = (status: HostStatus, pair: string) =>
  status.nodes.filter((node) => node.pair === pair);

function isProtected(status: HostStatus, pair: string): boolean {
  const states = nodesOf(status, pair).map(({ state }) => state);
  return states.includes('protected') && states.includes('protecting');
}

/** The node that runs the machine. */
function primaryOf(status: HostStatus, pair: string) {
  const found = nodesOf(status, pair).find(({ role }) => role === 'primary');
  if (found?.pid === undefined) throw new Error(`nobody runs the machine of ${pair}`);
  return { name: found.node, pid: found.pid };
}

const pidsOf = (status: HostStatus, pair: string) => nodesOf(status, pair).map(({ pid }) => pid);

function until(what: string, holds: (status: HostStatus) => boolean): Promise<HostStatus> {
  const look = async (): Promise<HostStatus | undefined> => {
    const status = await statusOf();
    return holds(status) ? status : undefined;
  };
  return waitFor(what, look, bootMs);
}

/** Another one after each boot of the guest. */
async function bootIdOf(pair: string, node: string): Promise<string> {
  const terminal = await consoleOf(fileOf(pair), node);
  // A node shows what was printed since it was started: ask for another prompt.
  terminal.paste('\n');
  await terminal.until('guest# ', bootMs);
  const said = await terminal.run('cat /proc/sys/kernel/random/boot_id', bootMs);
  return /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(said)?.[0] ?? said;
}

test('two pairs, a killed node, a killed host, a restart, a file that goes: no machine is lost', async () => {
  const first = startHost();
  const both = await until('both pairs', (now) => pairs.every((pair) => isProtected(now, pair)));
  const killed = primaryOf(both, 'one');
  // The images of the first node are those to boot from.
  expect(killed.name).toBe('a');
  const bootId = await bootIdOf('one', killed.name);

  process.kill(killed.pid, 'SIGKILL');
  const healed = await until(
    'the killed node',
    (now) => isProtected(now, 'one') && !pidsOf(now, 'one').includes(killed.pid),
  );
  expect(nodesOf(healed, 'one')).toMatchObject([
    { node: 'a', restarts: 1, role: 'backup', state: 'protecting' },
    { node: 'b', restarts: 0, role: 'primary', state: 'protected' },
  ]);
  expect(pidsOf(healed, 'two')).toEqual(pidsOf(both, 'two'));

  first.kill('SIGKILL');
  await new Promise((resolve) => first.once('exit', resolve));
  const second = startHost();
  const ended = new Promise((resolve) => second.once('exit', resolve));
  const found = await until('the next host', (now) => {
    return now.pid === second.pid && pairs.every((pair) => isProtected(now, pair));
  });
  for (const pair of pairs) expect(pidsOf(found, pair)).toEqual(pidsOf(healed, pair));
  expect(nodesOf(found, 'one').map(({ restarts }) => restarts)).toEqual([0, 0]);

  const asked = await host('restart', 'one', '--json');
  expect(JSON.parse(asked.stdout)).toEqual({ nodes: ['one/a', 'one/b'] });
  const anew = await until('the restart', (now) => {
    const before = pidsOf(found, 'one');
    return isProtected(now, 'one') && !pidsOf(now, 'one').some((pid) => before.includes(pid));
  });
  expect(await bootIdOf('one', primaryOf(anew, 'one').name)).toBe(bootId);

  fs.writeFileSync(path.join(dir, 'pairs', 'bad.yaml'), 'pair: one two\n');
  fs.rmSync(fileOf('two'));
  const left = await until('the nodes of the file that went', (now) => {
    return nodesOf(now, 'two').length === 0 && now.concerns.length > 0;
  });
  expect(left.concerns).toMatchObject([
    { about: 'bad.yaml', problem: expect.stringContaining('must be 1-32 letters') },
  ]);
  expect(isProtected(left, 'one')).toBe(true);
  const gone = pidsOf(found, 'two').map((pid) => processStartTime(pid ?? 0));
  expect(gone).toEqual([undefined, undefined]);
  for (const name of ['a', 'b']) expect(fs.existsSync(stages[1]?.runDir(name) ?? '')).toBe(false);

  expect(await host('stop')).toMatchObject({ code: 0 });
  expect(await ended).toBe(0);
  expect(pidsOf(left, 'one').map((pid) => processStartTime(pid ?? 0))).toEqual([
    undefined,
    undefined,
  ]);
});
