// The etcd arbiter against a real etcd: the contract, lost answers, frozen and killed servers,
// several endpoints, users, TLS, and keys that hold something else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type EtcdArbiter, openEtcdArbiter } from '../../src/arbiter/etcd.ts';
import { openArbiter } from '../../src/arbiter/open.ts';
import { parseArbiterSpec } from '../../src/arbiter/spec.ts';
import { hangMs, OwnTime } from '../time.ts';
import { hasOpenssl, makeCertificates } from './certificates.ts';
import { describeArbiterContract, racingPair, state } from './contract.ts';
import { createEtcd, type EtcdServer, hasEtcd } from './etcd-server.ts';
import { freePort, startLossyProxy } from './lossy-proxy.ts';
import { describeNetworkArbiterContract } from './network-contract.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'understudy-etcd-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** scripts/setup --tests installs it. */
describe.skipIf(!hasEtcd())('with a real etcd', () => {
  let etcd: EtcdServer;
  let prefixes = 0;
  const arbiters: EtcdArbiter[] = [];

  beforeAll(async () => {
    etcd = await createEtcd();
    await etcd.start();
  });
  afterAll(() => etcd.cleanUp());
  afterEach(async () => {
    for (const arbiter of arbiters.splice(0)) await arbiter.close();
  });

  const newPrefix = (): string => {
    prefixes += 1;
    return `/test/${prefixes}`;
  };
  const open = async (
    prefix: string,
    endpoints: readonly string[] = [etcd.url],
    deadlineMs: number = hangMs,
  ): Promise<EtcdArbiter> => {
    const arbiter = await openEtcdArbiter({
      endpoints,
      prefix,
      pair: racingPair,
      deadlineMs,
    });
    arbiters.push(arbiter);
    return arbiter;
  };
  const openNew = async (...where: Parameters<typeof open>): Promise<EtcdArbiter> => {
    const arbiter = await open(...where);
    await arbiter.setUp();
    return arbiter;
  };
  const ask = async (path: string, body: object, authorization?: string): Promise<object> => {
    const headers = authorization === undefined ? {} : { authorization };
    const options = { method: 'POST', body: JSON.stringify(body), headers };
    return (await (await fetch(`${etcd.url}/v3/${path}`, options)).json()) as object;
  };

  describeArbiterContract('etcd', async () => {
    const prefix = newPrefix();
    return {
      racerArguments: [`etcd:${etcd.url}${prefix}`, '{}'],
      open: () => open(prefix),
      cleanUp: async () => undefined,
    };
  });

  describeNetworkArbiterContract('etcd', async () => ({
    server: await createEtcd(),
    openAt: (port, deadlineMs) =>
      openEtcdArbiter({
        endpoints: [`http://127.0.0.1:${port}`],
        prefix: '/understudy',
        pair: racingPair,
        deadlineMs,
      }),
  }));

  it('keeps a pair in one key, as one line, and its identity beside it', async () => {
    const prefix = newPrefix();
    const { identity } = await (await openNew(prefix)).setUp();
    await (await open(prefix)).compareAndSet(undefined, state(1, 'a:x'));
    const beside = await ask('kv/range', { key: base64(`${prefix}/race.identity`) });
    expect(beside).toMatchObject({
      kvs: [{ value: base64(`{"understudy":"arbiter","version":1,"identity":"${identity}"}\n`) }],
    });
    const found = await ask('kv/range', { key: base64(`${prefix}/race`) });
    expect(found).toMatchObject({
      kvs: [{ value: base64('{"understudy":"term","version":1,"term":1,"holder":"a:x"}\n') }],
    });
  });

  it.each([
    ['something else', 'hello', 'found "hello"'],
    [
      'a term in another form',
      '{"understudy": "term", "version":1,"term":1,"holder":"a"}',
      'found',
    ],
    ['nothing', '', 'found ""'],
  ])('a key that holds %s: refuses, and names the key', async (_, value, message) => {
    const prefix = newPrefix();
    const arbiter = await openNew(prefix);
    await ask('kv/put', { key: base64(`${prefix}/race`), value: base64(value) });
    const claim = () => arbiter.compareAndSet(undefined, state(1, 'a'));
    for (const ask of [() => arbiter.read(), claim]) {
      const error = await ask().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'arbiter' });
      expect(String(error)).toContain(`'${prefix}/race'`);
      expect(String(error)).toContain(message);
    }
  });

  it('an identity that is none: refuses, and names the key', async () => {
    const prefix = newPrefix();
    await ask('kv/put', { key: base64(`${prefix}/race.identity`), value: base64('hello') });
    const arbiter = await open(prefix);
    for (const look of [() => arbiter.look(), () => arbiter.setUp()]) {
      await expect(look()).rejects.toThrow(`'${prefix}/race.identity'`);
    }
  });

  it('a cluster that lost everything: no term is won there', async () => {
    const prefix = newPrefix();
    const arbiter = await openNew(prefix);
    await arbiter.compareAndSet(undefined, state(1, 'a'));
    for (const key of ['race', 'race.identity']) {
      await ask('kv/deleterange', { key: base64(`${prefix}/${key}`) });
    }
    expect(await arbiter.look()).toEqual({ identity: undefined, state: undefined });
    await expect(arbiter.compareAndSet(undefined, state(1, 'b'))).rejects.toMatchObject({
      ...{ code: 'arbiter', mayPass: true },
      message: `The etcd key '${prefix}/race' was never set up for this pair`,
    });
    expect(await arbiter.read()).toBeUndefined();
  });

  it('some endpoints are down or frozen: another one answers, and at once', async () => {
    const frozen = await startLossyProxy(etcd.port);
    frozen.lose('everything');
    const endpoints = [
      `http://127.0.0.1:${frozen.port}`,
      `http://127.0.0.1:${await freePort()}`,
      etcd.url,
    ];
    const prefix = newPrefix();
    await openNew(prefix);
    const arbiter = await open(prefix, endpoints, 6_000);
    const time = new OwnTime();
    expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    expect(await arbiter.read()).toEqual(state(1, 'a'));
    expect(time.end()).toBeLessThan(5_000); // and not the deadline of the one that is frozen
    await frozen.close();
  });

  it('the endpoint of a claim fails under it: the next read finds another one', async () => {
    const [first, second] = [await startLossyProxy(etcd.port), await startLossyProxy(etcd.port)];
    const prefix = newPrefix();
    await openNew(prefix);
    const arbiter = await open(
      prefix,
      [`http://127.0.0.1:${first.port}`, `http://127.0.0.1:${second.port}`],
      6_000,
    );
    second.lose('everything');
    expect(await arbiter.read()).toBeUndefined();
    first.lose('answersByReset');
    second.lose('nothing');
    await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toMatchObject({
      code: 'arbiter',
    });
    expect(await arbiter.read()).toEqual(state(1, 'a'));
    expect(await arbiter.compareAndSet(state(1, 'a'), state(2, 'a'))).toEqual({ won: true });
    await first.close();
    await second.close();
  });

  it('no endpoint answers: one error that names them all', async () => {
    const ports = [await freePort(), await freePort()];
    const arbiter = await open(
      newPrefix(),
      ports.map((port) => `http://127.0.0.1:${port}`),
    );
    const error = await arbiter.read().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'arbiter',
      mayPass: true,
      hint: expect.any(String) as string,
    });
    for (const port of ports) expect(String(error)).toContain(`127.0.0.1:${port} does not answer`);
  });

  it('endpoints of two clusters: refuses to take them for one arbiter', async () => {
    const other = await createEtcd();
    try {
      await other.start();
      await expect(open(newPrefix(), [etcd.url, other.url])).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('they are two') as string,
      });
    } finally {
      await other.cleanUp();
    }
  });

  it.each([
    ['no etcd', 404, '<html>Not Found</html>', 'refused (404): <html>Not Found</html>'],
    ['an etcd without a leader', 503, '{"message":"no leader","code":14}', '(503): no leader'],
    ['one that answers with something else', 200, '{"header":{}}', 'refused (200)'],
  ])('a server that is %s: says what it answered', async (_, status, body, message) => {
    const server = http.createServer((_request, response) => {
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const arbiter = await open(newPrefix(), [`http://127.0.0.1:${port}`]);
    await expect(arbiter.read()).rejects.toMatchObject({
      code: 'arbiter',
      message: expect.stringContaining(message) as string,
    });
    server.close();
  });

  it('with users: proves itself, again when etcd was started anew, and says what is refused', async () => {
    const secured = await createEtcd();
    const passwordFile = path.join(scratch, 'password');
    writeFileSync(passwordFile, 'correct horse\n', { mode: 0o600 });
    const askSecured = async (to: string, body: object): Promise<void> => {
      const options = { method: 'POST', body: JSON.stringify(body) };
      expect((await fetch(`${secured.url}/v3/auth/${to}`, options)).status).toBe(200);
    };
    const openAs = async (auth: object, pair = 'web') => {
      const spec = parseArbiterSpec(`etcd:${secured.url}/pairs`, '/');
      const arbiter = await openArbiter(spec, { pair, auth, deadlineMs: hangMs });
      arbiters.push(arbiter as EtcdArbiter);
      return arbiter;
    };
    try {
      await secured.start();
      await askSecured('user/add', { name: 'root', password: 'r' });
      await askSecured('user/add', { name: 'node', password: 'correct horse' });
      for (const name of ['root', 'pairs']) await askSecured('role/add', { name });
      for (const name of ['/pairs/web', '/pairs/web.identity']) {
        const perm = { permType: 'READWRITE', key: base64(name) };
        await askSecured('role/grant', { name: 'pairs', perm });
      }
      await askSecured('user/grant', { user: 'root', role: 'root' });
      await askSecured('user/grant', { user: 'node', role: 'pairs' });
      await askSecured('enable', {});

      const auth = { user: 'node', password: passwordFile };
      const arbiter = await openAs(auth);
      await arbiter.setUp();
      expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
      // Its tokens live in memory only.
      await secured.kill();
      await secured.start();
      expect(await arbiter.compareAndSet(state(1, 'a'), state(2, 'a'))).toEqual({ won: true });

      await expect((await openAs({})).read()).rejects.toMatchObject({
        hint: 'Give arbiterAuth a user and a password.',
      });
      await expect((await openAs(auth, 'mail')).read()).rejects.toMatchObject({
        hint: 'Grant the user the right to read and write both keys of the pair.',
      });
      const wrong = await openAs({ user: 'root', password: passwordFile });
      await expect(wrong.read()).rejects.toMatchObject({
        hint: 'Check user and password of arbiterAuth.',
      });
    } finally {
      await secured.cleanUp();
    }
  });

  it.skipIf(!hasOpenssl())('over TLS: each side proves itself by its certificate', async () => {
    const ours = makeCertificates(scratch, 'ours');
    const strange = makeCertificates(scratch, 'strange');
    const server = await createEtcd(ours);
    const openWith = (auth: object) =>
      openArbiter(parseArbiterSpec(`etcd:${server.url}`, '/'), { pair: 'web', auth });
    try {
      await server.start();
      const arbiter = await openWith(ours);
      await arbiter.setUp();
      expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
      await arbiter.close();
      for (const auth of [strange, { ...strange, ca: ours.ca }, { ca: ours.ca }, {}]) {
        const refused = await openWith(auth);
        await expect(refused.read()).rejects.toMatchObject({ code: 'arbiter' });
        await refused.close();
      }
    } finally {
      await server.cleanUp();
    }
  });
});
