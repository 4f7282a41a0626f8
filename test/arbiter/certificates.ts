/** Certificates for tests, made by openssl: an authority and one certificate that it signed. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

/** Makes files NAME.* in a directory; the certificate is for 127.0.0.1, as server and client. */
export function makeCertificates(directory: string, name: string): Certificates {
  const file = (ending: string): string => path.join(directory, `${name}.${ending}`);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'pipe' });
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    ...['req', '-x509', ...curve, '-days', '1', '-subj', `/CN=${name}`],
    ...['-keyout', file('ca.key'), '-out', file('ca.pem')],
  );
  openssl(
    ...['req', ...curve, '-subj', `/CN=${name} node`],
    ...['-keyout', file('key'), '-out', file('csr')],
  );
  writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\n');
  openssl(
    ...['x509', '-req', '-in', file('csr'), '-days', '1', '-extfile', file('ext')],
    ...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-out', file('pem')],
  );
  chmodSync(file('key'), 0o600);
  return { ca: file('ca.pem'), cert: file('pem'), key: file('key') };
}
