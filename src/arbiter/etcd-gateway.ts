/**
 * One endpoint of etcd through its JSON gateway (/v3): a linearizable read of several keys at one
 * instant, a put on a condition, and the token of a user. Keys and values travel in base64; fields
 * that are zero are left out.
 */
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Credentials } from './credentials.ts';
import {
  callMayPass,
  createAgent,
  type HttpAgent,
  type HttpAnswer,
  httpCall,
  quoted,
  statusMayPass,
} from './http-call.ts';
import { arbiterLimits } from './limits.ts';

export interface EtcdGatewayOptions {
  readonly url: string;
  readonly credentials: Credentials;
  /** For each request. @default arbiterLimits.requestMs */
  readonly deadlineMs?: number;
}

export interface EtcdKeyValue {
  readonly value: string;
}

/** What the keys asked for hold, in their order. */
export interface EtcdRead {
  readonly clusterId: string;
  readonly found: readonly (EtcdKeyValue | undefined)[];
}

export interface EtcdPut {
  readonly key: string;
  /** The value that it must have; `undefined`: it must not exist. */
  readonly expected: string | undefined;
  readonly value: string;
  /** Another key that must exist. */
  readonly beside?: string;
}

/** Of a put that did not succeed: what `key` and `beside` hold. */
export type EtcdPutResult = { readonly clusterId: string } & (
  | { readonly succeeded: true }
  | { readonly succeeded: false; readonly found: EtcdRead['found'] }
);

const headerSchema = z.object({ cluster_id: z.string() });
const kvsSchema = z.array(z.object({ value: z.base64().default('') })).default([]);
const txnSchema = z.object({
  header: headerSchema,
  succeeded: z.boolean().default(false),
  responses: z
    .array(z.object({ response_range: z.object({ kvs: kvsSchema }).optional() }))
    .default([]),
});
const tokenSchema = z.object({ token: z.string() });
const errorSchema = z.object({ message: z.string(), code: z.int() });

/** gRPC's UNAUTHENTICATED: the token is unknown, because it is old or etcd was started anew. */
const unauthenticated = 16;
/** Said with another code: users were changed since the token was given out. */
const oldToken = 'revision of auth store is old';

export class EtcdGateway {
  readonly url: string;
  readonly #options: EtcdGatewayOptions;
  readonly #agent: HttpAgent;
  #token: string | undefined;

  constructor(options: EtcdGatewayOptions) {
    this.url = options.url;
    this.#options = options;
    this.#agent = createAgent(options.url, options.credentials.tls);
  }

  async read(keys: readonly string[], signal?: AbortSignal): Promise<EtcdRead> {
    const answer = await this.#call('kv/txn', { success: keys.map(range) }, txnSchema, signal);
    return { clusterId: answer.header.cluster_id, found: foundIn(answer, keys) };
  }

  /** Puts `value` if all is as it must be, else reads. */
  async putIf({ key, expected, value, beside }: EtcdPut): Promise<EtcdPutResult> {
    const compare = [
      expected === undefined
        ? { key: base64(key), result: 'EQUAL', target: 'VERSION', version: '0' }
        : { key: base64(key), result: 'EQUAL', target: 'VALUE', value: base64(expected) },
      ...(beside === undefined
        ? []
        : [{ key: base64(beside), result: 'GREATER', target: 'VERSION', version: '0' }]),
    ];
    const keys = beside === undefined ? [key] : [key, beside];
    const success = [{ request_put: { key: base64(key), value: base64(value) } }];
    const transaction = { compare, success, failure: keys.map(range) };
    const answer = await this.#call('kv/txn', transaction, txnSchema);
    const clusterId = answer.header.cluster_id;
    if (answer.succeeded) return { clusterId, succeeded: true };
    return { clusterId, succeeded: false, found: foundIn(answer, keys) };
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * A call that is refused for its token was not applied, so it is repeated once with a new one.
   */
  async #call<Value>(
    path: string,
    body: object,
    schema: z.ZodType<Value>,
    signal?: AbortSignal,
  ): Promise<Value> {
    const { user } = this.#options.credentials;
    if (user !== undefined) this.#token ??= await this.#authenticate(user, signal);
    let answer = await this.#post(path, body, signal);
    if (user !== undefined && isTokenRefused(answer)) {
      this.#token = await this.#authenticate(user, signal);
      answer = await this.#post(path, body, signal);
    }
    return this.#valueOf(answer, schema);
  }

  async #authenticate(
    user: { readonly name: string; readonly password: string },
    signal?: AbortSignal,
  ): Promise<string> {
    this.#token = undefined;
    const answer = await this.#post('auth/authenticate', user, signal);
    return this.#valueOf(answer, tokenSchema).token;
  }

  async #post(path: string, body: object, signal?: AbortSignal): Promise<HttpAnswer> {
    const { deadlineMs = arbiterLimits.requestMs } = this.#options;
    const token = this.#token;
    try {
      return await httpCall({
        url: `${this.url}/v3/${path}`,
        agent: this.#agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: token }),
        },
        body: Buffer.from(JSON.stringify(body)),
        deadlineMs,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (thrown) {
      const error = asError(thrown);
      const hint = 'Check that it runs and can be reached.';
      throw this.#failure(`does not answer: ${error.message}`, hint, callMayPass(error));
    }
  }

  #valueOf<Value>({ status, body }: HttpAnswer, schema: z.ZodType<Value>): Value {
    const document = parseJson(body);
    if (status === 200) {
      const value = schema.safeParse(document);
      if (value.success) return value.data;
    }
    const said = errorSchema.safeParse(document).data?.message ?? body.toString();
    const refused = `refused (${status}): ${quoted(said)}`;
    throw this.#failure(refused, hintFor(status, said), statusMayPass(status));
  }

  #failure(what: string, hint: string, mayPass: boolean): UnderstudyError {
    return new UnderstudyError('arbiter', `etcd at ${this.url} ${what}`, { hint, mayPass });
  }
}

function isTokenRefused({ status, body }: HttpAnswer): boolean {
  if (status === 200) return false;
  const error = errorSchema.safeParse(parseJson(body)).data;
  return (
    error !== undefined && (error.code === unauthenticated || error.message.includes(oldToken))
  );
}

function hintFor(status: number, said: string): string {
  if (said.includes('user name is empty')) return 'Give arbiterAuth a user and a password.';
  if (said.includes('authentication failed')) return 'Check user and password of arbiterAuth.';
  if (said.includes('permission denied'))
    return 'Grant the user the right to read and write both keys of the pair.';
  if (status === 404) return 'etcd 3.4 or later is needed, with its JSON gateway (/v3).';
  return 'Look at the log of etcd.';
}

const range = (key: string) => ({ request_range: { key: base64(key) } });

function foundIn(
  { responses }: z.infer<typeof txnSchema>,
  keys: readonly string[],
): EtcdRead['found'] {
  return keys.map((_, index) => {
    const found = responses[index]?.response_range?.kvs[0];
    return found && { value: Buffer.from(found.value, 'base64').toString() };
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
