/**
 * Where the processors' time goes while a pair is kept: what snapshots cost beside the requests
 * they cost.
 */
import { readFileSync } from 'node:fs';
import { type ProcessorTicks, parseProcessorTicks } from '../../../src/host/processor-load.ts';
import type { NodeProcess } from '../../../src/lab/node-process.ts';

/** Who used a processor. */
export const users = [
  'primaryMachine',
  'primaryNode',
  'primaryDisks',
  'backupMachine',
  'backupNode',
  'backupDisks',
  /** Load, soak and all else on this host. */
  'others',
  'idle',
  /** Taken by the host of this host. */
  'stolen',
] as const;

/** Milliseconds of processor time a second. */
export type ProcessorUse = Readonly<Record<(typeof users)[number], number>>;

/** Nodes of a pair that lives. */
export interface Pair {
  readonly primary: NodeProcess;
  readonly backup: NodeProcess;
}

/** Begins to count; the function that it returns ends it. */
export function countProcessors(pair: Pair): () => ProcessorUse {
  const [before, begunMs] = [readSeconds(pair), performance.now()];
  return () => {
    const after = readSeconds(pair);
    const seconds = (performance.now() - begunMs) / 1000;
    return forEachUser((user) => (1000 * (after[user] - before[user])) / seconds);
  };
}

/** Mean of each figure. */
export function meanUse(uses: readonly ProcessorUse[]): ProcessorUse {
  return forEachUser((user) => uses.reduce((sum, use) => sum + use[user], 0) / uses.length);
}

function forEachUser(figure: (user: (typeof users)[number]) => number): ProcessorUse {
  return Object.fromEntries(users.map((user) => [user, figure(user)])) as ProcessorUse;
}

/** Used so far. */
function readSeconds({ primary, backup }: Pair): ProcessorUse {
  const [one, other] = [primary.processorSeconds(), backup.processorSeconds()];
  const { busy, idle, stolen } = hostSeconds(readFileSync('/proc/stat', 'latin1'));
  const ofPair = [one, other].reduce((sum, use) => sum + use.machine + use.node + use.disks, 0);
  return {
    ...{ primaryMachine: one.machine, primaryNode: one.node, primaryDisks: one.disks },
    ...{ backupMachine: other.machine, backupNode: other.node, backupDisks: other.disks },
    ...{ others: busy - ofPair, idle, stolen },
  };
}

/** All processors of this host together, from /proc/stat. */
export function hostSeconds(stat: string): { busy: number; idle: number; stolen: number } {
  const ticks = [...parseProcessorTicks(stat).values()];
  const seconds = (of: (one: ProcessorTicks) => number): number =>
    ticks.reduce((sum, one) => sum + of(one), 0) / 100;
  return {
    busy: seconds(({ busy, stolen }) => busy - stolen),
    idle: seconds(({ busy, all }) => all - busy),
    stolen: seconds(({ stolen }) => stolen),
  };
}
