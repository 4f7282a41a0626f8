/** `understudy witness`: a third vote for pairs, over HTTP, in the foreground. */
import { Command, InvalidArgumentError } from 'commander';
import type { WitnessOptions } from './verbs/witness.ts';

export function witnessCommand(): Command {
  return new Command('witness')
    .description('give out terms to pairs on other machines: their third vote')
    .requiredOption('--listen <host:port>', 'where to wait for nodes', hostAndPort)
    .requiredOption('--state <directory>', 'where to keep the terms; never copy or restore it')
    .option('--secret <file>', 'a secret that the nodes have, too')
    .option('--tls-cert <file>', 'encrypt with this certificate (PEM)')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'take only clients with a certificate of this authority')
    .option('--json', 'say where it listens as one JSON object')
    .addHelpText('after', '\nOff loopback --secret or --tls-ca is needed. See docs/arbiters.md.')
    .action(async (options: WitnessOptions) =>
      (await import('./verbs/witness.ts')).witness(options),
    );
}

function hostAndPort(text: string): WitnessOptions['listen'] {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  const host = parts?.[1] ?? parts?.[2];
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new InvalidArgumentError('It must be HOST:PORT, such as 127.0.0.1:7100 or [::1]:7100.');
}
