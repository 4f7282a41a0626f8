// The outside worlds, for real: made, used, removed; and what a killed demo left is removed too.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { egressFromSpec, parseEgressSpec } from '../../src/egress/from-spec.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { isStale, ownerName } from '../../src/lab/owner.ts';
import type { WorldChild } from '../../src/lab/world.ts';

const ip = (...args: string[]): boolean => spawnSync('ip', args).status === 0;
const rights = ((): boolean => {
  const probe = `us-probe-w-${process.pid}`;
  return ip('netns', 'add', probe) && ip('netns', 'del', probe) && existsSync('/dev/net/tun');
})();
const passt = spawnSync('passt', ['--version']).status === 0;

async function output(child: WorldChild): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return text;
}

/** The name of an owner that lived a moment ago. */
async function deadOwner(): Promise<string> {
  const child = spawn('sleep', ['60']);
  const name = ownerName(child.pid);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  return name;
}

describe('owner names', () => {
  test('a living owner is not stale, a dead one is, other names are left alone', async () => {
    expect(isStale(ownerName())).toBe(false);
    expect(isStale(await deadOwner())).toBe(true);
    expect(isStale(`understudy-demo-${process.pid}-1`)).toBe(true);
    expect(isStale('somebody-elses')).toBe(false);
  });
});

describe.skipIf(!rights)('the world as a namespace (needs root)', () => {
  test('is there, carries frames between its ports, and is gone afterwards', async () => {
    const world = await openWorld({ kind: 'netns' });
    const netns = ownerName();
    try {
      expect(world).toMatchObject({
        kind: 'netns',
        canPing: true,
        http: { host: '10.77.0.2', port: 80 },
        echo: { host: '10.77.0.2', port: 7 },
      });
      expect(world.egressSpecs).toEqual([
        `tap:usa${process.pid},bridge=br0,netns=${netns}`,
        `tap:usb${process.pid},bridge=br0,netns=${netns}`,
      ]);
      expect(await output(world.spawn('ip', ['-br', 'address', 'show', 'br0']))).toContain(
        '10.77.0.1/24',
      );
      const egresses = world.egressSpecs.map(egressFromSpec);
      await Promise.all(egresses.map((egress) => egress.open()));
      const link = await output(world.spawn('ip', ['-o', 'link', 'show', 'master', 'br0']));
      expect(link.trim().split('\n').length).toBe(2);
      await egresses[0]?.close();
      const bridge = await output(world.spawn('ip', ['-o', 'link', 'show', 'br0']));
      expect(bridge).toContain('02:55:53:00:00:01');
      await egresses[1]?.close();
    } finally {
      const child = world.spawn('sleep', ['60']);
      await world.close();
      await world.close();
      expect(child.signalCode).toBe('SIGTERM');
    }
    expect(readdirSync('/run/netns')).not.toContain(netns);
  });

  test('removes what a killed demo left', async () => {
    const stale = await deadOwner();
    expect(ip('netns', 'add', stale)).toBe(true);
    const world = await openWorld({ kind: 'netns' });
    await world.close();
    expect(readdirSync('/run/netns')).not.toContain(stale);
  });
});

describe.skipIf(!passt)('the world as passt (needs passt)', () => {
  test('one socket for all nodes, ports on loopback, and gone afterwards', async () => {
    const world = await openWorld({ kind: 'passt' });
    const spec = parseEgressSpec(world.egressSpecs[0] ?? '');
    const path = spec.kind === 'stream' && 'path' in spec.address ? spec.address.path : '';
    expect(world).toMatchObject({ kind: 'passt', canPing: false, http: { host: '127.0.0.1' } });
    expect(world.egressSpecs[1]).toBe(world.egressSpecs[0]);
    expect(existsSync(path)).toBe(true);
    expect(await output(world.spawn('echo', ['hello']))).toBe('hello\n');
    const egress = egressFromSpec(world.egressSpecs[0] ?? '');
    await egress.open();
    await egress.close();
    await world.close();
    expect(existsSync(path)).toBe(false);
    expect(existsSync(join(tmpdir(), ownerName()))).toBe(false);
  });

  test('removes what a killed demo left', async () => {
    const folder = join(tmpdir(), await deadOwner());
    mkdirSync(folder);
    const world = await openWorld({ kind: 'passt' });
    await world.close();
    expect(existsSync(folder)).toBe(false);
  });
});

if (!rights) {
  console.warn('the namespace world is not tested for lack of rights (root)');
  test('SKIPPED for lack of rights: the namespace world', (context) => context.skip());
}
if (!passt) test('SKIPPED as passt is not installed: its world', (context) => context.skip());
