/**
 * TLS below a link: by certificates on both sides, or by the shared secret.
 *
 * Intuition: the two ends of a link know each other before they ever meet, so either an authority
 * of their own vouches for both (mutual TLS), or a secret they share is the key of the connection
 * itself (TLS 1.3 with a pre-shared key). With the latter there is nothing to sign, to renew or to
 * expire, and who does not know the secret never gets as far as an HTTP header. The key
 * exchange is ephemeral in both (psk_dhe_ke): a secret that leaks later opens no recording.
 *
 * TLS 1.3 only: both ends are this program. Its exporter is safe as a channel binding (RFC 9266).
 */
import { type ConnectionOptions, TLSSocket, type TlsOptions } from 'node:tls';
import { wireLimits } from './limits.ts';
import { LinkSecret } from './secret.ts';

/** Certificates for mutual TLS, in PEM. Both sides prove themselves against the same authority. */
export interface LinkCertificates {
  readonly ca: string | Buffer;
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/** What a link's TLS stands on. */
export type LinkTls = LinkCertificates | LinkSecret;

/** How a link is protected. Neither: plain text, for loopback alone. */
export interface LinkSecurity {
  /** Needed to leave the machine. */
  readonly tls?: LinkTls;
  /** Both sides prove in the hello that they know it. */
  readonly secret?: LinkSecret;
}

const version = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** Names the key, of which there is one. Travels in the clear. */
const keyName = 'understudy';

/** A pre-shared key goes with SHA-256 (RFC 8446, 4.2.11), and so with these only. */
const keyedCiphers = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';

export function serverTls(tls: LinkTls): TlsOptions {
  const common = { ...version, handshakeTimeout: wireLimits.helloMs };
  if (!(tls instanceof LinkSecret)) {
    return { ...common, ...certificatesOf(tls), requestCert: true, rejectUnauthorized: true };
  }
  // Without a certificate here, a handshake without the key cannot end well.
  const pskCallback = (_socket: TLSSocket, name: string): Buffer | null =>
    name === keyName ? tls.tlsKey : null;
  return { ...common, ciphers: keyedCiphers, pskCallback };
}

export function clientTls(tls: LinkTls): ConnectionOptions {
  if (!(tls instanceof LinkSecret)) return { ...version, ...certificatesOf(tls) };
  return {
    ...version,
    ciphers: keyedCiphers,
    pskCallback: () => ({ psk: tls.tlsKey, identity: keyName }),
    // A listener may offer a certificate in the place of the key, even a good one. No authority is
    // trusted, and this is asked only if a certificate was.
    ca: [],
    checkServerIdentity: () => new Error('it showed a certificate and not the shared secret'),
  };
}

function certificatesOf({ ca, cert, key }: LinkCertificates): LinkCertificates {
  return { ca, cert, key };
}

/**
 * What only the two ends of this connection know (RFC 9266, tls-exporter); empty if it is plain.
 */
export function channelOf(socket: unknown): Buffer {
  if (!(socket instanceof TLSSocket)) return Buffer.alloc(0);
  return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
}

/** What to do about a handshake that failed; `undefined` when it was not TLS that failed. */
export function hintOfTls(error: Error): string | undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'CERT_HAS_EXPIRED') return 'Give the other node a certificate that is valid now.';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'Make a certificate for the address that is dialled (subjectAltName).';
  }
  if (code.startsWith('ERR_SSL_WRONG_VERSION') || /wrong version number/.test(error.message)) {
    return 'Use wss on both nodes: the other side does not speak TLS.';
  }
  const isTls = /^(ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code);
  if (isTls || /SSL (routines|alert)/.test(error.message)) {
    return 'Give both nodes the same secret file, or certificates of the same authority.';
  }
  return undefined;
}
