/** `understudy stop`: ends a node in good order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { NodeStatus } from '../node/control-server.ts';
import { loadPairConfig } from '../node/pair-config.ts';
import { askNode } from '../observe/control-client.ts';
import { controlOf } from './pair-nodes.ts';

const lookEveryMs = 50;

export function stopCommand(): Command {
  return new Command('stop')
    .description('end a node; if it is primary and protected, its backup takes over')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'which node to end')
    .action(async (options: { pair: string; name: string }) => {
      const control = controlOf(loadPairConfig(options.pair, options.name).self);
      const { role } = await askNode<NodeStatus>(control, 'status');
      await askNode(control, 'stop');
      const deadline = performance.now() + limits.nodeStopMs;
      while (performance.now() < deadline) {
        const answers = await askNode(control, 'status').then(
          () => true,
          () => false,
        );
        if (!answers) {
          process.stdout.write(`node ${options.name}, ${role}, has ended\n`);
          return;
        }
        await sleep(lookEveryMs);
      }
      throw new UnderstudyError(
        'environment',
        `Node ${options.name} did not end within ${limits.nodeStopMs} ms`,
        { hint: 'look into its log' },
      );
    });
}
