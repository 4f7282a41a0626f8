// Takeovers in the middle of disk I/O: no request is lost, doubled or left without an answer, also
// when it was in flight as the primary died, over many generations of one machine.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { Lab } from './harness/lab.ts';
import type { Copy, Machine } from './harness/machine.ts';
import { waitFor } from './harness/wait.ts';

const rounds = 20;
/**
 * A request is in flight in one round of ten or twenty: so many, if it takes that long to meet one.
 */
const roundsMax = 80;
const followMs = 700;

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

/** A copy that keeps up. One that stalls is discarded and made anew, as a node would. */
async function seedUntilItFollows(machine: Machine, discarded: string[]): Promise<Copy> {
  for (;;) {
    const copy = await machine.seed();
    try {
      await copy.catchUp();
      await sleep(followMs); // the time in which it follows is what this test is about
      await copy.catchUp();
      return copy;
    } catch (thrown) {
      if (!(thrown instanceof UnderstudyError) || thrown.code !== 'stall') throw thrown;
      discarded.push(thrown.message);
      if (discarded.length > rounds) throw thrown; // it never follows
      await copy.discard();
    }
  }
}

test('the primary is killed again and again while the guest writes to its disk', async () => {
  const discarded: string[] = [];
  let completions = 0;
  let machine = await lab.booted();
  await machine.console.run('work directio 86400');
  await waitFor('the disk work to begin', () => machine.diskWork());
  for (let round = 1; round <= rounds || (completions === 0 && round <= roundsMax); round += 1) {
    const before = await machine.diskWork();
    const copy = await seedUntilItFollows(machine, discarded);
    await machine.kill();
    expect(machine.errors).toEqual([]);
    const heir = await copy.takeOver();
    machine = heir.machine;
    completions += heir.completions;
    const after = await waitFor(`disk I/O in round ${round}`, async () => {
      const now = await machine.diskWork();
      return now.checked > before.checked + 50 ? now : undefined;
    });
    expect(after.errors, `round ${round}`).toBe(0);
  }
  console.log(`${completions} completions made certain, discarded copies: ${discarded.length}`);
  for (const reason of discarded) console.log(reason);
  expect(completions).toBeGreaterThan(0);
});
