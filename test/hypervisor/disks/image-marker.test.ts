// An image in the middle of a seed must never be booted from, whatever else has died.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import {
  markImage,
  refuseMarked,
  unmarkImage,
} from '../../../src/hypervisor/disks/image-marker.ts';
import { scratchDir } from '../../node/scratch.ts';

const image = path.join(scratchDir(), 'd0.raw');

it('a marked image is refused with what to do, until its seed is complete', async () => {
  refuseMarked([image]);
  markImage(image, 'seed 1.1');
  markImage(image, 'seed 1.2'); // a seed that was interrupted is gone on with
  expect(fs.statSync(`${image}.seeding`).mode & 0o777).toBe(0o600);
  let refusal: unknown;
  try {
    refuseMarked(['/other', image]);
  } catch (thrown) {
    refusal = thrown;
  }
  expect(refusal).toBeInstanceOf(UnderstudyError);
  expect((refusal as UnderstudyError).describe()).toMatch(
    /d0.raw' is a mixture[\s\S]*try: start the/,
  );
  await unmarkImage(image);
  refuseMarked([image]);
});

it('a directory that is not there is said before anything is changed', () => {
  expect(() => markImage('/nowhere/d0.raw', 'seed 1.1')).toThrow(
    "Cannot create '/nowhere/d0.raw.seeding'",
  );
});

it('images that a restart was replacing are refused, and where the old ones are is said', async () => {
  markImage(image, 'restart p-20261121');
  expect(() => refuseMarked([image])).toThrow('a restart from a snapshot broke off');
  await unmarkImage(image);
});
