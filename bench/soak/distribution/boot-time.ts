/** How long the guest takes to boot: on plain TCG, as without us. */
import { startBare } from '../../../src/bench/measure/bare.ts';
import type { Stage } from '../../../src/lab/stage.ts';
import type { DebianGuest } from './guest.ts';

/** Its boot with everything in its way. */
export const bootMs = 900_000;

/**
 * Milliseconds until it answers by ssh. Uses the first node's disk, which it leaves cleanly: what
 * boots next finds nothing to mend.
 */
export async function bareBootMs(
  stage: Stage,
  egressSpec: string,
  guest: DebianGuest,
): Promise<number> {
  const begun = performance.now();
  const qemu = await startBare('bare', stage, egressSpec);
  try {
    await guest.untilUp(bootMs);
    const took = performance.now() - begun;
    guest.start('systemctl poweroff').stdin.end();
    await qemu.exited;
    return took;
  } finally {
    await qemu.kill();
  }
}
