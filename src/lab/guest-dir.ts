/** What `scripts/guest/build` has made, in one directory. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asError, UnderstudyError } from '../base/errors.ts';

/** Of this checkout. */
export const defaultGuestDir = fileURLToPath(new URL('../../build/guest', import.meta.url));

export interface GuestFacts {
  /** Command line of the example guest's kernel. */
  readonly append: string;
  /** The same of a machine made of a container image; not in guests that are none of ours. */
  readonly containerAppend?: string;
}

/** Throws `environment` when there is no guest. */
export function readGuest(dir: string): GuestFacts {
  try {
    return JSON.parse(fs.readFileSync(path.join(dir, 'guest.json'), 'utf8')) as GuestFacts;
  } catch (thrown) {
    throw new UnderstudyError('environment', `There is no guest image in '${dir}'`, {
      cause: asError(thrown),
      hint: 'run scripts/setup',
    });
  }
}

/** With what a machine that is made of a container image is booted. */
export interface ContainerBoot {
  readonly kernel: string;
  /** Programs and drivers; what the machine runs is added to it. */
  readonly initrd: string;
  readonly append: string;
}

/** Throws `environment` when there is none. */
export function containerBoot(dir: string): ContainerBoot {
  const { containerAppend: append } = readGuest(dir);
  const [kernel, initrd] = [path.join(dir, 'vmlinuz'), path.join(dir, 'container.img')];
  const missing = [kernel, initrd].find((file) => !fs.existsSync(file));
  if (append !== undefined && missing === undefined) return { kernel, initrd, append };
  throw new UnderstudyError(
    'environment',
    `The guest image in '${dir}' cannot boot a container: ${missing ?? 'containerAppend in guest.json'} is not there`,
    { hint: 'run scripts/setup, which builds it anew; or give another directory with --guest' },
  );
}
