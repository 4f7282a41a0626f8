/** Machines of a group that go on together, each by a node of its own in this process's care. */
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { NodeProcess } from '../../lab/node-process.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';

/** One that was prepared. */
export interface StandingMember {
  readonly member: string;
  readonly pairFile: string;
  /** Which node of the pair goes on with it. */
  readonly node: string;
  /** Where it was prepared; its node logs there. */
  readonly dir: string;
  /** The pair had terms before. */
  readonly startAnew?: boolean;
}

/** Until all of them have ended, or this process is told to end. */
export async function runTogether(members: readonly StandingMember[]): Promise<void> {
  const nodes = members.map(({ pairFile, node: name, dir, startAnew = false }) => {
    const { runDir } = loadPairConfig(pairFile, name).self;
    const logFile = logOf({ dir, node: name });
    return new NodeProcess({ name, pairFile, runDir, logFile, from: dir, startAnew });
  });
  const stop = (): void => {
    for (const node of nodes) void node.stop();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, stop);
  const codes = await Promise.all(nodes.map(({ exited }) => exited));
  const failed = members.filter((_, index) => codes[index] !== 0);
  if (failed.length === 0) return;
  const logs = failed.map((one) => `${one.member}: ${logOf(one)}`);
  throw new UnderstudyError('qemu', `Not all machines of the group went on to their end`, {
    hint: `look into ${logs.join(', ')}`,
  });
}

const logOf = ({ dir, node }: Pick<StandingMember, 'dir' | 'node'>): string =>
  path.join(dir, `${node}.log`);
