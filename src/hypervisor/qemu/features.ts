/**
 * Whether the QEMU on this host can do what lockstep needs, found out by doing it.
 *
 * Version numbers say little: distributions build with and without features. So a storage daemon
 * and a small stopped machine are started, and every feature is used once, the way a node uses it.
 * What goes wrong there is reported with what to do; nothing here throws.
 */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { reasonOf } from '../../base/errors.ts';
import type { OwnedProcess } from '../../host/processes.ts';
import { parseDeviceState, replaySection } from '../device-state/device-state.ts';
import { hypervisorLimits } from '../limits.ts';
import { replayRecorded } from './log-feature.ts';
import type { Monitor } from './monitor.ts';
import { type Probe, probeMachine, startProbe } from './probe.ts';
import { qtestDone, readArray } from './vcpu-wake.ts';

/** The outcome of one check. */
export interface FeatureCheck {
  /** Stable, for `--json`: `qemu-record`. */
  readonly id: string;
  /** What is checked, in a few words. */
  readonly title: string;
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly detail: string;
  /** What to do, when it is not ok. */
  readonly hint?: string;
}

export interface QemuCheckOptions {
  /** Path or name of the QEMU program. @default 'qemu-system-x86_64' */
  readonly qemu?: string;
  /** @default 'qemu-storage-daemon' */
  readonly storageDaemon?: string;
  /** Where sockets and a small log may be put for a moment. */
  readonly scratchDir: string;
}

/** Releases with which lockstep was measured. */
const triedReleases = ['7.2', '10.0', '11.1'];
const exportName = 'probe';
const diskBytes = 1024 * 1024;

/** What to do when a feature is missing; most are options of QEMU's build. */
const anotherBuild =
  'install the QEMU packages of your distribution, or build QEMU with this feature';

interface Tried {
  readonly dir: string;
  readonly monitor: Monitor;
}

/** One feature: used once; what `use` returns is what was found, what it throws is the problem. */
interface Feature {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly use: (tried: Tried) => Promise<string>;
}

const features: readonly Feature[] = [
  {
    id: 'qemu-record',
    title: 'record/replay',
    hint: 'install a QEMU with TCG and record/replay (qemu-system-x86_64 has both by default)',
    use: async ({ monitor }) => {
      const { mode } = await monitor.execute<{ mode: string }>('query-replay');
      if (mode !== 'record') throw new Error(`the machine is in mode '${mode}'`);
      return 'a machine with -icount rr=record starts';
    },
  },
  {
    id: 'qemu-device-state',
    title: 'device state',
    hint: 'use QEMU 7.2 to 11.1, whose device states are known',
    use: async ({ monitor, dir }) => {
      const filename = path.join(dir, 'state');
      await monitor.execute('xen-save-devices-state', { filename, live: false });
      const state = parseDeviceState(readFileSync(filename));
      replaySection(state);
      return `saved and understood: ${state.sections.length} sections, ${state.bytes.length} bytes`;
    },
  },
  {
    id: 'qemu-netdev-stream',
    title: 'stream network backend',
    hint: 'use QEMU 7.2 or later',
    use: async ({ monitor, dir }) => {
      const addr = { type: 'unix', path: path.join(dir, 'pad') };
      await monitor.execute('netdev_add', { type: 'stream', id: 'pad', server: true, addr });
      return 'a backend on a unix socket can be added';
    },
  },
  {
    id: 'qemu-filter-replay',
    title: 'network record/replay filter',
    hint: anotherBuild,
    use: async ({ monitor }) => {
      const filter = { 'qom-type': 'filter-replay', id: 'padfilter', netdev: 'pad' };
      await monitor.execute('object-add', filter);
      return 'filter-replay can be added';
    },
  },
  {
    id: 'qemu-filter-buffer',
    title: 'tick (network buffer filter)',
    hint: anotherBuild,
    use: async ({ monitor }) => {
      const filter = { 'qom-type': 'filter-buffer', id: 'tick', netdev: 'pad', queue: 'rx' };
      await monitor.execute('object-add', { ...filter, interval: 1000 });
      await monitor.execute('object-del', { id: 'tick' });
      return 'filter-buffer can be added and removed';
    },
  },
  {
    id: 'qemu-nbd',
    title: 'disks over NBD',
    hint: 'install a QEMU with the block driver nbd; if the storage daemon failed, repair that first',
    use: async ({ monitor, dir }) => {
      const server = { type: 'unix', path: path.join(dir, 'nbd') };
      const node = { driver: 'nbd', 'node-name': 'image', server, export: exportName };
      await monitor.execute('blockdev-add', node);
      return 'an export of qemu-storage-daemon can be opened';
    },
  },
  {
    id: 'qemu-blkreplay',
    title: 'disk record/replay',
    hint: anotherBuild,
    use: async ({ monitor }) => {
      const node = { driver: 'blkreplay', 'node-name': 'disk', image: 'image' };
      await monitor.execute('blockdev-add', node);
      return 'blkreplay can be put on top of it';
    },
  },
  {
    id: 'qemu-incoming',
    title: 'migration of device state',
    hint: anotherBuild,
    use: async ({ monitor }) => {
      const commands = await monitor.execute<{ name: string }[]>('query-commands');
      const missing = ['migrate-incoming', 'migrate-set-capabilities', 'object-del'].filter(
        (name) => !commands.some((command) => command.name === name),
      );
      if (missing.length > 0) throw new Error(`QMP does not know ${missing.join(', ')}`);
      return 'migrate-incoming is there';
    },
  },
  {
    id: 'qemu-wake',
    title: 'wake of a sleeping vCPU',
    hint: 'use QEMU 7.2 or later',
    use: async ({ monitor, dir }) => {
      const socket = path.join(dir, 'flash');
      const addr = { type: 'unix', data: { path: socket } };
      const backend = { type: 'socket', data: { addr, server: true, wait: false } };
      await monitor.execute('chardev-add', { id: 'flash', backend });
      const server = { 'qom-type': 'qtest', id: 'flash', chardev: 'flash', log: 'none' };
      await monitor.execute('object-add', server);
      const said = await answerOf(socket, readArray);
      if (said !== qtestDone) throw new Error(`a write to the firmware's chip says '${said}'`);
      return 'a write to the firmware can be made from outside';
    },
  },
];

