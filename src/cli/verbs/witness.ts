/** A third vote for pairs, over HTTP, in the foreground. */
import { readSecret, readTls, type TlsFiles } from '../../arbiter/credentials.ts';
import { startWitness, type Witness } from '../../arbiter/witness-server.ts';
import { UnderstudyError } from '../../base/errors.ts';
import { withResolvers } from '../../base/with-resolvers.ts';
import { hostLimits } from '../../host/limits.ts';
import { StopSignals } from '../../host/stop-signals.ts';
import { openLog } from '../../node/logger.ts';

export interface WitnessOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly state: string;
  readonly secret?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly json?: boolean;
}

/** Until it is told to stop. */
export async function witness(options: WitnessOptions): Promise<void> {
  const { listen, state } = options;
  const { log, output } = openLog('witness');
  const tls = await tlsOf(options);
  const started = await startWitness({
    ...listen,
    directory: state,
    ...(options.secret === undefined ? {} : { secret: await readSecret(options.secret) }),
    ...(tls === undefined ? {} : { tls }),
    onProblem: (error) => log.error({ code: error.code }, error.describe()),
  });
  const stopped = withResolvers<void>();
  const signals = new StopSignals({
    onStop: () => stopped.resolve(),
    onHangup: () => log.info({}, 'SIGHUP: nothing is read anew, and the witness goes on'),
  });
  process.stdout.write(`${readyLine(started, options)}\n`);
  await stopped.promise;
  await started.close();
  await output.flush(hostLimits.outputFlushMs);
  signals.close();
}

async function tlsOf({ tlsCert, tlsKey, tlsCa }: WitnessOptions): Promise<TlsFiles | undefined> {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UnderstudyError('config', 'TLS needs both --tls-cert and --tls-key');
  }
  return readTls({ cert: tlsCert, key: tlsKey, ca: tlsCa });
}

function readyLine({ url, pairs }: Witness, { state, json }: WitnessOptions): string {
  if (json === true) return JSON.stringify({ listening: url, state, pairs });
  return `witness on ${url}, keeps terms of ${pairs} pairs in ${state}`;
}
