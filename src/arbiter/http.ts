/**
 * The `http:` arbiter: client of a witness (`understudy witness`).
 *
 * One request an operation, never repeated here: a request whose answer did not come may have been
 * applied, and the caller finds out by reading again (obligation 5 of the port). With a shared
 * secret an answer counts only when its HMAC is right, so nobody on the way can say "you won".
 */
import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import type {
  ArbiterSetUp,
  ArbiterSight,
  ArbiterState,
  ArbiterWithIdentity,
  CompareAndSetResult,
} from '../ports/arbiter.ts';
import type { TlsFiles } from './credentials.ts';
import {
  callMayPass,
  createAgent,
  type HttpAgent,
  type HttpAnswer,
  httpCall,
  quoted,
  statusMayPass,
} from './http-call.ts';
import { NeverSetUp } from './identity.ts';
import { arbiterLimits } from './limits.ts';
import { checkNext } from './state.ts';
import {
  answerMac,
  claimAnswerSchema,
  isMac,
  lookAnswerSchema,
  macHeader,
  macsEqual,
  neverSetUpStatus,
  nonceBytes,
  nonceHeader,
  parseBody,
  pathOfPair,
  refusalSchema,
  requestMac,
  setUpAnswerSchema,
} from './witness-protocol.ts';

export interface HttpArbiterOptions {
  /** http://HOST:PORT or https://HOST:PORT */
  readonly url: string;
  readonly pair: string;
  readonly secret?: Buffer;
  readonly tls?: TlsFiles;
  /** @default arbiterLimits.requestMs */
  readonly deadlineMs?: number;
}

export class HttpArbiter implements ArbiterWithIdentity {
  readonly #options: HttpArbiterOptions;
  readonly #agent: HttpAgent;

  constructor(options: HttpArbiterOptions) {
    this.#options = options;
    this.#agent = createAgent(options.url, options.tls);
  }

  async read(): Promise<ArbiterState | undefined> {
    return (await this.look()).state;
  }

  async look(): Promise<ArbiterSight> {
    const { identity, state } = await this.#ask('GET', Buffer.alloc(0), lookAnswerSchema);
    return { identity: identity ?? undefined, state: state ?? undefined };
  }

  setUp(): Promise<ArbiterSetUp> {
    return this.#ask('POST', Buffer.from(JSON.stringify({ setUp: true })), setUpAnswerSchema);
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    checkNext(expected, next);
    const claim = Buffer.from(JSON.stringify({ expected: expected ?? null, next }));
    const answer = await this.#ask('POST', claim, claimAnswerSchema);
    return answer.won ? answer : { won: false, current: answer.current ?? undefined };
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #ask<Value>(
    method: 'GET' | 'POST',
    body: Buffer,
    schema: z.ZodType<Value>,
  ): Promise<Value> {
    const { url, pair, secret, deadlineMs = arbiterLimits.requestMs } = this.#options;
    const path = pathOfPair(pair);
    const nonce = randomBytes(nonceBytes).toString('hex');
    const mac = secret && requestMac(secret, { method, path, nonce, body });
    let answer: HttpAnswer;
    try {
      answer = await httpCall({
        url: `${url}${path}`,
        agent: this.#agent,
        method,
        deadlineMs,
        ...(mac === undefined ? {} : { headers: { [nonceHeader]: nonce, [macHeader]: mac } }),
        ...(method === 'GET' ? {} : { body }),
      });
    } catch (thrown) {
      const error = asError(thrown);
      const hint = 'Check that it runs and can be reached.';
      throw this.#failure(`does not answer: ${error.message}`, hint, callMayPass(error));
    }
    if (answer.status !== 200) throw this.#refusal(answer);
    if (secret !== undefined && mac !== undefined && !isAuthentic(secret, mac, answer)) {
      throw this.#failure(
        'gave an answer without a valid proof',
        'Check that this is the witness, and that it has the same secret.',
      );
    }
    const value = parseBody(schema, answer.body);
    if (value !== undefined) return value;
    throw this.#failure(
      `gave an answer that cannot be understood: ${quoted(answer.body.toString())}`,
      'Check that the address is that of a witness.',
    );
  }

  /** Not authenticated, and need not be: whatever it says, nothing is known of the term. */
  #refusal({ status, body }: HttpAnswer): UnderstudyError {
    if (status === neverSetUpStatus) return new NeverSetUp(this.#name);
    const said = parseBody(refusalSchema, body)?.error ?? body.toString();
    const hint =
      status === 401
        ? 'Give the witness and both nodes the same secret file.'
        : 'See the log of the witness.';
    return this.#failure(`refused (${status}): ${quoted(said)}`, hint, statusMayPass(status));
  }

  #failure(what: string, hint: string, mayPass = false): UnderstudyError {
    return new UnderstudyError('arbiter', `${this.#name} ${what}`, { hint, mayPass });
  }

  get #name(): string {
    const { url, pair } = this.#options;
    return `The witness at ${url} (pair '${pair}')`;
  }
}

function isAuthentic(secret: Buffer, mac: string, { status, body, headers }: HttpAnswer): boolean {
  const given = headers[macHeader];
  return isMac(given) && macsEqual(given, answerMac(secret, { requestMac: mac, status, body }));
}
