/** Whether this host has what a node needs besides QEMU. Nothing here throws. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { asError } from '../../base/errors.ts';
import { liesInMemory } from '../../host/memory-file-system.ts';
import { findProgram, parentDeathSignalWorks } from '../../host/processes.ts';
import { removesOurIpc } from '../../host/remove-ipc.ts';
import type { FeatureCheck } from './features.ts';

export interface HostCheckOptions {
  /** Of the machine to be protected, bytes. */
  readonly memoryBytes: number;
  /** Where RAM images and logs go: a tmpfs. */
  readonly runDir: string;
}

const mib = 1024 * 1024;
/** `package.json` says the same. */
const nodeMin = [20, 19] as const;
/** Log that was not reclaimed yet, device states and sockets, of one node. */
const logBytes = 64 * mib;
const probeMs = 5_000;

const run = promisify(execFile);

/** All checks of the host, in an order that makes sense to read. */
export async function checkHost(options: HostCheckOptions): Promise<FeatureCheck[]> {
  return [
    checkNode(),
    await checkNativeCalls(),
    checkCpus(),
    checkRunDir(options),
    checkRemoveIpc(options),
    checkDeathSignal(),
    await checkNetwork(),
  ];
}

function checkNode(): FeatureCheck {
  const base = { id: 'node', title: 'Node.js' };
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1])) {
    return { ...base, status: 'ok', detail: node };
  }
  const hint = `install Node.js ${nodeMin.join('.')} or later`;
  return { ...base, status: 'fail', detail: node, hint };
}

async function checkNativeCalls(): Promise<FeatureCheck> {
  const base = { id: 'native-calls', title: 'system calls' };
  try {
    await import('../../host/libc.ts');
    return { ...base, status: 'ok', detail: 'mkfifo, ioctl, fcntl and fallocate can be called' };
  } catch (thrown) {
    const hint = 'use Linux with glibc on x86-64 or arm64, and install the packages again (npm ci)';
    return { ...base, status: 'fail', detail: asError(thrown).message, hint };
  }
}

function checkCpus(): FeatureCheck {
  const base = { id: 'cpus', title: 'CPUs' };
  const count = availableParallelism();
  if (count >= 2) return { ...base, status: 'ok', detail: `${count}` };
  const hint = 'give a node two CPUs: QEMU works with two threads, and the node needs some time';
  return { ...base, status: 'warn', detail: `${count}`, hint };
}

function checkRunDir({ memoryBytes, runDir }: HostCheckOptions): FeatureCheck {
  const base = { id: 'run-dir', title: `memory in ${runDir}` };
  let free: number;
  let isInMemory: boolean;
  try {
    const stat = statfsSync(runDir);
    free = stat.bavail * stat.bsize;
    isInMemory = liesInMemory(stat);
  } catch (thrown) {
    const hint = 'mount a tmpfs there, or name another directory with --run-dir';
    return { ...base, status: 'fail', detail: asError(thrown).message, hint };
  }
  const need = memoryBytes + logBytes;
  const detail = `${size(free)} free; a node needs ${size(need)} for a machine of ${size(memoryBytes)}`;
  if (free < need) {
    const hint = `free some, or enlarge it: mount -o remount,size=${size(2 * need)} ${runDir}`;
    return { ...base, status: 'fail', detail, hint };
  }
  if (!isInMemory) {
    const hint = 'mount a tmpfs there: a disk under the RAM image slows the machine down';
    return { ...base, status: 'warn', detail: `${detail}; it is not a tmpfs`, hint };
  }
  if (free >= 2 * need) return { ...base, status: 'ok', detail };
  const hint = 'two nodes on this host need twice as much';
  return { ...base, status: 'warn', detail, hint };
}

/** What a user has in /dev/shm may be removed when that user logs out. */
function checkRemoveIpc({ runDir }: HostCheckOptions): FeatureCheck {
  const base = { id: 'remove-ipc', title: 'logout' };
  if (!removesOurIpc(runDir)) {
    return { ...base, status: 'ok', detail: `nobody removes ${runDir} when this user logs out` };
  }
  const detail = `systemd-logind removes what this user has in ${runDir} when the user logs out`;
  const hint =
    'set RemoveIPC=no in /etc/systemd/logind.conf, or `loginctl enable-linger`, or let a system ' +
    'user run the node';
  return { ...base, status: 'warn', detail, hint };
}

const size = (bytes: number): string => `${Math.floor(bytes / mib)}M`;

function checkDeathSignal(): FeatureCheck {
  const base = { id: 'setpriv', title: 'end of orphans' };
  if (parentDeathSignalWorks()) {
    return { ...base, status: 'ok', detail: 'setpriv: no process outlives its node' };
  }
  const detail = 'there is no setpriv with --pdeathsig';
  const hint =
    'install util-linux 2.33 or later: without it, QEMU outlives a killed node until its next start';
  return { ...base, status: 'warn', detail, hint };
}

/** A tap device in a namespace or on a bridge, else passt, which needs no rights. */
async function checkNetwork(): Promise<FeatureCheck> {
  const base = { id: 'network', title: 'outside network' };
  const missing = await missingForTap();
  if (missing === undefined) {
    return { ...base, status: 'ok', detail: 'tap devices and network namespaces can be made' };
  }
  const passt = findProgram('passt');
  if (passt !== undefined) {
    const detail = `${missing}; ${passt} can be used`;
    const hint = 'nothing to do for the demo; for tap devices, run as root or with CAP_NET_ADMIN';
    return { ...base, status: 'warn', detail, hint };
  }
  const hint = 'install passt, or run as root (or with CAP_NET_ADMIN) with /dev/net/tun there';
  return { ...base, status: 'warn', detail: `${missing}; there is no passt`, hint };
}

async function missingForTap(): Promise<string | undefined> {
  if (findProgram('ip') === undefined) return "there is no program 'ip' (iproute2)";
  try {
    closeSync(openSync('/dev/net/tun', 'r+'));
  } catch (thrown) {
    return `/dev/net/tun cannot be opened (${(thrown as NodeJS.ErrnoException).code})`;
  }
  try {
    // A tap device of its own, in a namespace of its own that ends with the command.
    const make = 'ip tuntap add dev doctor0 mode tap && ip link set doctor0 up';
    await run('unshare', ['--net', 'sh', '-c', make], { timeout: probeMs });
    return undefined;
  } catch (thrown) {
    const { stderr } = thrown as { stderr?: string };
    return `no tap device can be made (${(stderr || asError(thrown).message).trim().split('\n')[0]})`;
  }
}
