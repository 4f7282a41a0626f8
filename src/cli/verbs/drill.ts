/** Hands the machine over to the backup, or kills the primary, and tells what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { livingOwned } from '../../host/processes.ts';
import { nodeNames } from '../../node/pair-file/pair-config.ts';
import { askNode } from '../../observe/control-client.ts';
import { type AnsweringNode, answeringNodes, primaryNode } from '../../observe/pair-nodes.ts';

export interface DrillOptions {
  readonly pair: string;
  readonly kill?: boolean;
  readonly json?: boolean;
}

/** What a takeover on purpose ended in. */
export interface Handover {
  readonly from: string;
  readonly to: string;
  readonly killed: boolean;
  readonly term: number;
  /** From the command until the other node said that its machine may speak, milliseconds. */
  readonly ms: number;
}

const lookEveryMs = 5;

/** Throws `link`, or `takeover`: not protected, refused, not seen in time. */
export async function drill({ pair, kill = false, json = false }: DrillOptions): Promise<void> {
  const report = await handOver(pair, kill);
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { from, to, term, ms } = report;
  const how = kill ? 'was killed' : 'handed over';
  process.stdout.write(
    `node ${from} ${how}; node ${to} is primary in term ${term} after ${Math.round(ms)} ms\n`,
  );
  if (kill) process.stdout.write(`start node ${from} again to be protected\n`);
}

/**
 * Hands the machine over, or kills its primary; resolves when the other node speaks. Throws as
 * `drill`.
 */
export async function handOver(pair: string, kill: boolean): Promise<Handover> {
  const primary = await primaryNode(pair);
  if (primary.status.state !== 'protected') {
    throw new UnderstudyError(
      'takeover',
      `The machine is not protected: node ${primary.config.name} is ${primary.status.state}`,
      { hint: 'wait until `understudy status` says protected, or start the other node' },
    );
  }
  const begun = performance.now();
  if (kill) killNode(primary);
  else {
    const answer = await askNode<{ ok: boolean; error?: string }>(primary.control, 'drill');
    if (!answer.ok) throw new UnderstudyError('takeover', answer.error ?? 'the drill was refused');
  }
  const { to, term } = await successor(pair, primary);
  return { from: primary.config.name, to, killed: kill, term, ms: performance.now() - begun };
}

/** SIGKILL to its QEMU and to the node itself: the hard way. */
function killNode({ config, status }: AnsweringNode): void {
  for (const { pid, command } of livingOwned(`${config.runDir}/pids`)) {
    if (command.includes('qemu-system')) process.kill(pid, 'SIGKILL');
  }
  process.kill(status.pid, 'SIGKILL');
}

/**
 * The other node, once it is primary. On another host it is not seen: then this one tells, which
 * hears of its term. Throws `takeover` when that does not happen.
 */
async function successor(
  pair: string,
  { config: { name }, status }: AnsweringNode,
): Promise<Pick<Handover, 'to' | 'term'>> {
  const to = nodeNames(pair).find((other) => other !== name) ?? '';
  const deadline = performance.now() + limits.drillMs;
  while (performance.now() < deadline) {
    const nodes = await answeringNodes(pair);
    const statusOf = (node: string) => nodes.find(({ config }) => config.name === node)?.status;
    const heir = statusOf(to);
    const told = heir ?? statusOf(name);
    // Until its takeover is proved it speaks in no term.
    const isOver = heir
      ? heir.role === 'primary' && heir.state !== 'proving'
      : told?.role !== 'primary';
    if (told !== undefined && isOver && told.term > status.term) return { to, term: told.term };
    await sleep(lookEveryMs);
  }
  throw new UnderstudyError('takeover', `No takeover was seen within ${limits.drillMs} ms`, {
    hint: 'ask both nodes with `understudy status`',
  });
}
