/**
 * A directory of its own for a test file, not to be called in a test; short, as unix sockets want
 * it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

export function scratchDir(): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'us-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
