// The guest goes on with a newer QEMU: its backup executes the log with the old one, and takes over
// with its own. Then the other node gets it, too, and the machine is protected as before.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import YAML from 'yaml';
import type { NodeStatus } from '../../src/node/control-server.ts';
import { root } from '../compiled/program.ts';
import { exampleMachine } from './harness/booted.ts';
import { patientMs } from './harness/pair.ts';
import { bootMs, waitFor } from './harness/wait.ts';
import { Ordeal } from './hosts/ordeal.ts';
import { PairOnHosts } from './hosts/pair-on-hosts.ts';
import { understudy } from './verbs.ts';

let pair: PairOnHosts;
let newer: string;

beforeEach(async ({ skip }) => {
  if (process.getuid?.() !== 0) skip('needs root: namespaces and taps stand for two hosts');
  const made = spawnSync(path.join(root, 'scripts/newer-qemu'), { encoding: 'utf8' });
  if (made.status === 77) skip(made.stderr.trim());
  expect(made.status, made.stderr).toBe(0);
  newer = made.stdout.trim();
  pair = await PairOnHosts.open({ silenceMs: patientMs });
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
});

/** Nodes that start from now on have that QEMU, and can take over from the present one. */
async function nameNewer(program: string): Promise<void> {
  const { qemu, machine, firmware } = await exampleMachine();
  const vm = YAML.parse(fs.readFileSync(path.join(pair.stage.dir, 'vm.yaml'), 'utf8')) as object;
  fs.writeFileSync(
    path.join(pair.stage.dir, 'newer.yaml'),
    YAML.stringify({ ...vm, machine, firmware, qemu: program, upgradeFrom: qemu }),
  );
  pair.configure((file) => {
    file.vm = 'newer.yaml';
  });
}

const qemuOf = ({ qemu, peerQemu }: NodeStatus) => ({ qemu, peerQemu });

test('a machine is upgraded by a takeover, and protected again', { timeout: 600_000 }, async () => {
  const a = await pair.booted();
  const refused = await understudy('upgrade', '--pair', pair.stage.pairFile);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/Node a is not linked to a backup/);
  const same = pair.start('b');
  await pair.protectedBy(a, same);
  const unneeded = await understudy('upgrade', '--pair', pair.stage.pairFile);
  expect(unneeded.stderr).toMatch(/Both nodes have QEMU .*upgradeFrom/s);
  await same.stop();

  await nameNewer(newer);
  const b = pair.start('b');
  await pair.protectedBy(a, b);
  expect(await pair.compare(a, b)).toEqual([]);
  const ordeal = await Ordeal.begin(pair);
  const before = qemuOf(await a.status());
  expect(before.qemu).not.toBe(before.peerQemu);

  const upgraded = await understudy('upgrade', '--pair', pair.stage.pairFile, '--json');
  expect(upgraded.stderr).toBe('');
  expect(JSON.parse(upgraded.stdout)).toMatchObject({
    ...{ from: 'a', to: 'b' },
    ...{ fromQemu: before.qemu, toQemu: before.peerQemu },
  });
  await ordeal.answers();
  await ordeal.checkFiles();
  // What the old one is cannot execute what the new one records.
  await waitFor('node a to say why it is no backup', async () => {
    const { state, concerns } = await a.status();
    const isSaid = concerns.some(({ problem }) => /QEMU is .* on node 'a' and/.test(problem));
    return (state === 'waiting' && isSaid) || undefined;
  });

  await a.stop();
  const again = pair.start('a');
  await pair.protectedBy(b, again);
  expect(qemuOf(await again.status())).toEqual({
    qemu: before.peerQemu,
    peerQemu: before.peerQemu,
  });
  expect(await pair.compare(b, again)).toEqual([]);
  const takeover = again.next((event) => event.type === 'takeover');
  await b.killWithMachine();
  await takeover;
  await ordeal.answers();
  await ordeal.checkFiles();
  await ordeal.end();
});

test('a newer QEMU that cannot go on is no backup', { timeout: 600_000 }, async () => {
  const a = await pair.booted();
  const program = path.join(pair.stage.dir, 'without-hpet');
  const script = `#!/bin/sh
case "$1" in
-name) exec '${newer}' "$@" -machine hpet=off ;;
*) exec '${newer}' "$@" ;;
esac
`;
  fs.writeFileSync(program, script, { mode: 0o755 });
  await nameNewer(program);
  const b = pair.start('b');
  const { reason } = await b.next((event) => event.type === 'replicaDiscarded', bootMs);
  expect(reason).toMatch(/QEMU did not load the device state: .*hpet/s);
  expect(pair.events('a')).not.toContainEqual(expect.objectContaining({ state: 'protected' }));
  expect(await pair.read('/read')).not.toBe('');
  expect((await a.status()).role).toBe('primary');
});
