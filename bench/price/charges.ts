/** Who used how much of the processors while the guest served what. */
import fs from 'node:fs';
import { UnderstudyError } from '../../src/base/errors.ts';
import type { Guest } from '../../src/bench/measure/guest.ts';
import { parseProcessorTicks } from '../../src/host/processor-load.ts';
import { machineSeconds, ticksPerSecond } from '../../src/lab/processor-time.ts';
import { type Demand, total } from './model.ts';

/** Of one stretch of time; processor seconds for each request. */
export interface Charges {
  /** Requests that were answered in a second. */
  readonly rate: number;
  readonly primary: Demand;
  /** Zero without one. */
  readonly backup: Demand;
  /** Clients, and whatever else this machine did. */
  readonly others: number;
  /** Share of all processors that had nothing to do. */
  readonly idle: number;
  /** A page before the load began, milliseconds, median. */
  readonly idlePageMs: number;
}

/** Sums since each process began, or the machine was switched on. */
interface Sums {
  readonly atMs: number;
  readonly requests: number;
  readonly primary: Demand;
  readonly backup: Demand;
  readonly busy: number;
  readonly all: number;
}

const nothing: Demand = { node: 0, machine: 0, disks: 0 };

export function lookAt(guest: Guest, requests: number): Sums {
  const [primary, backup] = guest.nodes;
  const processors = [...parseProcessorTicks(fs.readFileSync('/proc/stat', 'latin1')).values()];
  const sum = (of: 'busy' | 'all'): number =>
    processors.reduce((ticks, processor) => ticks + processor[of], 0) / ticksPerSecond;
  return {
    atMs: performance.now(),
    requests,
    primary: primary?.processorSeconds() ?? {
      ...nothing,
      machine: machineSeconds(guest.stage.dir),
    },
    backup: backup?.processorSeconds() ?? nothing,
    busy: sum('busy'),
    all: sum('all'),
  };
}

export function chargesBetween(before: Sums, after: Sums): Omit<Charges, 'idlePageMs'> {
  const requests = after.requests - before.requests;
  const passed = (of: (sums: Sums) => number): number => of(after) - of(before);
  const demand = (role: 'primary' | 'backup'): Demand => ({
    node: passed((sums) => sums[role].node) / requests,
    machine: passed((sums) => sums[role].machine) / requests,
    disks: passed((sums) => sums[role].disks) / requests,
  });
  const primary = demand('primary');
  const backup = demand('backup');
  if (requests <= 0 || [primary, backup].some((one) => Object.values(one).some((s) => s < 0))) {
    throw new UnderstudyError('environment', 'The machine did not stay as it was for so long', {
      hint: 'its backup was given up, or it stood still: run it on a machine that does nothing else',
    });
  }
  const busy = passed((sums) => sums.busy);
  return {
    rate: (requests * 1000) / passed(({ atMs }) => atMs),
    primary,
    backup,
    others: Math.max(0, busy / requests - total(primary) - total(backup)),
    idle: 1 - busy / passed(({ all }) => all),
  };
}
