/** `understudy secret`: makes the shared secret of a pair. */
import { Command } from 'commander';
import { createSecretFile } from '../node/secret-file.ts';

export function secretCommand(): Command {
  return new Command('secret')
    .description('make a shared secret for the two nodes of a pair, in a new file of mode 0600')
    .argument('<file>', 'the file to make; it must not exist')
    .action((file: string) => {
      createSecretFile(file);
      process.stdout.write(
        `${file} is made. Copy it to the other node over a safe way, such as scp -p, ` +
          `and name it in the pair file:\n\n  security: { secretFile: ${file} }\n\n`,
      );
    });
}
