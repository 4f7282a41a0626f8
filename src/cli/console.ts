/** `understudy console`: the guest's serial console. Ctrl-] leaves it. */
import { Command } from 'commander';
import { loadPairConfig } from '../node/pair-config.ts';
import { connectControl } from '../observe/control-client.ts';

const leaveKey = 0x1d;

export function consoleCommand(): Command {
  return new Command('console')
    .description('attach to the guest’s console; Ctrl-] detaches')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'the node that is primary')
    .action(async (options: { pair: string; name: string }) => {
      const { self } = loadPairConfig(options.pair, options.name);
      const socket = await connectControl(`${self.runDir}/control`);
      socket.write('{"command":"console"}\n');
      const { stdin, stdout } = process;
      if (stdin.isTTY) stdin.setRawMode(true);
      socket.on('data', (bytes) => stdout.write(bytes));
      stdin.on('data', (bytes: Buffer) => {
        if (bytes.includes(leaveKey)) socket.end();
        else socket.write(bytes);
      });
      await new Promise<void>((resolve) => socket.once('close', () => resolve()));
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.destroy();
    });
}
