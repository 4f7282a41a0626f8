/**
 * The `etcd:` arbiter: the state of a pair is the value of one key, changed by a transaction.
 *
 *   PREFIX/PAIR            {"understudy":"term","version":1,"term":42,"holder":"b:1f3c"}
 *   PREFIX/PAIR.identity   {"understudy":"arbiter","version":1,"identity":"9f86..."}
 *
 * Obligations, besides those of the port
 *  1. A claim is one transaction: the value equals the expected state (or the key does not exist),
 *     and there is an identity, then put, else read. etcd decides and flushes it on a majority of
 *     its members.
 *  2. Reads are linearizable (etcd's default), so a member that lost its cluster does not answer.
 *  3. A read asks all endpoints at once and takes the first answer: a frozen member costs nothing.
 *     A claim goes to the one that answered last, once. When that fails it may have been applied,
 *     so it is not repeated at another one; the caller reads again.
 *  4. Only one cluster counts: two with a pair's key each would be two arbiters. An answer of
 *     another cluster than the first one is an error.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import type {
  ArbiterSetUp,
  ArbiterSight,
  ArbiterState,
  ArbiterWithIdentity,
  CompareAndSetResult,
} from '../ports/arbiter.ts';
import type { Credentials } from './credentials.ts';
import { EtcdGateway, type EtcdKeyValue, type EtcdPut, type EtcdRead } from './etcd-gateway.ts';
import { quoted } from './http-call.ts';
import { formatIdentity, NeverSetUp, newIdentity, parseIdentity } from './identity.ts';
import { checkNext, formatState, parseState } from './state.ts';

export interface EtcdArbiterOptions {
  /** http(s)://HOST:PORT of members of one cluster. */
  readonly endpoints: readonly string[];
  readonly prefix: string;
  readonly pair: string;
  readonly credentials?: Credentials;
  /** @default arbiterLimits.requestMs */
  readonly deadlineMs?: number;
}

/**
 * Opens the arbiter. Endpoints that do not answer are no error here; ones that belong to different
 * clusters are: rejects with `UnderstudyError` ('config').
 */
export async function openEtcdArbiter(options: EtcdArbiterOptions): Promise<EtcdArbiter> {
  const arbiter = new EtcdArbiter(options);
  try {
    await arbiter.survey();
  } catch (thrown) {
    await arbiter.close();
    throw thrown;
  }
  return arbiter;
}

export class EtcdArbiter implements ArbiterWithIdentity {
  readonly #members: readonly EtcdGateway[];
  readonly #key: string;
  readonly #identityKey: string;
  #clusterId: string | undefined;
  /** The one that answered last, and is not known to have failed since. */
  #nearest: EtcdGateway | undefined;

