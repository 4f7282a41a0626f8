// A backup is started with an arbiter that is not that of the pair, while the primary runs: an
// empty copy, a copy that was set up by itself, none at all. It boots nothing and says why; with
// the right one it protects.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { setUpArbiterOf } from '../../src/node/set-up-arbiter.ts';
import { PairUnderTest } from './harness/pair.ts';
import { bootMs, waitFor } from './harness/wait.ts';

let pair: PairUnderTest | undefined;

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair?.logs());
  await pair?.close();
  pair = undefined;
});

/** The node waits for this, and has no machine. */
async function waitsFor(node: NodeProcess, words: string): Promise<void> {
  const { role } = await waitFor(
    `${node.name} to wait: ${words}`,
    async () => {
      const status = await node.status();
      return status.reason?.includes(words) === true ? status : undefined;
    },
    bootMs,
  );
  expect(role).toBe('starting');
}

test('another arbiter than the primary has: no second primary, and the reason is said', async () => {
  const tested = await PairUnderTest.open();
  pair = tested;
  const at = (name: string): string => path.join(tested.stage.dir, name);
  const primary = await tested.booted();
  const expectUntouched = async (): Promise<void> => {
    expect(await primary.status()).toMatchObject({ role: 'primary', term: 1 });
    expect(tested.terms()).toHaveLength(1);
  };

  // What another host, or a share that is not mounted, has at the same path.
  fs.mkdirSync(at('copy'));
  tested.configure((file) => (file.arbiter = `file:${at('copy')}`));
  let backup = tested.start('b');
  await waitsFor(backup, `The arbiter in '${at('copy')}' was never set up for this pair`);
  await expectUntouched();
  expect(fs.readdirSync(at('copy'))).toEqual([]);

  // The operator sets that one up as well, and the node that waits sees it.
  const { identity } = await setUpArbiterOf(tested.stage.pairFile);
  // It has no image yet, so it could not boot either.
  await waitsFor(backup, 'the peer and this node refuse each other');
  const saying = (node: NodeProcess, about: string) =>
    waitFor(`${node.name} to say '${about}'`, async () => {
      const { concerns } = await node.status();
      return concerns.find((one) => one.about === about && one.problem.includes(identity));
    });
  await saying(backup, 'peer');
  await saying(backup, 'arbiter');
  await saying(primary, 'peer');
  await expectUntouched();
  expect(fs.readdirSync(at('copy'))).toEqual(['identity']);
  await backup.stop();

  // With the right one it is still held to the one that it has seen, until that is removed.
  tested.configure((file) => (file.arbiter = `file:${at('arbiter')}`));
  expect(await tested.start('b').exited).toBe(1);
  await expectUntouched();
  fs.rmSync(at('.understudy/demo-b.arbiter.json'));
  backup = tested.start('b');
  await tested.protectedBy(primary, backup);
  expect((await primary.status()).concerns).toEqual([]);
  await backup.stop();
  await primary.until('alone');

  // The directory goes while the backup is down, and then the primary with its machine.
  fs.renameSync(at('arbiter'), at('away'));
  backup = tested.start('b');
  await waitsFor(backup, `The arbiter's directory '${at('arbiter')}' is not there`);
  fs.mkdirSync(at('arbiter'));
  await waitsFor(backup, 'is empty: this node knows the arbiter of the pair by the identity');
  expect(await primary.status()).toMatchObject({ role: 'primary', state: 'alone' });
  await primary.killWithMachine();
  await waitsFor(backup, 'is empty: this node knows');
  expect(fs.readdirSync(at('arbiter'))).toEqual([]);
  expect(tested.leftOf('b')).toEqual([]);

  // It is mounted again: the node sees that its disks are the older ones.
  fs.rmdirSync(at('arbiter'));
  fs.renameSync(at('away'), at('arbiter'));
  await waitsFor(backup, 'the peer does not answer, and the disks here may be older');
  expect(tested.terms()).toHaveLength(2);
});
