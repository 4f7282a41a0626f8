// The witness and its client: the contract with and without proofs, a real process that is frozen
// and killed, and everything that somebody in between may try.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type ArbiterAuth, readTls } from '../../src/arbiter/credentials.ts';
import { HttpArbiter } from '../../src/arbiter/http.ts';
import { type OpenedArbiter, openArbiter } from '../../src/arbiter/open.ts';
import { parseArbiterSpec } from '../../src/arbiter/spec.ts';
import { startWitness, type Witness } from '../../src/arbiter/witness-server.ts';
import { compiled } from '../compiled/program.ts';
import { hangMs } from '../time.ts';
import { hasOpenssl, makeCertificates } from './certificates.ts';
import { ChildServer, firstLine } from './child-server.ts';
import { describeArbiterContract, racingPair, state } from './contract.ts';
import { freePort } from './lossy-proxy.ts';
import { describeNetworkArbiterContract } from './network-contract.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'understudy-witness-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const secret = Buffer.from('a secret of the tests, long enough');
const secretFile = path.join(scratch, 'secret');
writeFileSync(secretFile, `${secret.toString()}\n`, { mode: 0o600 });

let directories = 0;
const newDirectory = (): string => {
  directories += 1;
  return path.join(scratch, `state-${directories}`);
};

async function setUp(proof: { readonly secret?: Buffer }) {
  const witness = await startWitness({
    host: '127.0.0.1',
    port: 0,
    directory: newDirectory(),
    ...proof,
  });
  const { url } = witness;
  const opened: HttpArbiter[] = [];
  const auth = proof.secret === undefined ? {} : { secret: secretFile };
  return {
    racerArguments: [url, JSON.stringify(auth)] as const,
    open: async () => {
      const arbiter = new HttpArbiter({ url, pair: racingPair, deadlineMs: hangMs, ...proof });
      opened.push(arbiter);
      return arbiter;
    },
    cleanUp: async () => {
      for (const arbiter of opened) await arbiter.close();
      await witness.close();
    },
  };
}

describeArbiterContract('http', async () => {
  const { open, cleanUp } = await setUp({});
  return { open, cleanUp }; // the races are below, with a secret
});
describeArbiterContract('http with a secret', () => setUp({ secret }));

describeNetworkArbiterContract('http', async () => {
  const port = await freePort();
  const where = ['--listen', `127.0.0.1:${port}`, '--state', newDirectory()];
  const child = new ChildServer({
    command: process.execPath,
    args: [compiled('src/cli/main.ts'), 'witness', ...where, '--secret', secretFile],
    ready: async (started) => void (await firstLine(started)),
  });
  return {
    server: Object.assign(child, { port, cleanUp: () => child.kill() }),
    openAt: async (at, deadlineMs) =>
      new HttpArbiter({ url: `http://127.0.0.1:${at}`, pair: racingPair, secret, deadlineMs }),
  };
});

describe.skipIf(!hasOpenssl())('a witness with TLS', () => {
  const openWith = (url: string, auth: ArbiterAuth): Promise<OpenedArbiter> =>
    openArbiter(parseArbiterSpec(url, '/'), { pair: 'web', auth });

  it('and client certificates: takes only clients of its authority', async () => {
    const ours = makeCertificates(scratch, 'ours');
    const strange = makeCertificates(scratch, 'strange');
    const tls = await readTls(ours);
    const directory = newDirectory();
    const witness = await startWitness({ host: '127.0.0.1', port: 0, directory, tls });
    const arbiter = await openWith(witness.url, ours);
    await arbiter.setUp();
    expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    for (const auth of [strange, { ...strange, ca: ours.ca }, { ca: ours.ca }, {}]) {
      const refused = await openWith(witness.url, auth);
      await expect(refused.read()).rejects.toMatchObject({ code: 'arbiter' });
      await refused.close();
    }
    // A certificate that we refuse is no outage.
    for (const auth of [strange, {}]) {
      const refusing = await openWith(witness.url, auth);
      await expect(refusing.read()).rejects.toMatchObject({ mayPass: false });
      await refusing.close();
    }
    expect(await arbiter.read()).toEqual(state(1, 'a'));
    await arbiter.close();
    await witness.close();
  });

  it('and a secret: the certificate proves the witness, the secret its clients', async () => {
    const ours = makeCertificates(scratch, 'server');
    const tls = await readTls({ cert: ours.cert, key: ours.key });
    const directory = newDirectory();
    const witness = await startWitness({ host: '127.0.0.1', port: 0, directory, tls, secret });
    const arbiter = await openWith(witness.url, { ca: ours.ca, secret: secretFile });
    await arbiter.setUp();
    expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    const stranger = await openWith(witness.url, { ca: ours.ca });
    await expect(stranger.read()).rejects.toThrow('asks for a secret');
    for (const opened of [arbiter, stranger]) await opened.close();
    await witness.close();
  });
});

