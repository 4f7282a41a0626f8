// What the pair file says of the link is what a node does: it dials its peer and lets itself be dialled
// with the secret or the certificates, and with nothing less. No machine runs: the node is a backup whose
// primary has nothing to seed, and QEMU a script that tells its version.
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openFileArbiter } from '../../src/arbiter/file.ts';
import { term } from '../../src/base/units.ts';
import { loadVmConfig, vmFingerprint } from '../../src/hypervisor/config.ts';
import { loadLinkSecurity } from '../../src/node/link-security.ts';
import { UnderstudyNode } from '../../src/node/node.ts';
import { loadPairConfig } from '../../src/node/pair-config.ts';
import { createSecretFile } from '../../src/node/secret-file.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { listen } from '../../src/wire/listener.ts';
import type { LinkSecurity } from '../../src/wire/tls.ts';
import { hasOpenssl } from '../arbiter/certificates.ts';
import { makeCertificates } from './openssl.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

beforeAll(async () => {
  fs.writeFileSync(at('bios-256k.bin'), 'firmware');
  const answers = `[ "$1" = -L ] && echo ${dir} || echo "QEMU emulator version 7.2.22"`;
  fs.writeFileSync(at('qemu'), `#!/bin/sh\n${answers}\n`, { mode: 0o755 });
  fs.writeFileSync(at('kernel'), 'x'.repeat(5000));
  const vm = `name: vm\nmemory: 32M\nqemu: ${at('qemu')}\nboot: { kernel: kernel }\n`;
  fs.writeFileSync(at('vm.yaml'), vm);
  createSecretFile(at('secret'));
  if (hasOpenssl()) makeCertificates(dir);
  const arbiter = await openFileArbiter({ directory: at('terms') });
  await arbiter.compareAndSet(undefined, { term: term(1), holder: 'b:1' });
  await arbiter.close();
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
    const vm = await loadVmConfig(at('vm.yaml'));
    const identity: Identity = {
      ...{ node: 'b', pair: 'p', qemu: '7.2.22', logLayout: '7.2', term: term(1) },
      vmFingerprint: await vmFingerprint(vm),
      // It has the newer disks: the node waits for it.
      standing: { role: 'none', isGranted: false, spoken: term(1) },
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
    node.stop();
    expect(await ended).toBe('stopped');
    await peer.close();
  });
});
