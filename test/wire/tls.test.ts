/** Links with mutual TLS: each side proves itself against the same authority, or there is no link. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import type { LinkTls } from '../../src/wire/ws-link.ts';
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
function authority(name: string): LinkTls {
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
  return {
    ca: readFileSync(file('ca.pem')),
    cert: readFileSync(file('pem')),
    key: readFileSync(file('key')),
  };
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl())('links with mutual TLS', () => {
  let ours: LinkTls;
  let strange: LinkTls;
  let listener: LinkListener;
  const links: Link[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'understudy-tls-'));
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
    rmSync(directory, { recursive: true });
  });

  const dialWith = (tls: LinkTls | undefined): Promise<Link> =>
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
