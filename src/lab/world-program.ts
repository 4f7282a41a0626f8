/**
 * Starts one of our own programs inside a world; and the smallest of them: reading a page of the
 * guest from where the guest can be reached.
 */
import { UnderstudyError } from '../base/errors.ts';
import { ownProgram } from '../host/own-program.ts';
import type { World, WorldChild } from './world.ts';

/** `name` is that of a file beside the module `from`, a file URL, without its extension. */
export function spawnProgram(
  world: World,
  from: string,
  name: string,
  args: readonly string[],
): WorldChild {
  return world.spawn(process.execPath, [...ownProgram(from, `./${name}`), ...args]);
}

/** The body of a page of the guest's HTTP service, like `/ledger` or `/counter.log`. */
export async function readGuestPage(world: World, path: string): Promise<string> {
  const { host, port } = world.http;
  const child = spawnProgram(world, import.meta.url, 'fetch-main', [`${host}:${port}`, path]);
  const chunks: Buffer[] = [];
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(0, 500);
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code === 0) return Buffer.concat(chunks).toString('latin1');
  throw new UnderstudyError('environment', `Cannot read ${path} of the guest: ${said.trim()}`, {
    hint: 'see whether a node speaks and its guest runs',
  });
}
