/**
 * How the link of a node is protected: what the pair file says, with its files read and checked.
 */
import type { LinkSecurity } from '../../wire/tls.ts';
import { readCertificateFiles } from './certificate-files.ts';
import { parseListenAddress } from './listen-address.ts';
import type { PairConfig } from './pair-config.ts';
import { readSecretFile } from './secret-file.ts';

/** For `listen` and `dial`. Throws `config` or `rights` that names the file and what to do. */
export function loadLinkSecurity(config: PairConfig): LinkSecurity {
  const { self, secretFile } = config;
  const address = parseListenAddress(self.listen);
  const proof = secretFile === undefined ? {} : { secret: readSecretFile(secretFile) };
  if (address?.scheme !== 'wss') return proof;
  if (self.tls !== undefined) {
    const tls = readCertificateFiles(self.tls, { host: address.host, now: Date.now() });
    return { ...proof, tls };
  }
  return proof.secret === undefined ? proof : { ...proof, tls: proof.secret };
}