describe('the client of a witness', () => {
  const servers: http.Server[] = [];
  const arbiters: HttpArbiter[] = [];
  const witnesses: Witness[] = [];
  afterEach(async () => {
    for (const arbiter of arbiters.splice(0)) await arbiter.close();
    for (const server of servers.splice(0)) server.close();
    for (const witness of witnesses.splice(0)) await witness.close();
  });

  const listen = async (answer: http.RequestListener): Promise<string> => {
    const server = http.createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const client = (
    url: string,
    ours: Buffer | undefined = secret,
    deadlineMs: number = hangMs,
  ): HttpArbiter => {
    const arbiter = new HttpArbiter({
      url,
      pair: 'p',
      deadlineMs,
      ...(ours === undefined ? {} : { secret: ours }),
    });
    arbiters.push(arbiter);
    return arbiter;
  };
  const witness = async (): Promise<Witness> => {
    const started = await startWitness({
      host: '127.0.0.1',
      port: 0,
      directory: newDirectory(),
      secret,
    });
    witnesses.push(started);
    await client(started.url).setUp();
    return started;
  };
  const claim = (arbiter: HttpArbiter) => arbiter.compareAndSet(undefined, state(1, 'a'));

  interface Answer {
    readonly headers: Record<string, string>;
    readonly body: string;
  }

  /** Somebody in between, who passes on what is asked and alters what is answered. */
  const relay = (
    to: string,
    alter: (answer: { readonly headers: Headers; readonly body: string }) => Answer,
  ): Promise<string> =>
    listen(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(`${to}${request.url}`, {
        method: request.method ?? 'GET',
        headers: request.headers as Record<string, string>,
        ...(request.method === 'POST' ? { body: Buffer.concat(chunks) } : {}),
      });
      const altered = alter({ headers: answer.headers, body: await answer.text() });
      response.writeHead(answer.status, altered.headers).end(altered.body);
    });
  const macOf = (headers: Headers) => ({ 'understudy-mac': headers.get('understudy-mac') ?? '' });

  it('tells what may pass by itself from what will not', async () => {
    // Goal: a node waits for an arbiter that is away, and ends over one that is misconfigured.
    const { url } = await witness();
    const free = await freePort();
    const broken = await listen((_request, response) => response.writeHead(503).end('restarting'));
    const strange = await listen((_request, response) => response.end('<html>'));
    const mute = await listen(() => undefined);
    for (const [where, mayPass] of [
      [`http://127.0.0.1:${free}`, true],
      [broken, true],
      [mute, true],
      [strange, false],
      [url.replace('http:', 'https:'), false],
    ] as const) {
      const answer = client(where, undefined, where === mute ? 500 : hangMs).read();
      await expect(answer, where).rejects.toMatchObject({ code: 'arbiter', mayPass });
    }
    const other = Buffer.from('another secret, as long as the first');
    await expect(client(url, other).read()).rejects.toMatchObject({ mayPass: false });
  });

  it('takes an untouched answer through a relay', async () => {
    const { url } = await witness();
    const between = await relay(url, ({ headers, body }) => ({ body, headers: macOf(headers) }));
    expect(await claim(client(between))).toEqual({ won: true });
  });

  it('refuses a forged "you won", with the proof of the true answer or without one', async () => {
    const { url } = await witness();
    await claim(client(url)); // so that the true answer is "lost"
    const body = '{"won":true}\n';
    for (const headersOf of [macOf, () => ({})]) {
      const between = await relay(url, ({ headers }) => ({ body, headers: headersOf(headers) }));
      await expect(claim(client(between))).rejects.toMatchObject({
        code: 'arbiter',
        message: expect.stringContaining('without a valid proof') as string,
      });
    }
  });

  it('refuses a true answer to another request', async () => {
    const { url } = await witness();
    let first: Answer | undefined;
    const between = await relay(url, ({ headers, body }) => {
      first ??= { body, headers: macOf(headers) };
      return first;
    });
    const arbiter = client(between);
    expect(await arbiter.read()).toBeUndefined();
    await expect(arbiter.read()).rejects.toThrow('without a valid proof');
  });

  it('refuses a witness that has another secret, and says so', async () => {
    const { url } = await witness();
    const error = await client(url, Buffer.from('quite another one, as long')).read().catch(String);
    expect(error).toContain('refused (401): the request was made with another secret');
    const none = new HttpArbiter({ url, pair: 'p' });
    arbiters.push(none);
    await expect(none.read()).rejects.toThrow('asks for a secret, and the request proves none');
  });

  it.each([
    ['no JSON', '<html>hello</html>', 'cannot be understood: <html>hello</html>'],
    ['another shape', '{"won":"yes"}', 'cannot be understood'],
    ['an identity that is none', '{"identity":"x","state":null}', 'cannot be understood'],
    ['a term that is none', '{"won":false,"current":{"term":-1,"holder":"a"}}', 'cannot be'],
    ['too much', 'x'.repeat(100_000), 'an answer of more than 16384 bytes'],
    ['lines of control characters', '\x1b[31m\r\n\x00', 'cannot be understood: [31m'],
  ])('takes an answer of %s for no answer', async (_, body, message) => {
    const url = await listen((_request, response) => response.end(body));
    const arbiter = new HttpArbiter({ url, pair: 'p', deadlineMs: hangMs });
    arbiters.push(arbiter);
    const error = await claim(arbiter).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'arbiter',
      message: expect.stringContaining(message) as string,
    });
  });

  it('gives up on an answer that comes byte by byte', async () => {
    const url = await listen((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      const dripping = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(dripping));
    });
    await expect(client(url, secret, 500).read()).rejects.toThrow('no answer within 500 ms');
  });
});
