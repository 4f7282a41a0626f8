/**
 * Links with TLS: by certificates, where each side proves itself against the same authority, or by
 * the shared secret, which needs no certificates. Whoever has neither gets no link.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import { HelloRefused, type Identity } from '../../src/wire/hello.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import { LinkSecret } from '../../src/wire/secret.ts';
import {
  channelOf,
  clientTls,
  type LinkCertificates,
  type LinkSecurity,
  serverTls,
} from '../../src/wire/tls.ts';
import { hasOpenssl, makeCertificates } from '../arbiter/certificates.ts';
import { OwnTime } from '../time.ts';
import { Collector, logFrame } from './link-contract.ts';

const identity = (node: string): Identity => ({
  node,
  pair: 'p',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f',
  term: term(1),
});

let directory: string;

/** An authority of its own name, and one certificate for 127.0.0.1 that it signed. */
function authority(name: string): LinkCertificates {
  const { ca, cert, key } = makeCertificates(directory, name);
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
}

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'understudy-tls-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.skipIf(!hasOpenssl())('links with mutual TLS', () => {
  let ours: LinkCertificates;
  let strange: LinkCertificates;
  let listener: LinkListener;
  const links: Link[] = [];

  beforeAll(async () => {
    ours = authority('ours');
    strange = authority('strange');
    listener = await listen({
      host: '127.0.0.1',
      port: 0,
      identity: () => identity('b'),
      onLink: (link) => links.push(link),
      tls: ours,
    });
  });

  afterAll(async () => {
    await listener.close();
  });

  const dialWith = (tls: LinkCertificates | undefined): Promise<Link> =>
    dial({
      host: '127.0.0.1',
      port: listener.port,
      identity: identity('a'),
      ...(tls === undefined ? {} : { tls }),
    });

  it('carry messages', async () => {
    const a = await dialWith(ours);
    const [b] = links;
    if (b === undefined) throw new Error('no link');
    const collector = new Collector(b);
    a.send(logFrame(0));
    await collector.untilMessages(1);
    a.close('done');
    await collector.untilClosed();
  });

  it.each([
    ['a node of another authority', () => strange],
    ['a node that trusts us but has no certificate of ours', () => ({ ...strange, ca: ours.ca })],
    ['a node that speaks plain text', () => undefined],
  ])('are refused to %s', async (_, tls) => {
    const before = links.length;
    const error = await dialWith(tls()).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UnderstudyError);
    expect(links).toHaveLength(before);
  });
});

describe('links whose TLS is keyed by the shared secret', () => {
  const secret = new LinkSecret(Buffer.from('a secret of the two nodes alone, long enough'));
  const other = new LinkSecret(Buffer.from('another secret, of somebody else, long enough'));
  const links: Link[] = [];
  const refused: UnderstudyError[] = [];
  let wake: () => void = () => undefined;
  let listener: LinkListener;

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
  }

  beforeAll(async () => {
    listener = await listen({
      host: '127.0.0.1',
      port: 0,
      identity: () => identity('b'),
      onLink: (link) => {
        links.push(link);
        wake();
      },
      onRefused: (error) => {
        if (error instanceof HelloRefused) return; // each cause once a minute
        refused.push(error);
        wake();
      },
      onPeerRefused: (error) => {
        refused.push(error);
        wake();
      },
      tls: secret,
      secret,
    });
  });
  afterAll(() => listener.close());

  const dialWith = (security: LinkSecurity, port = listener.port): Promise<Link> =>
    dial({ host: '127.0.0.1', port, identity: identity('a'), ...security });
  const errorOf = (promise: Promise<unknown>): Promise<UnderstudyError> =>
    promise.then(
      () => Promise.reject(new Error('there is a link')),
      (thrown: unknown) => thrown as UnderstudyError,
    );

  it('carry messages, and need no certificate', async () => {
    const a = await dialWith({ tls: secret, secret });
    // The listener has the last proof to hear, so its link opens a moment later.
    await until(() => links.length > 0);
    const collector = new Collector(links[0] as Link);
    a.send(logFrame(0));
    await collector.untilMessages(1);
    a.close('done');
    await collector.untilClosed();
  });

  it.each([
    ['another secret', { tls: other, secret: other }, 'same secret file'],
    ['plain text', {}, "node's link port"],
    ['the key of the TLS layer, and no proof', { tls: secret }, 'same secret file'],
    ['the key of the TLS layer, and a wrong proof', { tls: secret, secret: other }, 'same secret'],
  ])('are refused to somebody with %s', async (_, security, hint) => {
    const before = links.length;
    refused.length = 0;
    const error = await errorOf(dialWith(security));
    expect(error).toBeInstanceOf(UnderstudyError);
    expect(error.hint).toContain(hint);
    await until(() => refused.length > 0);
    expect(links).toHaveLength(before);
  });

  it('let a stranger without a key speak to nobody: no HTTP, no hello', async () => {
    refused.length = 0;
    const stranger = tls.connect({
      host: '127.0.0.1',
      port: listener.port,
      rejectUnauthorized: false,
    });
    const [error] = (await once(stranger, 'error')) as [Error];
    expect(error.message).toMatch(/handshake failure/);
    await until(() => refused.length > 0);
    expect(refused.map(({ message }) => message)).toEqual([
      'The TLS handshake failed: who dialled did not show that it has the shared secret',
    ]);
  });

  it.skipIf(!hasOpenssl())('are refused by the dialer when it is shown a certificate', async () => {
    const { cert, key, ca } = authority('rogue');
    const rogue = https.createServer({ cert, key, minVersion: 'TLSv1.3' });
    rogue.on('tlsClientError', () => undefined);
    rogue.listen(0, '127.0.0.1');
    await once(rogue, 'listening');
    const { port } = rogue.address() as AddressInfo;
    const error = await errorOf(dialWith({ tls: secret, secret }, port));
    expect(error.hint).toContain('same secret file');
    // Not even one of an authority that this host trusts.
    const trusting = tls.connect({
      ...clientTls(secret),
      ca,
      host: '127.0.0.1',
      port,
    });
    const [thrown] = (await once(trusting, 'error')) as [Error];
    expect(thrown.message).toContain('it showed a certificate and not the shared secret');
    rogue.close();
  });

  it('have a channel that both ends can name, another one each time, with an ephemeral key', async () => {
    const server = tls.createServer(serverTls(secret));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const channels: string[] = [];
    for (let i = 0; i < 2; i += 1) {
      const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
      const client = tls.connect({
        ...clientTls(secret),
        host: '127.0.0.1',
        port,
      });
      await once(client, 'secureConnect');
      const [serverSide] = await accepted;
      expect(channelOf(client)).toEqual(channelOf(serverSide));
      expect(client.getProtocol()).toBe('TLSv1.3');
      expect(client.getEphemeralKeyInfo()).toMatchObject({ type: 'ECDH' });
      channels.push(channelOf(client).toString('hex'));
      client.destroy();
      serverSide.destroy();
    }
    expect(channels[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(channels[0]).not.toBe(channels[1]);
    expect(channelOf(new net.Socket())).toHaveLength(0);
    server.close();
  });

  it('end with a stranger that says nothing, in time', async () => {
    const silent = net.connect(listener.port, '127.0.0.1');
    silent.on('error', () => undefined);
    const time = new OwnTime();
    await once(silent, 'close');
    expect(time.end()).toBeLessThan(wireLimits.strangerMs + 1000);
  });
});
