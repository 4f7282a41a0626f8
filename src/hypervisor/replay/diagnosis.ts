/** Why a replayer does not go on, for whoever reads the log of its node. */
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { describeThreads, lookAtThreads } from '../../host/threads.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { QemuInstance } from '../qemu/instance.ts';
import { waitsAt } from './at-rest.ts';

/**
 * What it waits at, and what its threads do; it is stopped for that, and of no use afterwards.
 * Returns a sentence; also when it cannot be found out.
 */
export async function diagnose(layout: Layout, instance: QemuInstance): Promise<string> {
  const looks = await lookAtThreads(instance.process.pid, limits.stallLookMs);
  const threads = describeThreads(looks, limits.stallLookMs);
  try {
    await instance.stop();
    return `${waitsAt(layout, await instance.saveDeviceState())}; ${threads}`;
  } catch (thrown) {
    return `its state could not be read: ${asError(thrown).message}; ${threads}`;
  }
}
