/**
 * Certificates for tests, made by the commands of docs/security.md: what is printed there is what
 * is run here.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const page = path.resolve(import.meta.dirname, '../../docs/security.md');

/** The first block of shell commands under a heading of the page. */
function documentedCommands(heading: string): string {
  const text = readFileSync(page, 'utf8');
  const section = text.slice(text.indexOf(`### ${heading}\n`));
  const block = /```sh\n([\s\S]*?)```/.exec(section)?.[1];
  if (!text.includes(`### ${heading}\n`) || block === undefined) {
    throw new Error(`docs/security.md has no commands under '${heading}'`);
  }
  return block;
}

/** Runs shell text in a directory, with a usual umask, whatever that of the tests is. */
export function shell(commands: string, cwd: string, env: Record<string, string> = {}): void {
  const script = `set -eu; umask 022\n${commands}`;
  execFileSync('sh', ['-c', script], { cwd, stdio: 'pipe', env: { ...process.env, ...env } });
}

/**
 * An authority, and keys and certificates for two nodes on 127.0.0.1: `ca.pem`, `a.pem`, `a.key`,
 * ...
 */
export function makeCertificates(dir: string): void {
  const text = documentedCommands('Certificates')
    .replaceAll('10.0.0.1', '127.0.0.1')
    .replaceAll('10.0.0.2', '127.0.0.1');
  shell(text, dir);
}
