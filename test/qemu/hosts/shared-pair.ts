/**
 * One pair on hosts for all tests of a file: a boot and a seed take longer than most of them. Each
 * test finds it protected on a sound network; after one that failed the next gets a new pair.
 */
import { afterAll, afterEach, beforeEach } from 'vitest';
import { PairOnHosts } from './pair-on-hosts.ts';

/** `pairKeys` are added to the pair file. Returns how a test gets at the pair. */
export function sharedPair(pairKeys: Record<string, unknown> = {}): () => PairOnHosts {
  let shared: PairOnHosts | undefined;
  const close = async (): Promise<void> => {
    const pair = shared;
    shared = undefined;
    await pair?.close();
  };

  beforeEach(async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('needs root: namespaces and taps stand for two hosts');
    if (shared === undefined) {
      shared = await PairOnHosts.open(pairKeys);
      await shared.protect();
    }
    await shared.protection();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') {
      console.log(shared?.logs());
      await close();
      return;
    }
    await shared?.network.heal();
  });
  afterAll(close);

  return () => {
    if (shared === undefined) throw new Error('there is a pair only while a test runs');
    return shared;
  };
}
