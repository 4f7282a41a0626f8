// Where only the backup runs, a snapshot is asked for there: the node asks its primary over the
// link, and says what became of it, or that there is nobody to ask. The primary is a script that
// has nothing to seed.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { term } from '../../src/base/units.ts';
import { UnderstudyNode } from '../../src/node/node.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { askNode } from '../../src/observe/control-client.ts';
import type { Control, Link } from '../../src/ports/link.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import { freePort } from '../arbiter/lossy-proxy.ts';
import { runVerb } from '../cli/run.ts';
import { identityOfB, quiet, writeMachineless } from './machineless.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const pairFile = path.join(dir, 'pair.yaml');
const control = path.join(dir, 'run-a/control');
let portB: number;
let node: UnderstudyNode;
let ended: Promise<unknown>;
let peer: LinkListener | undefined;

beforeEach(async () => {
  await writeMachineless(dir);
  portB = await freePort();
  fs.writeFileSync(
    pairFile,
    `pair: p\nvm: vm.yaml\narbiter: file:terms\nsnapshots: { store: kept }\nnodes:
  a: { listen: 'ws://127.0.0.1:${await freePort()}', runDir: run-a }
  b: { listen: 'ws://127.0.0.1:${portB}', runDir: run-b }\n`,
  );
  const config = loadPairConfig(pairFile, 'a');
  node = await UnderstudyNode.create({ config, log: quiet, startAnew: false });
  ended = node.run();
});
afterEach(async () => {
  node.stop();
  await ended;
  await peer?.close();
  peer = undefined;
  // The next one is another pair, with an arbiter of its own.
  for (const name of ['terms', '.understudy']) fs.rmSync(path.join(dir, name), { recursive: true });
});

/** Node b, as a primary that answers `request`, or not. Resolves when the node is its backup. */
async function primary(answer: (request: Control, link: Link) => Control | undefined) {
  const identity = await identityOfB(dir);
  const spoken = { role: 'primary', isGranted: false, spoken: term(1), logged: term(0) } as const;
  const onLink = (link: Link): void => {
    const beat = setInterval(() => {
      const control = { type: 'heartbeat', sentAtMs: performance.now() } as const;
      link.send({ kind: 'control', term: term(1), control });
    }, 50);
    link.onClose(() => clearInterval(beat));
    link.onMessage((message) => {
      if (message.kind !== 'control' || message.control.type !== 'snapshotRequest') return;
      const said = answer(message.control, link);
      if (said !== undefined) link.send({ kind: 'control', term: term(1), control: said });
    });
  };
  peer = await listen({
    ...{ host: '127.0.0.1', port: portB, onLink },
    identity: () => ({ ...identity, standing: spoken }),
  });
  await until(() => node.status().role === 'backup');
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const takeVerb = (...more: string[]) => runVerb(['snapshot', 'take', '--pair', pairFile, ...more]);

it('the primary has it kept: the verb prints its id', async () => {
  const asked: Control[] = [];
  await primary((request) => {
    asked.push(request);
    if (request.type !== 'snapshotRequest') return undefined;
    return { type: 'snapshotResult', requestId: request.requestId, snapshot: 'the-id' };
  });
  const taken = await takeVerb('--label', 'before the upgrade', '--json');
  expect(taken).toEqual({ code: 0, stdout: '{"snapshot":"the-id"}\n', stderr: '' });
  expect(asked).toEqual([{ type: 'snapshotRequest', requestId: '1', label: 'before the upgrade' }]);
});

it('the primary refuses: the verb says why, and fails', async () => {
  await primary((request) => {
    if (request.type !== 'snapshotRequest') return undefined;
    const problem = 'There is nothing to compare: state is seeding';
    return { type: 'snapshotResult', requestId: request.requestId, problem };
  });
  const { code, stdout, stderr } = await takeVerb();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('understudy: There is nothing to compare: state is seeding\n  try: see');
});

it('the primary goes away before it has answered: that is said', async () => {
  await primary((_, link) => void link.close('it ends'));
  const answer = await askNode(control, 'snapshot');
  expect(answer).toMatchObject({
    ok: false,
    code: 'link',
    error: expect.stringMatching(/^The link to the primary ended before .*: it ends/),
    hint: expect.stringContaining('snapshot ls'),
  });
});

it('no primary is connected: one error, from the verb and from the node', async () => {
  await until(() => node.status().state === 'waiting');
  const { code, stdout, stderr } = await takeVerb();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('No node of this pair is primary or backup on this host');
  expect(stderr).toContain('  because: a is waiting: ');
  expect(await askNode(control, 'snapshot')).toMatchObject({
    ok: false,
    error: "Node 'a' has no primary to ask for a snapshot",
  });
});

it('a node that does not write to its store refuses to change it', async () => {
  await until(() => node.status().state === 'waiting');
  expect(await askNode(control, 'removeSnapshot', { snapshot: 'x' })).toMatchObject({
    ok: false,
    code: 'store',
    error: `Node 'a' does not write to '${path.join(dir, 'kept')}' now`,
  });
});
