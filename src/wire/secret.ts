/**
 * LinkSecret: what both nodes of a pair know and nobody else, as keys.
 *
 * Intuition: the secret itself is used for nothing but to derive one key for each purpose (HKDF),
 * so that what is computed with one key says nothing about another. The object holds the keys where
 * no logger and no debugger's print finds them.
 *
 * A key stretches nothing: whoever sees a proof may guess secrets at full speed. So a secret must
 * be random; `understudy secret` makes one, and the node refuses what is too short to be.
 */
import { createHmac, hkdfSync } from 'node:crypto';

const keyBytes = 32;

export class LinkSecret {
  readonly #helloKey: Buffer;
  readonly #tlsKey: Buffer;

  constructor(secret: Uint8Array) {
    this.#helloKey = derive(secret, 'understudy link hello 1');
    this.#tlsKey = derive(secret, 'understudy link tls 1');
  }

  /**
   * HMAC-SHA-256 over the parts, each with its length before it, so that no two lists are alike.
   */
  mac(parts: readonly Uint8Array[]): Buffer {
    const hmac = createHmac('sha256', this.#helloKey);
    for (const part of parts) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      hmac.update(length).update(part);
    }
    return hmac.digest();
  }

  /** The key of a TLS connection that is keyed by the secret. For tls.ts alone. */
  get tlsKey(): Buffer {
    return this.#tlsKey;
  }
}

function derive(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), purpose, keyBytes));
}
