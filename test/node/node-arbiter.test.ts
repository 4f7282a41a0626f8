// A node without a machine beside a primary that answers: with an arbiter that is not the pair's it
// claims nothing, and its status says why.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { term } from '../../src/base/units.ts';
import type { NodeStatus } from '../../src/node/control-server.ts';
import { UnderstudyNode } from '../../src/node/node.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { HelloRefused } from '../../src/wire/hello.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import { freePort } from '../arbiter/lossy-proxy.ts';
import { hangMs } from '../time.ts';
import { identityOfB, quiet, writeMachineless } from './machineless.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
let portB: number;
let peer: LinkListener | undefined;
let stop: (() => Promise<void>) | undefined;
/** Why the peer refused, or was refused. */
const refusals: Error[] = [];

beforeAll(async () => {
  await writeMachineless(dir);
  portB = await freePort();
}, hangMs);

afterEach(async () => {
  await stop?.();
  await peer?.close();
  peer = undefined;
  stop = undefined;
});

/** The peer is primary in term 1 of this arbiter. */
async function startPeer(arbiter: string): Promise<void> {
  const identity = {
    ...(await identityOfB(dir)),
    arbiter,
    standing: { role: 'primary', isGranted: false, spoken: term(1), logged: term(0) },
  } as const;
  peer = await listen({
    ...{ host: '127.0.0.1', port: portB, identity: () => identity },
    onLink: (link) => link.close('there is nothing to seed'),
    onRefused: (error) => refusals.push(error),
  });
}

/** Node a, with this directory as its arbiter. */
async function startNode(directory: string): Promise<() => NodeStatus> {
  const portA = await freePort();
  const file = at(`pair-${portA}.yaml`);
  fs.writeFileSync(
    file,
    `pair: p\nvm: vm.yaml\narbiter: file:${directory}\nnodes:
  a: { listen: 'ws://127.0.0.1:${portA}', runDir: run-${portA}, stateDir: state-${portA} }
  b: { listen: 'ws://127.0.0.1:${portB}', runDir: run-${portB} }\n`,
  );
  const config = loadPairConfig(file, 'a');
  const node = await UnderstudyNode.create({ config, log: quiet, startAnew: false });
  const ended = node.run();
  stop = async () => {
    node.stop();
    await ended;
  };
  return () => node.status();
}

const until = (status: () => NodeStatus, words: string) =>
  vi.waitFor(() => expect(status().reason).toContain(words), { timeout: hangMs });

it('an empty copy of the directory: never set up, and nothing is made', async () => {
  await startPeer('f'.repeat(32));
  fs.mkdirSync(at('empty'));
  const status = await startNode(at('empty'));
  await until(status, `The arbiter in '${at('empty')}' was never set up for this pair`);
  expect(status()).toMatchObject({ role: 'starting', state: 'waiting', term: 0 });
  expect(fs.readdirSync(at('empty'))).toEqual([]);
});

it('a directory that is set up by itself: no term is claimed beside the primary', async () => {
  await startPeer('f'.repeat(32));
  const arbiter = new FileArbiter({ directory: at('own') });
  const { identity } = await arbiter.setUp();
  const status = await startNode(at('own'));
  await until(status, 'The two nodes have two arbiters');
  expect(status().reason).toContain(identity);
  expect(status().concerns).toMatchObject([{ about: 'peer' }, { about: 'arbiter' }]);
  // The peer knows it, too.
  expect(refusals).toContainEqual(expect.any(HelloRefused) as unknown);
  expect(String(refusals.at(-1))).toContain(identity);
  // Its peer is gone now, as far as it knows: it is none that it could take the place of.
  await peer?.close();
  expect(await arbiter.look()).toEqual({ identity, state: undefined });
  expect(status().role).toBe('starting');
  await arbiter.close();
});

it('a directory that goes while the node waits: said, and over when it is back', async () => {
  fs.renameSync(at('terms'), at('away'));
  const status = await startNode(at('terms'));
  await until(status, `The arbiter's directory '${at('terms')}' is not there`);
  expect(fs.existsSync(at('terms'))).toBe(false);
  fs.renameSync(at('away'), at('terms'));
  await until(status, 'the peer does not answer, and the disks here may be older');
  expect(status()).toMatchObject({ term: 1, arbiter: `file:${at('terms')}` });
});