  /** Use `openEtcdArbiter`. */
  constructor({ endpoints, prefix, pair, credentials = {}, deadlineMs }: EtcdArbiterOptions) {
    const common = { credentials, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    this.#members = endpoints.map((url) => new EtcdGateway({ url, ...common }));
    this.#key = `${prefix}/${pair}`;
    // No name of a pair has a dot in it.
    this.#identityKey = `${this.#key}.identity`;
  }

  /** Asks every endpoint which cluster it belongs to. */
  async survey(): Promise<void> {
    const answers = await Promise.allSettled(
      this.#members.map((member) => member.read([this.#key])),
    );
    const clusters = new Map<string, string>();
    for (const [index, answer] of answers.entries()) {
      if (answer.status !== 'fulfilled') continue;
      clusters.set(answer.value.clusterId, this.#members[index]?.url ?? '');
    }
    if (clusters.size <= 1) return;
    const one = [...clusters].map(([id, url]) => `${url} (cluster ${id})`).join(' and ');
    throw new UnderstudyError('config', `Cannot use ${one} as one arbiter: they are two`, {
      hint: 'Name members of one etcd cluster only.',
    });
  }

  async read(): Promise<ArbiterState | undefined> {
    return (await this.look()).state;
  }

  async look(): Promise<ArbiterSight> {
    const [state, identity] = (await this.#race()).found;
    return { identity: this.#identityIn(identity), state: this.#stateIn(state) };
  }

  async setUp(): Promise<ArbiterSetUp> {
    const before = (await this.look()).identity;
    if (before !== undefined) return { identity: before, isNew: false };
    const identity = newIdentity();
    const put = { key: this.#identityKey, expected: undefined, value: formatIdentity(identity) };
    const found = await this.#put(put);
    const other = found && this.#identityIn(found[0]);
    return other === undefined ? { identity, isNew: true } : { identity: other, isNew: false };
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    checkNext(expected, next);
    const found = await this.#put({
      key: this.#key,
      expected: expected === undefined ? undefined : formatState(expected),
      value: formatState(next),
      beside: this.#identityKey,
    });
    if (found === undefined) return { won: true };
    const [state, identity] = found;
    if (identity === undefined) throw new NeverSetUp(`The etcd key '${this.#key}'`);
    return { won: false, current: this.#stateIn(state) };
  }

  async close(): Promise<void> {
    for (const member of this.#members) member.close();
  }

  /** `undefined`: it was put; otherwise what is there. */
  async #put(put: EtcdPut): Promise<EtcdRead['found'] | undefined> {
    if (this.#nearest === undefined) await this.#race();
    const member = this.#nearest as EtcdGateway;
    try {
      const result = await member.putIf(put);
      this.#checkCluster(member, result.clusterId);
      return result.succeeded ? undefined : result.found;
    } catch (thrown) {
      this.#nearest = undefined;
      throw thrown;
    }
  }

  /** The first answer of any member; the questions to the others are given up then. */
  async #race(): Promise<EtcdRead> {
    const others = new AbortController();
    try {
      const attempts = this.#members.map(async (member) => {
        const read = await member.read([this.#key, this.#identityKey], others.signal);
        this.#checkCluster(member, read.clusterId);
        return { member, read };
      });
      const { member, read } = await Promise.any(attempts);
      this.#nearest = member;
      return read;
    } catch (thrown) {
      this.#nearest = undefined;
      throw noneAnswered(thrown);
    } finally {
      others.abort();
    }
  }

  #checkCluster(member: EtcdGateway, clusterId: string): void {
    this.#clusterId ??= clusterId;
    if (this.#clusterId === clusterId) return;
    throw new UnderstudyError(
      'arbiter',
      `etcd at ${member.url} belongs to cluster ${clusterId}, and others to ${this.#clusterId}`,
      { hint: 'Name members of one etcd cluster only.' },
    );
  }

  #stateIn(found: EtcdKeyValue | undefined): ArbiterState | undefined {
    if (found === undefined) return undefined;
    const state = parseState(found.value);
    // A claim compares bytes: a value in any other form could never be followed.
    if (state !== undefined && formatState(state) === found.value) return state;
    throw new UnderstudyError(
      'arbiter',
      `Cannot read the term in the etcd key '${this.#key}': expected one line of JSON with version ` +
        `1, a term and a holder, found ${JSON.stringify(quoted(found.value))}`,
      { hint: 'Stop both nodes, and go on as when an arbiter is lost: docs/arbiters.md.' },
    );
  }

  #identityIn(found: EtcdKeyValue | undefined): string | undefined {
    if (found === undefined) return undefined;
    const identity = parseIdentity(found.value);
    if (identity !== undefined) return identity;
    throw new UnderstudyError(
      'arbiter',
      `Cannot read the identity in the etcd key '${this.#identityKey}': expected one line of ` +
        `JSON with version 1, found ${JSON.stringify(quoted(found.value))}`,
      { hint: 'Look who wrote there.' },
    );
  }
}

/** One error for all of them; the only one as it is. */
function noneAnswered(thrown: unknown): Error {
  const errors = thrown instanceof AggregateError ? thrown.errors.map(asError) : [asError(thrown)];
  const [first] = errors;
  if (errors.length === 1 && first !== undefined) return first;
  const all = errors.map(({ message }) => message).join('; ');
  return new UnderstudyError('arbiter', `No etcd endpoint is of use: ${all}`, {
    hint: 'Check that a majority of its members runs, and that one can be reached.',
    // One that refuses for good tells what is wrong with all of them: they share the credentials.
    mayPass: errors.every((error) => error instanceof UnderstudyError && error.mayPass),
  });
}
