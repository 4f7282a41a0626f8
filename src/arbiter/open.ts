/** Opens the arbiter that a pair file names. */
import { UnderstudyError } from '../base/errors.ts';
import type { ArbiterWithIdentity } from '../ports/arbiter.ts';
import { type ArbiterAuth, loadCredentials } from './credentials.ts';
import { openEtcdArbiter } from './etcd.ts';
import { FileArbiter } from './file.ts';
import { HttpArbiter } from './http.ts';
import type { ArbiterSpec } from './spec.ts';

export interface OpenArbiterOptions {
  /** Whose terms these are: one witness or etcd cluster serves many pairs. */
  readonly pair: string;
  readonly auth?: ArbiterAuth;
  /** For each request over the network. @default arbiterLimits.requestMs */
  readonly deadlineMs?: number;
}

/** An arbiter that holds connections or files until it is closed. The terms stay. */
export interface OpenedArbiter extends ArbiterWithIdentity {
  close(): Promise<void>;
}

/**
 * Rejects with `UnderstudyError` ('arbiter', 'config', 'rights'). One that is only not reachable
 * now opens: its first use tells.
 */
export async function openArbiter(
  spec: ArbiterSpec,
  { pair, auth = {}, deadlineMs }: OpenArbiterOptions,
): Promise<OpenedArbiter> {
  const waiting = deadlineMs === undefined ? {} : { deadlineMs };
  switch (spec.kind) {
    case 'file':
      return openFile(spec.directory);
    case 'witness': {
      const { secret, tls } = await loadCredentials(auth);
      return new HttpArbiter({
        url: spec.url,
        pair,
        ...(secret === undefined ? {} : { secret }),
        ...(tls === undefined ? {} : { tls }),
        ...waiting,
      });
    }
    case 'etcd': {
      const { endpoints, prefix } = spec;
      const credentials = await loadCredentials(auth);
      return openEtcdArbiter({ endpoints, prefix, pair, credentials, ...waiting });
    }
  }
}

/** A directory costs nothing to look at: what is wrong with it for good is told now. */
async function openFile(directory: string): Promise<FileArbiter> {
  const arbiter = new FileArbiter({ directory });
  try {
    await arbiter.look();
  } catch (thrown) {
    if (!(thrown instanceof UnderstudyError && thrown.mayPass)) {
      await arbiter.close();
      throw thrown;
    }
  }
  return arbiter;
}
