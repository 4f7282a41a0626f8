// A guest with two network cards: each is heard on its own wire, before and after a takeover, and
// is announced there and nowhere else.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import YAML from 'yaml';
import { loadVmConfig } from '../../src/hypervisor/config.ts';
import { StreamPeer } from '../egress/outside.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';

let pair: PairUnderTest;
const peers = { a: new StreamPeer(), b: new StreamPeer() };
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
  for (const peer of Object.values(peers)) await peer.close();
});

const hex = (mac: string): string => mac.replaceAll(':', '');
const stranger = '525400999999';

/** Asks who has 10.78.0.2, as 10.78.0.1. */
const question = Buffer.from(
  `ffffffffffff${stranger}08060001080006040001${stranger}0a4e00010000000000000a4e0002`,
  'hex',
);
/** Source and ethertype of a frame. */
const headOf = (frame: Buffer): string => frame.toString('hex', 6, 14);

test('both cards of a guest keep their wire over a takeover', async () => {
  const vmFile = path.join(pair.stage.dir, 'vm.yaml');
  const vm = YAML.parse(fs.readFileSync(vmFile, 'utf8')) as { nics: object[] };
  vm.nics.push({});
  fs.writeFileSync(vmFile, YAML.stringify(vm));
  const [first, second] = (await loadVmConfig(vmFile)).nics.map(({ mac }) => hex(mac));
  const ports = { a: await peers.a.listen(0), b: await peers.b.listen(0) };
  pair.configure(({ nodes }) => {
    for (const name of ['a', 'b'] as const) {
      const node = nodes[name] as { egress?: unknown };
      node.egress = [node.egress, `stream:127.0.0.1:${ports[name]}`];
    }
  });
  const a = await pair.boot(); // another machine than the one that is kept
  const b = pair.start('b');
  await pair.protectedBy(a, b);
  const terminal = await pair.console(a);
  await terminal.run('ifconfig eth1 10.78.0.2 netmask 255.255.255.0 up');

  const answers = async (peer: StreamPeer): Promise<void> => {
    await waitFor('an answer of the second card', () => {
      peer.put(question);
      return peer.seen.some((frame) => headOf(frame) === `${second}0806`) || undefined;
    });
  };
  await answers(peers.a);
  await a.killWithMachine();
  await b.until('alone');
  await answers(peers.b);
  await waitFor('answers of the first card', () => pair.read('/read'));
  for (const { seen } of Object.values(peers)) {
    expect(seen.map(headOf)).toContain(`${second}8035`);
    expect(seen.filter((frame) => headOf(frame).startsWith(first ?? ''))).toEqual([]);
  }
});
