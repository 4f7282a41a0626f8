/** A directory that is filled by one command, or stays empty. */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';

/**
 * Makes `dir`, or takes it if it is empty, and lets `fill` put files into it. When that fails,
 * nothing of them stays. `option` is what it was named with. Throws `rights` when it cannot be
 * made, `config` when there is something in it.
 */
export async function fillNewDirectory<T>(
  dir: string,
  fill: () => Promise<T>,
  option = '--out',
): Promise<T> {
  makeEmpty(dir, option);
  try {
    return await fill();
  } catch (error) {
    for (const name of fs.readdirSync(dir)) {
      fs.rmSync(path.join(dir, name), { recursive: true, force: true });
    }
    throw error;
  }
}

function makeEmpty(dir: string, option: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot create '${dir}'`, { cause: asError(thrown) });
  }
  const names = fs.readdirSync(dir);
  if (names.length === 0) return;
  throw new UnderstudyError('config', `'${dir}' is not empty: there is '${names[0]}' in it`, {
    hint: `give a new directory with ${option}`,
  });
}
