/** Hands the machine over to the backup, or kills the primary, and tells what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { livingOwned } from '../../host/processes.ts';
import { askNode } from '../../observe/control-client.ts';
import { type AnsweringNode, answeringNodes, primaryNode } from './pair-nodes.ts';

export interface DrillOptions {
  readonly pair: string;
  readonly kill?: boolean;
  readonly json?: boolean;
}

/** What a drill ended in. */
interface Report {
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
  const report = await takeover(pair, kill);
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

async function takeover(pair: string, kill: boolean): Promise<Report> {
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
  const heir = await successor(pair, primary);
  return {
    from: primary.config.name,
    to: heir.config.name,
    killed: kill,
    term: heir.status.term,
    ms: performance.now() - begun,
  };
}

/** SIGKILL to its QEMU and to the node itself: the hard way. */
function killNode({ config, status }: AnsweringNode): void {
  for (const { pid, command } of livingOwned(`${config.runDir}/pids`)) {
    if (command.includes('qemu-system')) process.kill(pid, 'SIGKILL');
  }
  process.kill(status.pid, 'SIGKILL');
}

/** The other node, once it is primary. Throws `takeover` when that does not happen. */
async function successor(pair: string, before: AnsweringNode): Promise<AnsweringNode> {
  const deadline = performance.now() + limits.drillMs;
  while (performance.now() < deadline) {
    const heir = (await answeringNodes(pair)).find(
      ({ config, status }) =>
        config.name !== before.config.name &&
        status.role === 'primary' &&
        // Until its takeover is proved it speaks in no term.
        status.state !== 'proving' &&
        status.term > before.status.term,
    );
    if (heir !== undefined) return heir;
    await sleep(lookEveryMs);
  }
  throw new UnderstudyError('takeover', `No takeover was seen within ${limits.drillMs} ms`, {
    hint: 'ask both nodes with `understudy status`; the backup may be on another host',
  });
}
