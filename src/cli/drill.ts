/** `understudy drill`: a takeover on purpose, to see that it works. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { livingOwned } from '../hypervisor/processes.ts';
import { askNode } from '../observe/control-client.ts';
import { type AnsweringNode, answeringNodes, primaryNode } from './pair-nodes.ts';

interface Options {
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
  /** From the command until the other node said that it is primary, milliseconds. */
  readonly ms: number;
}

const lookEveryMs = 5;

export function drillCommand(): Command {
  return new Command('drill')
    .description('hand the machine over to the backup, to see that a takeover works')
    .requiredOption('--pair <file>', 'the pair file')
    .option('--kill', 'kill the primary node and its QEMU instead of asking it')
    .option('--json', 'one JSON object')
    .action(async ({ pair, kill = false, json = false }: Options) => {
      const report = await drill(pair, kill);
      if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
      else {
        const how = kill ? 'was killed' : 'handed over';
        process.stdout.write(
          `node ${report.from} ${how}; node ${report.to} is primary in term ${report.term} after ${Math.round(report.ms)} ms\n`,
        );
        if (kill) process.stdout.write(`start node ${report.from} again to be protected\n`);
      }
    });
}

async function drill(pair: string, kill: boolean): Promise<Report> {
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
        status.term > before.status.term,
    );
    if (heir !== undefined) return heir;
    await sleep(lookEveryMs);
  }
  throw new UnderstudyError('takeover', `No takeover was seen within ${limits.drillMs} ms`, {
    hint: 'ask both nodes with `understudy status`; the backup may be on another host',
  });
}