/** The first line that comes back over a socket. */
async function answerOf(socket: string, question: string): Promise<string> {
  const connection = net.connect(socket);
  try {
    connection.setTimeout(hypervisorLimits.commandMs, () =>
      connection.destroy(new Error('it does not answer')),
    );
    connection.write(question);
    for await (const line of createInterface({ input: connection })) return line;
    throw new Error('it hung up');
  } finally {
    connection.destroy();
  }
}

/** Checks QEMU and its storage daemon by starting both for a moment. Never throws. */
export async function checkQemu(options: QemuCheckOptions): Promise<FeatureCheck[]> {
  const { qemu = 'qemu-system-x86_64', storageDaemon = 'qemu-storage-daemon' } = options;
  const checks: FeatureCheck[] = [];
  let dir: string | undefined;
  const children: OwnedProcess[] = [];
  try {
    dir = mkdtempSync(path.join(options.scratchDir, 'understudy-doctor-'));
    checks.push(await checkStorageDaemon(storageDaemon, dir, children));
    checks.push(...(await checkMachine(qemu, dir, children)));
  } catch (thrown) {
    const detail = reasonOf(thrown);
    const hint = 'use a directory you may write to, with some free space';
    checks.push({ id: 'scratch', title: 'scratch directory', status: 'fail', detail, hint });
  } finally {
    for (const child of children) await child.kill('SIGKILL');
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  }
  return checks;
}

async function checkStorageDaemon(
  command: string,
  dir: string,
  children: OwnedProcess[],
): Promise<FeatureCheck> {
  const id = 'storage-daemon';
  const title = 'storage daemon';
  const hint = `install ${command} (Debian: qemu-utils, up to Debian 12 qemu-system-common)`;
  const image = path.join(dir, 'disk.raw');
  writeFileSync(image, '');
  truncateSync(image, diskBytes);
  const socket = path.join(dir, 'storage-qmp');
  const args = [
    ['--chardev', `socket,id=qmp,path=${socket},server=on,wait=off`],
    ['--monitor', 'chardev=qmp'],
    ['--blockdev', `driver=file,node-name=${exportName},filename=${image}`],
    ['--nbd-server', `addr.type=unix,addr.path=${path.join(dir, 'nbd')},max-connections=0`],
    ['--export', `type=nbd,id=export,node-name=${exportName},name=${exportName},writable=on`],
  ].flat();
  try {
    const start = { name: 'storage', command, args, dir, socket };
    const { monitor } = await startProbe(start, children);
    const { qemu } = await monitor.execute<{ qemu: QemuVersion }>('query-version');
    monitor.close();
    return { id, title, status: 'ok', detail: `${release(qemu)}, exports a disk over NBD` };
  } catch (thrown) {
    return { id, title, status: 'fail', detail: reasonOf(thrown), hint };
  }
}

interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

const release = ({ major, minor, micro }: QemuVersion): string => `${major}.${minor}.${micro}`;

async function checkMachine(
  command: string,
  dir: string,
  children: OwnedProcess[],
): Promise<FeatureCheck[]> {
  const socket = path.join(dir, 'qmp');
  const args = probeMachine('record', dir, socket);
  let recorder: Probe;
  try {
    recorder = await startProbe({ name: 'qemu', command, args, dir, socket }, children);
  } catch (thrown) {
    const hint = `install ${command} with TCG and record/replay (Debian: qemu-system-x86)`;
    return [{ id: 'qemu', title: 'QEMU', status: 'fail', detail: reasonOf(thrown), hint }];
  }
  const { monitor } = recorder;
  const checks = [await checkVersion(monitor)];
  for (const { id, title, hint, use } of features) {
    try {
      checks.push({ id, title, status: 'ok', detail: await use({ dir, monitor }) });
    } catch (thrown) {
      checks.push({ id, title, status: 'fail', detail: reasonOf(thrown), hint });
    }
  }
  checks.push(await checkLog(() => replayRecorded(recorder, { command, dir }, children)));
  monitor.close();
  return checks;
}

async function checkLog(use: () => Promise<string>): Promise<FeatureCheck> {
  const base = { id: 'qemu-log', title: 'event log' };
  try {
    return { ...base, status: 'ok', detail: await use() };
  } catch (thrown) {
    const hint = 'use QEMU 7.2 to 11.1, whose log is known';
    return { ...base, status: 'fail', detail: reasonOf(thrown), hint };
  }
}

async function checkVersion(monitor: Monitor): Promise<FeatureCheck> {
  const base = { id: 'qemu', title: 'QEMU' };
  try {
    const { qemu, package: built } = await monitor.execute<{ qemu: QemuVersion; package: string }>(
      'query-version',
    );
    const detail = `${release(qemu)}${built === '' ? '' : ` (${built})`}`;
    if (triedReleases.includes(`${qemu.major}.${qemu.minor}`)) {
      return { ...base, status: 'ok', detail };
    }
    const hint = `lockstep was tried with ${triedReleases.join(', ')}: use one of them`;
    return { ...base, status: 'warn', detail, hint };
  } catch (thrown) {
    return { ...base, status: 'fail', detail: reasonOf(thrown), hint: anotherBuild };
  }
}
