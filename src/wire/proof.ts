/**
 * Proof: how a side of the hello exchange shows that it knows the shared secret.
 *
 *   proof = HMAC-SHA-256(key, "understudy proof 1", role, dialer's hello, listener's hello,
 *   channel)
 *
 * What each part is for
 *   role               who speaks: a proof sent back to its maker is not the one it waits for
 *   both hellos        the packed messages, whole: names, pair, versions, terms. They hold both
 *                      challenges, which are fresh and random, so a proof fits one exchange only,
 *                      and nothing that was said can have been altered on its way
 *   channel            what only the two ends of this very TLS connection can compute (RFC 5705),
 *                      so that nobody sits between them; empty on a plain connection
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { LinkSecret } from './secret.ts';

export type HelloRole = 'dialer' | 'listener';

/** What a side needs to prove itself, and to judge the other's proof. */
export interface HelloAuth {
  readonly secret: LinkSecret;
  /** Of the connection below (tls.ts); empty when it is plain. */
  readonly channel: Uint8Array;
}

/** The packed hellos of one exchange. */
export interface Transcript {
  readonly dialer: Uint8Array;
  readonly listener: Uint8Array;
}

const challengeBytes = 32;
const purpose = Buffer.from('understudy proof 1');

/** A new challenge, in hexadecimal. Never used twice. */
export function newChallenge(): string {
  return randomBytes(challengeBytes).toString('hex');
}

/** The proof of the side `role`, in hexadecimal. */
export function proofOf(role: HelloRole, auth: HelloAuth, transcript: Transcript): string {
  return macOf(role, auth, transcript).toString('hex');
}

/** Whether `proof` is the one that `role` owes. Takes as long for a near miss as for a far one. */
export function isProofOf(
  role: HelloRole,
  proof: string,
  auth: HelloAuth,
  transcript: Transcript,
): boolean {
  const expected = macOf(role, auth, transcript);
  const found = Buffer.from(proof, 'hex');
  return found.length === expected.length && timingSafeEqual(found, expected);
}

function macOf(role: HelloRole, auth: HelloAuth, { dialer, listener }: Transcript): Buffer {
  return auth.secret.mac([purpose, Buffer.from(role), dialer, listener, auth.channel]);
}
