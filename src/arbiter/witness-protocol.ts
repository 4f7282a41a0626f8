/**
 * What a witness and its clients say to each other: small HTTP requests with JSON bodies.
 *
 *   GET  /v1/pairs/NAME    200 {"identity": "9f86...", "state": {"term": 3, "holder": "b:1f3c"}};
 *                          each may be null; an unproven term has "unproven": true
 *   POST /v1/pairs/NAME    {"setUp": true}
 *                          200 {"identity": "9f86...", "isNew": true}
 *   POST /v1/pairs/NAME    {"expected": STATE or null, "next": STATE}
 *                          200 {"won": true}, or {"won": false, "current": STATE or null}
 *                          409 when the pair was never set up
 *   anything else          400 and above, {"error": "a sentence"}: nothing is known of the term
 *
 * With a shared secret, each request carries a fresh nonce and an HMAC, each answer an HMAC that
 * covers the request's. The secret itself is never sent. What that gives:
 *
 *  1. Nobody without the secret changes a term, or reads one.
 *  2. A forged answer is refused, and so is a true answer to another request: the nonce in the
 *     request's HMAC makes each request, and with it the only HMAC that answers it, unique.
 *  3. A request that is replayed does no harm, so the witness remembers no nonces. Terms only rise:
 *     once a compare-and-set was judged, the state never again equals what it expected, and it is
 *     refused. One that was held back and comes late is a request on a slow network: it can only
 *     win the term for the holder who asked, who finds it when it reads again. A request to set a
 *     pair up that is replayed finds it set up, or makes another identity than it did
 *     (identity.ts).
 *
 * A client must use a secret for one witness only: the HMAC does not name the witness.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { term as toTerm } from '../base/units.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import { identityPattern } from './identity.ts';
import { arbiterLimits } from './limits.ts';
import { pairName } from './state.ts';

export const nonceHeader = 'understudy-nonce';
export const macHeader = 'understudy-mac';
/** Of the answer to a claim for a pair that has no identity. */
export const neverSetUpStatus = 409;

const pathPrefix = '/v1/pairs/';
export const nonceBytes = 16;
const hexNonce = /^[0-9a-f]{32}$/;
const hexMac = /^[0-9a-f]{64}$/;

export function pathOfPair(pair: string): string {
  return `${pathPrefix}${pair}`;
}

/** The pair that a path names, or `undefined`. */
export function pairOfPath(path: string): string | undefined {
  if (!path.startsWith(pathPrefix)) return undefined;
  const pair = path.slice(pathPrefix.length);
  return pairName.test(pair) ? pair : undefined;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly nonce: string;
  readonly body: Buffer;
}

export function requestMac(secret: Buffer, { method, path, nonce, body }: SignedRequest): string {
  return mac(secret, ['understudy witness request 1', method, path, nonce, digest(body)]);
}

/** Bound to one request by its MAC, which covers the nonce. */
export function answerMac(
  secret: Buffer,
  answer: { readonly requestMac: string; readonly status: number; readonly body: Buffer },
): string {
  const { status, body } = answer;
  return mac(secret, ['understudy witness answer 1', answer.requestMac, status, digest(body)]);
}

export function isNonce(text: unknown): text is string {
  return typeof text === 'string' && hexNonce.test(text);
}

export function isMac(text: unknown): text is string {
  return typeof text === 'string' && hexMac.test(text);
}

/** Compares in constant time. Both must be MACs. */
export function macsEqual(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}

/** JSON of an array is unambiguous: no two lists of fields give the same bytes. */
function mac(secret: Buffer, fields: readonly (string | number)[]): string {
  return createHmac('sha256', secret).update(JSON.stringify(fields)).digest('hex');
}

function digest(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

const stateSchema: z.ZodType<ArbiterState> = z
  .strictObject({
    term: z.int().min(1).transform(toTerm),
    holder: z.string().min(1).max(arbiterLimits.holderChars),
    unproven: z.literal(true).optional(),
  })
  .transform(({ term, holder, unproven }) =>
    unproven === undefined ? { term, holder } : { term, holder, unproven },
  );

export const claimSchema = z.strictObject({
  expected: stateSchema.nullable(),
  next: stateSchema,
});

export const setUpSchema = z.strictObject({ setUp: z.literal(true) });

const identitySchema = z.string().regex(identityPattern);

export const lookAnswerSchema = z.strictObject({
  identity: identitySchema.nullable(),
  state: stateSchema.nullable(),
});

export const setUpAnswerSchema = z.strictObject({ identity: identitySchema, isNew: z.boolean() });

export const claimAnswerSchema = z.discriminatedUnion('won', [
  z.strictObject({ won: z.literal(true) }),
  z.strictObject({ won: z.literal(false), current: stateSchema.nullable() }),
]);

export const refusalSchema = z.object({ error: z.string() });

/** The value in a body, or `undefined` when it is not what the schema says. */
export function parseBody<Value>(schema: z.ZodType<Value>, body: Buffer): Value | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  return schema.safeParse(value).data;
}
