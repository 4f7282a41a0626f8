/** `understudy witness`: a third vote for pairs, over HTTP, in the foreground. */
import { Command, InvalidArgumentError } from 'commander';
import { readSecret, readTls, type TlsFiles } from '../arbiter/credentials.ts';
import { startWitness, type Witness } from '../arbiter/witness-server.ts';
import { UnderstudyError } from '../base/errors.ts';
import { createLogger } from '../node/logger.ts';

interface Options {
  readonly listen: { readonly host: string; readonly port: number };
  readonly state: string;
  readonly secret?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly json?: boolean;
}

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
    .action(async (options: Options) => {
      const { listen, state } = options;
      const log = createLogger('witness');
      const tls = await tlsOf(options);
      const witness = await startWitness({
        ...listen,
        directory: state,
        ...(options.secret === undefined ? {} : { secret: await readSecret(options.secret) }),
        ...(tls === undefined ? {} : { tls }),
        onProblem: (error) => log.error({ code: error.code }, error.describe()),
      });
      const stopped = new Promise<void>((resolve) => {
        process.once('SIGTERM', () => resolve());
        process.once('SIGINT', () => resolve());
      });
      process.stdout.write(`${readyLine(witness, options)}\n`);
      await stopped;
      await witness.close();
    });
}

function hostAndPort(text: string): Options['listen'] {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  const host = parts?.[1] ?? parts?.[2];
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new InvalidArgumentError('It must be HOST:PORT, such as 127.0.0.1:7100 or [::1]:7100.');
}

async function tlsOf({ tlsCert, tlsKey, tlsCa }: Options): Promise<TlsFiles | undefined> {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UnderstudyError('config', 'TLS needs both --tls-cert and --tls-key');
  }
  return readTls({ cert: tlsCert, key: tlsKey, ca: tlsCa });
}

function readyLine(witness: Witness, { state, json }: Options): string {
  const { url, pairs } = witness;
  if (json === true) return JSON.stringify({ listening: url, state, pairs });
  return `witness on ${url}, keeps terms of ${pairs} pairs in ${state}`;
}
