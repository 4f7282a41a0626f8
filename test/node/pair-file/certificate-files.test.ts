// What is wrong with a certificate must be said when the node starts, not when its backup is
// needed.
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { term } from '../../../src/base/units.ts';
import {
  type CertificateFiles,
  readCertificateFiles,
} from '../../../src/node/pair-file/certificate-files.ts';
import { dial } from '../../../src/wire/dial.ts';
import { listen } from '../../../src/wire/listener.ts';
import { hasOpenssl } from '../../arbiter/certificates.ts';
import { makeCertificates, shell } from '../openssl.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const files: CertificateFiles = { ca: at('ca.pem'), cert: at('a.pem'), key: at('a.key') };
const day = 86_400_000;

function check(more: Partial<CertificateFiles> = {}, host = '127.0.0.1', now = Date.now()) {
  return readCertificateFiles({ ...files, ...more }, { host, now });
}

function refusal(...given: Parameters<typeof check>): UnderstudyError {
  try {
    check(...given);
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) return thrown;
    throw thrown;
  }
  throw new Error('it was accepted');
}

describe.skipIf(!hasOpenssl())('the certificates of a node', () => {
  beforeAll(() => {
    makeCertificates(dir);
    // Another authority and its node, a node through an authority between, and one that only
    // serves.
    fs.mkdirSync(at('other'));
    makeCertificates(at('other'));
    const curve = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
    const sign = '-days 9 -CAcreateserial';
    const issue = (name: string, ca: string, ext: string): string =>
      `openssl req ${curve} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr
       printf '${ext}' > ${name}.ext; chmod 600 ${name}.key
       openssl x509 -req -in ${name}.csr ${sign} -extfile ${name}.ext -CA ${ca}.pem -CAkey ${ca}.key -out ${name}.pem\n`;
    shell(
      issue('between', 'ca', 'basicConstraints=critical,CA:TRUE') +
        issue('far', 'between', 'subjectAltName=IP:127.0.0.1,DNS:far.example.org') +
        issue('serves', 'ca', 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth') +
        issue('nameless', 'ca', 'basicConstraints=CA:FALSE') +
        'cat far.pem between.pem > chain.pem; openssl ec -in a.key -aes128 -passout pass:x -out locked.key\n' +
        'chmod 600 locked.key; cp a.key open.key; chmod 644 open.key; head -c 300 a.pem > cut.pem\n' +
        'printf -- "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n" > bad.pem',
      dir,
    );
  }, 30_000);

  it('made by the documented commands carry a link', async () => {
    const [a, b] = [check(), check({ cert: at('b.pem'), key: at('b.key') })];
    const identity = (node: string) => ({
      ...{ node, pair: 'p', qemu: '7.2.22', vmFingerprint: 'f' },
      logLayout: '7.2' as const,
      term: term(1),
    });
    const listener = await listen({
      ...{ host: '127.0.0.1', port: 0, tls: a },
      identity: () => identity('a'),
      onLink: () => undefined,
    });
    const { port } = listener;
    const link = await dial({ host: '127.0.0.1', port, identity: identity('b'), tls: b });
    expect(link.peer.node).toBe('a');
    link.close('test over');
    await listener.close();
  });

  it('may come with the authorities between, and for a name', () => {
    check({ cert: at('chain.pem'), key: at('far.key') });
    check({ cert: at('chain.pem'), key: at('far.key') }, 'far.example.org');
  });

  it.each([
    ['no such file', { cert: at('none') }, "Cannot read certificate '"],
    ['no PEM', { ca: at('a.ext') }, 'there is no PEM certificate in it'],
    ['cut short', { cert: at('cut.pem') }, 'there is no PEM certificate in it'],
    ['damaged', { cert: at('bad.pem') }, 'it is damaged'],
    ['the key of another', { key: at('b.key') }, "is not the key of certificate '"],
    ['a key with a passphrase', { key: at('locked.key') }, "Cannot use private key '"],
    ['a certificate for a key', { key: at('a.csr') }, 'may read or change private key'],
    ['a key that all may read', { key: at('open.key') }, 'its mode is 0644, at most 0600 may be'],
    ['another authority', { ca: at('other/ca.pem') }, 'was not issued by certificate authority'],
    [
      'the authority between is missing',
      { cert: at('far.pem'), key: at('far.key') },
      'was not issued by',
    ],
    [
      'for servers only',
      { cert: at('serves.pem'), key: at('serves.key') },
      'is not for clientAuth',
    ],
    [
      'for no address',
      { cert: at('nameless.pem'), key: at('nameless.key') },
      'it is for no address at all (no subjectAltName)',
    ],
  ])('%s: refused', (_, more, message) => {
    const error = refusal(more);
    expect(error.code).toBe('config');
    expect(error.message).toContain(message);
    expect(error.hint).toBeDefined();
  });

  it('for another address: refused, and it says for which it is', () => {
    const error = refusal({}, '10.1.2.3');
    expect(error.message).toContain("is not for '10.1.2.3', where this node listens: it is for IP");
    expect(error.hint).toContain('subjectAltName=IP:10.1.2.3');
  });

  it('expired, or of the future: refused, with the dates', () => {
    const expired = refusal({}, '127.0.0.1', Date.now() + 1000 * day);
    expect(expired.message).toMatch(
      /Certificate '.*a\.pem' \(CN=a\) has expired: it was valid to /,
    );
    const early = refusal({}, '127.0.0.1', Date.now() - 2 * day);
    expect(early.message).toMatch(/is not valid yet: it is valid from .* and it is .* here/);
    expect(early.hint).toBe("set this host's clock");
  });
});
