// What the pair file says of the link is what a node does: it dials its peer and lets itself be
// dialled with the secret or the certificates, and with nothing less. No machine runs: the node is
// a backup whose primary has nothing to seed, and QEMU a script that tells its version.
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { term } from '../../src/base/units.ts';
import { UnderstudyNode } from '../../src/node/node.ts';
import { loadLinkSecurity } from '../../src/node/pair-file/link-security.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { createSecretFile } from '../../src/node/pair-file/secret-file.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { listen } from '../../src/wire/listener.ts';
import type { LinkSecurity } from '../../src/wire/tls.ts';
import { hasOpenssl } from '../arbiter/certificates.ts';
import { freePort } from '../arbiter/lossy-proxy.ts';
import { hangMs } from '../time.ts';
import { identityOfB, quiet, writeMachineless } from './machineless.ts';
import { makeCertificates } from './openssl.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);

beforeAll(async () => {
  await writeMachineless(dir);
  createSecretFile(at('secret'));
  if (hasOpenssl()) makeCertificates(dir);
}, 30_000);

const withSecret = 'security: { secretFile: secret }';
const withTls = `tls: { ca: ca.pem, cert: a.pem, key: a.key }`;

describe.each([
  ['ws', 'nothing', '', []],
  ['ws', 'a secret', withSecret, [{}]],
  ['wss', 'a secret', withSecret, [{}]],
  ...(hasOpenssl()
    ? ([
        ['wss', 'certificates', withTls, [{}]],
        ['wss', 'both', `${withSecret}\n${withTls}`, [{}]],
      ] as const)
    : []),
] as const)('a node with %s and %s', (scheme, _, more, tooLittle: readonly LinkSecurity[]) => {
  it('gets links with its peer, and with nobody who has less', async () => {
    const [portA, portB] = [await freePort(), await freePort()];
    const file = at(`pair-${portA}.yaml`);
    fs.writeFileSync(
      file,
      `pair: p\nvm: vm.yaml\narbiter: file:terms\n${more}\nnodes:
  a: { listen: '${scheme}://127.0.0.1:${portA}', runDir: run-${portA} }
  b: { listen: '${scheme}://127.0.0.1:${portB}', runDir: run-${portB} }\n`,
    );
    const security = loadLinkSecurity(loadPairConfig(file, 'b'));
    const identity: Identity = {
      ...(await identityOfB(dir)),
      // It has the newer disks: the node waits for it.
      standing: { role: 'none', isGranted: false, spoken: term(1), logged: term(0) },
    };
    let dialled: (link: Link) => void = () => undefined;
    const link = new Promise<Link>((resolve) => {
      dialled = resolve;
    });
    const peer = await listen({
      ...{ host: '127.0.0.1', port: portB, ...security },
      identity: () => identity,
      onLink: dialled,
    });
    const node = await UnderstudyNode.create({
      config: loadPairConfig(file, 'a'),
      log: quiet,
      startAnew: false,
    });
    const ended = node.run();
    expect((await link).peer.node).toBe('a');
    const there = { host: '127.0.0.1', port: portA, identity };
    const back = await dial({ ...there, ...security });
    expect(back.peer.node).toBe('a');
    for (const less of tooLittle) await expect(dial({ ...there, ...less })).rejects.toThrow();
    // Each mistake is seen in the status, also the second one, in the words of who made it.
    const { machine = [] } = identity;
    await peer.close();
    for (const value of ['64 MiB', '96 MiB']) {
      const other = machine.map((part) => (part.what === 'the memory' ? { ...part, value } : part));
      const wrong = { ...identity, vmFingerprint: `f${value}`, machine: other };
      const what = `the memory is 32 MiB on node 'a' and ${value} on node 'b'`;
      // Again and again, as a node does: a link that was just opened may have ended the concern.
      await vi.waitUntil(
        async () => {
          const refused = dial({ ...there, ...security, identity: wrong });
          await expect(refused).rejects.toThrow(what);
          const [concern] = node.status().concerns;
          return concern?.about === 'peer' && concern.problem.includes(what);
        },
        { timeout: hangMs },
      );
    }
    node.stop();
    expect(await ended).toBe('stopped');
  });
});
