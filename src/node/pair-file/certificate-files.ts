/**
 * The three files of mutual TLS, checked when the node starts: a takeover is no time to learn that
 * a certificate has expired, is for another address, or was signed by somebody else.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import net from 'node:net';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { readOperatorFile } from '../../host/operator-file.ts';
import type { LinkCertificates } from '../../wire/tls.ts';

export interface CertificateFiles {
  /** Of the authority that vouches for both nodes. */
  readonly ca: string;
  /** Of this node; certificates between it and the authority may follow it. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateCheck {
  /** Where this node listens: what its peer dials, and looks for in the certificate. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const bytesMax = 256 * 1024;
const usages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const howTo = 'see docs/security.md for the commands that make one';

/** Throws `config` or `rights` with the first thing that is wrong. */
export function readCertificateFiles(
  files: CertificateFiles,
  check: CertificateCheck,
): LinkCertificates {
  const read = (what: string, path: string, secret: boolean): Buffer =>
    readOperatorFile({ what, path, maxBytes: bytesMax, secret, hint: howTo });
  const ca = read('certificate authority', files.ca, false);
  const cert = read('certificate', files.cert, false);
  const key = read('private key', files.key, true);
  const authorities = parseCertificates(ca, `certificate authority '${files.ca}'`);
  const chain = parseCertificates(cert, `certificate '${files.cert}'`);
  const own = chain[0] as X509Certificate;
  for (const one of authorities) checkDates(one, `Certificate authority '${files.ca}'`, check.now);
  for (const one of chain) checkDates(one, `Certificate '${files.cert}'`, check.now);
  checkKey(own, key, files);
  checkIssuer(chain, authorities, files);
  checkHost(own, check.host, files.cert);
  checkUsage(own, files.cert);
  return { ca, cert, key };
}

const pemForm = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function parseCertificates(pem: Buffer, name: string): X509Certificate[] {
  const found = pem.toString('latin1').match(pemForm) ?? [];
  if (found.length === 0) {
    const what = `Cannot use ${name}: there is no PEM certificate in it`;
    throw new UnderstudyError('config', what, { hint: howTo });
  }
  try {
    return found.map((one) => new X509Certificate(one));
  } catch (thrown) {
    const cause = asError(thrown);
    throw new UnderstudyError('config', `Cannot use ${name}: it is damaged`, {
      cause,
      hint: howTo,
    });
  }
}

function checkDates(certificate: X509Certificate, name: string, now: number): void {
  const { validFrom, validTo, subject } = certificate;
  const who = subject.replaceAll('\n', ', ');
  if (now > Date.parse(validTo)) {
    throw new UnderstudyError(
      'config',
      `${name} (${who}) has expired: it was valid to ${validTo}`,
      {
        hint: `make a new one; ${howTo}`,
      },
    );
  }
  if (now < Date.parse(validFrom)) {
    throw new UnderstudyError(
      'config',
      `${name} (${who}) is not valid yet: it is valid from ${validFrom}, ` +
        `and it is ${new Date(now).toUTCString()} here`,
      { hint: "set this host's clock" },
    );
  }
}

function checkKey(own: X509Certificate, pem: Buffer, files: CertificateFiles): void {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot use private key '${files.key}'`, {
      cause: asError(thrown),
      hint: 'it must be a PEM key without a passphrase: openssl pkey -in OLD -out NEW',
    });
  }
  if (own.checkPrivateKey(key)) return;
  throw new UnderstudyError(
    'config',
    `Private key '${files.key}' is not the key of certificate '${files.cert}'`,
    { hint: 'name the key that the certificate was made with' },
  );
}

/** Follows the chain from the node's certificate to one of the authority's. */
function checkIssuer(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  files: CertificateFiles,
): void {
  const issued = (by: X509Certificate) => (one: X509Certificate) =>
    one.checkIssued(by) && one.verify(by.publicKey);
  let current = chain[0] as X509Certificate;
  for (let length = 0; length < chain.length; length += 1) {
    const last = current;
    if (authorities.some((authority) => issued(authority)(last))) return;
    const next = chain.find((one) => one !== last && issued(one)(last));
    if (next === undefined) break;
    current = next;
  }
  throw new UnderstudyError(
    'config',
    `Certificate '${files.cert}' was not issued by certificate authority '${files.ca}'`,
    { hint: 'name the authority that signed the certificates of both nodes' },
  );
}

function checkHost(own: X509Certificate, host: string, file: string): void {
  const fits = net.isIP(host) === 0 ? own.checkHost(host) : own.checkIP(host);
  if (fits !== undefined) return;
  throw new UnderstudyError(
    'config',
    `Certificate '${file}' is not for '${host}', where this node listens: ` +
      `it is for ${own.subjectAltName ?? 'no address at all (no subjectAltName)'}`,
    { hint: `make one with subjectAltName=${net.isIP(host) === 0 ? 'DNS' : 'IP'}:${host}` },
  );
}

/** A node both dials and listens. A certificate that names no use has them all. */
function checkUsage(own: X509Certificate, file: string): void {
  const named = own.keyUsage;
  if (named === undefined) return;
  const missing = Object.entries(usages).filter(([, oid]) => !named.includes(oid));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => `${name}Auth`).join(' and ');
  throw new UnderstudyError('config', `Certificate '${file}' is not for ${names}`, {
    hint: 'make one with extendedKeyUsage=serverAuth,clientAuth, as a node dials and listens',
  });
}
