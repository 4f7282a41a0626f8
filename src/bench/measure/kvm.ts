/** Whether this host has a KVM to compare with. */
import fs from 'node:fs';
import { asError } from '../../base/errors.ts';

/**
 * What keeps guests from running in KVM here; `undefined` when one came up. Asked by starting one:
 * where machines are nested, KVM may be there and start a machine, and the guest's kernel hangs in
 * it.
 */
export async function kvmProblem(
  start: () => Promise<unknown>,
  device = '/dev/kvm',
): Promise<string | undefined> {
  if (!fs.existsSync(device)) return 'this host has no KVM';
  try {
    await start();
    return undefined;
  } catch (thrown) {
    const { message, cause } = asError(thrown);
    const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
    return `this host has no KVM that runs a guest: ${why}`;
  }
}
