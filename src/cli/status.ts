/** `understudy status`: what a node is doing, once or as it happens. */
import { Command } from 'commander';
import type { NodeStatus } from '../node/control-server.ts';
import { loadPairConfig } from '../node/pair-config.ts';
import { askNode, watchNode } from '../observe/control-client.ts';

interface Options {
  readonly pair: string;
  readonly name: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('show the role and state of a node')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'which node to ask')
    .option('--watch', 'go on and print every event as a JSON line')
    .option('--json', 'one JSON object')
    .action(async (options: Options) => {
      const { self } = loadPairConfig(options.pair, options.name);
      const control = `${self.runDir}/control`;
      if (options.watch === true) {
        await watchNode(control).forEach((event) => {
          process.stdout.write(`${JSON.stringify(event)}\n`);
        });
        return;
      }
      const status = await askNode<NodeStatus>(control, 'status');
      if (options.json === true) process.stdout.write(`${JSON.stringify(status)}\n`);
      else {
        process.stdout.write(
          `${status.pair}/${status.node}: ${status.role}, ${status.state}, term ${status.term}\n`,
        );
      }
    });
}
