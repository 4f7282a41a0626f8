/** What the figures were measured on. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { qemuVersion } from '../../hypervisor/qemu/version.ts';
import type { Machine, Versions } from '../results.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** `hasKvm`: a guest came up in it. */
export function describeMachine(hasKvm: boolean): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    hasKvm,
    realTime: realTimeAllowed(),
  };
}

export async function describeVersions(): Promise<Versions> {
  const manifest = JSON.parse(fs.readFileSync(`${root}package.json`, 'utf8')) as {
    version: string;
  };
  const guest = readJson(`${root}build/guest/guest.json`);
  return {
    understudy: manifest.version,
    commit: commit(),
    node: process.version,
    qemu: (await qemuVersion('qemu-system-x86_64')).text,
    guestKernel: String(guest.kernelVersion ?? 'unknown'),
  };
}

/** As chrt(1) of util-linux says: asking for it here would change this process. */
function realTimeAllowed(): boolean {
  try {
    execFileSync('chrt', ['--rr', '1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', root, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '-dirty' : ''}`;
  } catch {
    return 'unknown';
  }
}

function readJson(file: string): Record<string, unknown> {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}
