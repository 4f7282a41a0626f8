/** What the figures were measured on. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { qemuVersion } from '../../hypervisor/qemu/version.ts';
import type { Machine, Versions } from '../results.ts';
import { benchLimits } from './limits.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export async function describeMachine(): Promise<Machine> {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    hasKvm: await kvmRuns(),
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

/** KVM that is there may still not run a machine: asked by starting one that ends by itself. */
async function kvmRuns(): Promise<boolean> {
  if (!fs.existsSync('/dev/kvm')) return false;
  const args = [
    '-accel',
    'kvm',
    '-cpu',
    'host',
    '-nodefaults',
    '-display',
    'none',
    '-S',
    '-m',
    '16',
  ];
  const child = spawn('qemu-system-x86_64', args, { stdio: 'ignore' });
  const ended = new Promise<false>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', () => resolve(false));
  });
  const runs = await Promise.race([ended, sleep(benchLimits.settleMs, true)]);
  child.kill('SIGKILL');
  return runs;
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
