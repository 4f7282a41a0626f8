/**
 * How each fault is made, and healed. What is healed may be gone by then: a node ends what hangs.
 * Signals go to processes of this soak's own nodes alone, known by pid and start time.
 */
import fs from 'node:fs';
import { processStartTime } from '../../../src/host/pid-files.ts';
import type { FaultName } from './faults.ts';
import { freeGrowth, paste, writeGrowth } from './guest.ts';
import { Hogs } from './hogs.ts';
import type { NodeUnderFaults } from './node-under-faults.ts';
import type { SoakPair } from './pair.ts';
import { type Part, partOf } from './processes-of.ts';
import type { Planned } from './schedule.ts';

/** Puts an end to the fault. */
export type Heal = () => void | Promise<void>;

interface Struck {
  readonly pair: SoakPair;
  /** Whose surroundings fail; of a fault of both, the primary. */
  readonly node: NodeUnderFaults;
  readonly primary: NodeUnderFaults;
  readonly role: 'primary' | 'backup';
  /** From 0 to 999. */
  readonly size: number;
}

/** Strikes a pair that is protected. */
export async function strike({ name, place, size }: Planned, pair: SoakPair): Promise<Heal> {
  const { roles } = pair;
  if (roles === undefined) throw new Error('a fault is for a machine that is protected');
  const role = place === 'backup' ? 'backup' : 'primary';
  return strikes[name]({ pair, node: roles[role], primary: roles.primary, role, size });
}

const strikes: Readonly<Record<FaultName, (struck: Struck) => Heal | Promise<Heal>>> = {
  'disk full': async ({ pair, node, primary }) => {
    const { control } = primary.process;
    const disk = pair.imageDisks.get(node.name);
    await freeGrowth(control);
    disk?.fill();
    const leave = await writeGrowth(control);
    return () => {
      leave();
      disk?.makeRoom();
    };
  },
  'storage daemon killed': ({ node }) => killed(pidOf(node, 'storage')),
  'storage daemon stopped': ({ node }) => stopped(pidOf(node, 'storage')),
  'QEMU stopped': (struck) => stopped(pidOf(struck.node, qemuOf(struck)), { again: true }),
  'QEMU killed': (struck) => killed(pidOf(struck.node, qemuOf(struck))),
  'successor stopped': ({ node }) => stopped(pidOf(node, 'successor')),
  'successor killed': ({ node }) => killed(pidOf(node, 'successor')),
  'node killed': ({ node }) => {
    node.hold();
    process.kill(node.pid, 'SIGKILL');
    return () => node.release();
  },
  'node and machine killed': async ({ node }) => {
    node.hold();
    await node.process.killWithMachine();
    return () => node.release();
  },
  'node stopped': ({ node }) => stopped(node.pid),
  'run directory moved': ({ pair, node }) => {
    const dir = pair.stage.runDir(node.name);
    const moved = `${dir}-moved`;
    fs.renameSync(dir, moved);
    return () => fs.rmSync(moved, { recursive: true, force: true });
  },
  'clock stepped': ({ pair, node, size }) => {
    pair.stepClock(node.name, stepMs(size));
    return () => pair.stepClock(node.name, 0);
  },
  'arbiter stopped': ({ pair }) => {
    pair.witness.stop();
    return () => pair.witness.goOn();
  },
  'arbiter killed': ({ pair }) => {
    pair.witness.kill();
    return () => pair.witness.start();
  },
  'log full': ({ pair }) => {
    pair.logDisk?.fill();
    // A log is not asked whether it has room before there is something to say.
    const asking = setInterval(() => {
      for (const node of Object.values(pair.nodes)) process.kill(node.pid, 'SIGHUP');
    }, sayEveryMs);
    return () => {
      clearInterval(asking);
      pair.logDisk?.makeRoom();
    };
  },
  hogs: () => {
    const hogs = Hogs.computing();
    return () => hogs.end();
  },
  'console flooded': ({ primary }) =>
    paste(primary.process.control, `busybox timeout ${floodSeconds} busybox yes > /dev/ttyS0\n`),
};

/** The last page of the log's file has room for some lines: it is full after a second. */
const sayEveryMs = 20;
const floodSeconds = 4;

const qemuOf = ({ role }: Struck): Part => (role === 'primary' ? 'machine' : 'replayer');

/** From a second to a month, back or forth. */
export function stepMs(size: number): number {
  const ms = 1000 * 10 ** ((6.4 * Math.floor(size / 2)) / 499);
  return Math.round(size % 2 === 0 ? -ms : ms);
}

function pidOf(node: NodeUnderFaults, part: Part): number {
  const pid = partOf(node.pid, part);
  if (pid === undefined) throw new Error(`node ${node.name} has no ${part}`);
  return pid;
}

function killed(pid: number): Heal {
  process.kill(pid, 'SIGKILL');
  return () => undefined;
}

/**
 * `again`: a machine that is slowed down is told to go on again and again, by SIGCONT, and that
 * undoes one stop.
 */
function stopped(pid: number, { again = false }: { readonly again?: boolean } = {}): Heal {
  const born = processStartTime(pid);
  const signal = (name: NodeJS.Signals): void => {
    if (processStartTime(pid) === born) process.kill(pid, name);
  };
  signal('SIGSTOP');
  const stops = again ? setInterval(() => signal('SIGSTOP'), stopAgainMs) : undefined;
  return () => {
    clearInterval(stops);
    signal('SIGCONT');
  };
}

const stopAgainMs = 20;
