// Egress over a real TAP in a network namespace of the test's own. Needs CAP_NET_ADMIN.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TapEgress } from '../../src/egress/tap.ts';
import { TapDevice } from '../../src/egress/tap-device.ts';
import { egressContract } from './contract.ts';
import { isOurs, type Outside, testFrame, textOf, until } from './outside.ts';

const ip = (...args: string[]): boolean => spawnSync('ip', args).status === 0;

function missingRight(): string | undefined {
  try {
    TapDevice.create(`ust${process.pid}`).close();
  } catch (error) {
    return (error as Error).message;
  }
  const probe = `us-probe-${process.pid}`;
  const allowed = ip('netns', 'add', probe) && ip('netns', 'del', probe);
  return allowed ? undefined : 'network namespaces may not be created';
}

const missing = missingRight();
const netns = `us-test-${process.pid}`;
let count = 0;
const tapName = (): string => `ust${process.pid}${String.fromCharCode(97 + (count++ % 26))}`;

/** A second tap in the same bridge is the outside. */
async function tapOutside(): Promise<Outside> {
  const far = new TapEgress({ name: tapName(), bridge: 'br0', netns });
  const name = tapName();
  const seen: Buffer[] = [];
  far.onFrame((frame) => {
    if (isOurs(frame)) seen.push(frame);
  });
  await far.open();
  return {
    egress: new TapEgress({ name, bridge: 'br0', netns }),
    seen,
    put: (frame) => far.send([frame]),
    cut: () => Promise.resolve(void ip('-n', netns, 'link', 'del', name)),
    remove: () => far.close(),
  };
}

describe.skipIf(missing !== undefined)('a real tap', () => {
  beforeAll(() => {
    const made =
      ip('netns', 'add', netns) &&
      ip(
        '-n',
        netns,
        'link',
        'add',
        'br0',
        'type',
        'bridge',
        'stp_state',
        '0',
        'mcast_snooping',
        '0',
      ) &&
      ip('-n', netns, 'link', 'set', 'br0', 'addrgenmode', 'none') &&
      ip('-n', netns, 'link', 'set', 'br0', 'up');
    if (!made) throw new Error('cannot set up the network namespace of this test');
  });
  afterAll(() => {
    ip('netns', 'del', netns);
  });

  egressContract('tap in a bridge of a namespace', tapOutside);

  test('3: what came shortly before open is handed over after it', async () => {
    const outside = await tapOutside();
    const received: string[] = [];
    outside.egress.onFrame((frame) => received.push(textOf(frame)));
    await outside.egress.prepare();
    outside.put(testFrame('between two speakers'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(received).toEqual([]);
    await outside.egress.open();
    await until('handed over', () => received.length > 0);
    expect(received).toEqual(['between two speakers']);
    await outside.egress.close();
    await outside.remove();
  });

  test('9: the device is gone when close resolves, and its name can be used again', async () => {
    const name = tapName();
    for (let round = 0; round < 3; round += 1) {
      const egress = new TapEgress({ name, netns });
      await egress.open();
      expect(ip('-n', netns, 'link', 'show', name)).toBe(true);
      await egress.close();
      expect(ip('-n', netns, 'link', 'show', name)).toBe(false);
    }
  });

  test('8: a bridge that is not there is named, and nothing stays behind', async () => {
    const name = tapName();
    const egress = new TapEgress({ name, bridge: 'nobridge', netns });
    await expect(egress.open()).rejects.toMatchObject({
      code: 'environment',
      message: expect.stringContaining('nobridge'),
    });
    expect(ip('-n', netns, 'link', 'show', name)).toBe(false);
    await egress.close();
  });

  test('8: a name in use is told as such', async () => {
    const name = tapName();
    const first = TapDevice.create(name);
    await expect(new TapEgress({ name }).open()).rejects.toThrow(/in use by another process/);
    first.close();
  });
});

if (missing !== undefined) {
  console.warn(`the tap tests are skipped for lack of rights: ${missing}`);
  test(`SKIPPED for lack of rights: ${missing}`, (context) => {
    context.skip(missing);
  });
}
