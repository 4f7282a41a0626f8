/**
 * The identity of an arbiter, as it is kept beside the terms of a pair:
 *
 *   one line of JSON: {"understudy":"arbiter","version":1,"identity":"9f86d081884c7d659a..."}
 *
 * It is of chance and made by who keeps it, never by who asks for it: a request that somebody sends
 * again to a witness that was wiped makes another identity, and not the old one without its terms.
 */
import { randomBytes } from 'node:crypto';
import { UnderstudyError } from '../base/errors.ts';

/** 128 bits, in hexadecimal. */
export const identityPattern = /^[0-9a-f]{32}$/;

export function newIdentity(): string {
  return randomBytes(16).toString('hex');
}

/** An identity as it is kept: one line of JSON, always written in the same way. */
export function formatIdentity(identity: string): string {
  return `${JSON.stringify({ understudy: 'arbiter', version: 1, identity })}\n`;
}

/** The identity in a line that `formatIdentity` wrote; `undefined` for anything else. */
export function parseIdentity(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { understudy, version, identity } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (understudy !== 'arbiter' || version !== 1 || typeof identity !== 'string') return undefined;
  return identityPattern.test(identity) ? identity : undefined;
}

/**
 * There is no identity where one is needed. That may pass: a share is mounted late, a pair is set
 * up after its nodes were started.
 */
export class NeverSetUp extends UnderstudyError {
  /** `arbiter`: which one, as in "The arbiter in '/srv/web/arbiter'". */
  constructor(arbiter: string, pairFile = 'FILE') {
    super('arbiter', `${arbiter} was never set up for this pair`, {
      hint:
        `If the pair is new, run \`understudy init --pair ${pairFile}\` once, on one host. ` +
        'If it is not: is this the right one, and is it mounted?',
      mayPass: true,
    });
  }
}
