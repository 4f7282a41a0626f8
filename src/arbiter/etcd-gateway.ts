/**
 * One endpoint of etcd through its JSON gateway (/v3): a linearizable read, a put on a condition,
 * and the token of a user. Keys and values travel in base64; fields that are zero are left out.
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

export interface EtcdRange {
  readonly clusterId: string;
  readonly keyValue: EtcdKeyValue | undefined;
}

export type EtcdPutResult = { readonly clusterId: string } & (
  | { readonly succeeded: true }
  | { readonly succeeded: false; readonly current: EtcdKeyValue | undefined }
);

const headerSchema = z.object({ cluster_id: z.string() });
const kvsSchema = z.array(z.object({ value: z.base64().default('') })).default([]);
const rangeSchema = z.object({ header: headerSchema, kvs: kvsSchema });
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

  async range(key: string, signal?: AbortSignal): Promise<EtcdRange> {
    const answer = await this.#call('kv/range', { key: base64(key) }, rangeSchema, signal);
    return { clusterId: answer.header.cluster_id, keyValue: keyValueOf(answer.kvs) };
  }

  /**
   * Puts `value` if the key has the value `expected`, or does not exist when that is `undefined`.
   */
  async putIf(put: {
    readonly key: string;
    readonly expected: string | undefined;
    readonly value: string;
  }): Promise<EtcdPutResult> {
    const key = base64(put.key);
    const condition =
      put.expected === undefined
        ? { target: 'VERSION', version: '0' }
        : { target: 'VALUE', value: base64(put.expected) };
    const answer = await this.#call(
      'kv/txn',
      {
        compare: [{ key, result: 'EQUAL', ...condition }],
        success: [{ request_put: { key, value: base64(put.value) } }],
        failure: [{ request_range: { key } }],
      },
      txnSchema,
    );
    const clusterId = answer.header.cluster_id;
    if (answer.succeeded) return { clusterId, succeeded: true };
    const kvs = answer.responses[0]?.response_range?.kvs ?? [];
    return { clusterId, succeeded: false, current: keyValueOf(kvs) };
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
    return 'Grant the user the right to read and write the key.';
  if (status === 404) return 'etcd 3.4 or later is needed, with its JSON gateway (/v3).';
  return 'Look at the log of etcd.';
}

function keyValueOf(kvs: z.infer<typeof kvsSchema>): EtcdKeyValue | undefined {
  const [found] = kvs;
  return found && { value: Buffer.from(found.value, 'base64').toString() };
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
