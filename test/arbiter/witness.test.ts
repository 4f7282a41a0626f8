// The witness itself: what it refuses, what it keeps, and that it says clearly what is wrong with
// its directory, its port or its options.
import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpArbiter } from '../../src/arbiter/http.ts';
import { arbiterLimits } from '../../src/arbiter/limits.ts';
import { requestMac } from '../../src/arbiter/witness-protocol.ts';
import { startWitness, type Witness } from '../../src/arbiter/witness-server.ts';
import { compiled } from '../compiled/program.ts';
import { hangMs } from '../time.ts';
import { ChildServer, firstLine } from './child-server.ts';
import { state } from './contract.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-witness-'));
afterAll(() => fs.rmSync(scratch, { recursive: true }));
const secret = Buffer.from('a secret of the tests, long enough');
const main = compiled('src/cli/main.ts');

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(scratch, 's-'));
});

describe('a witness', () => {
  let witness: Witness;
  const arbiters: HttpArbiter[] = [];
  const problems: string[] = [];

  const start = async (options: { readonly secret?: Buffer } = {}): Promise<void> => {
    const onProblem = (error: Error): void => void problems.push(error.message);
    const where = { host: '127.0.0.1', port: 0, directory };
    witness = await startWitness({ ...where, onProblem, ...options });
  };
  const client = (pair: string, proof: { readonly secret?: Buffer } = {}): HttpArbiter => {
    const arbiter = new HttpArbiter({ url: witness.url, pair, deadlineMs: hangMs, ...proof });
    arbiters.push(arbiter);
    return arbiter;
  };
  afterEach(async () => {
    for (const arbiter of arbiters.splice(0)) await arbiter.close();
    problems.length = 0;
    await witness.close();
  });

  it('keeps several pairs apart, each in files for its owner only', async () => {
    await start();
    const [web, mail] = [client('web'), client('mail')];
    for (const pair of [web, mail]) await pair.setUp();
    await web.compareAndSet(undefined, state(1, 'a'));
    expect(await mail.read()).toBeUndefined();
    await mail.compareAndSet(undefined, state(1, 'b'));
    await mail.compareAndSet(state(1, 'b'), state(2, 'c'));
    expect([await web.read(), await mail.read()]).toEqual([state(1, 'a'), state(2, 'c')]);
    expect(fs.readdirSync(directory, { recursive: true }).sort()).toEqual([
      'mail',
      'mail/identity',
      'mail/term-0000000000000001',
      'mail/term-0000000000000002',
      'web',
      'web/identity',
      'web/term-0000000000000001',
    ]);
    const modes = ['web', 'web/identity', 'web/term-0000000000000001'].map(
      (name) => fs.statSync(path.join(directory, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o600, 0o600]);
  });

  it('knows its pairs again after a start', async () => {
    await start();
    const { identity } = await client('web').setUp();
    await client('web').compareAndSet(undefined, state(1, 'a'));
    await witness.close();
    await start();
    expect(witness.pairs).toBe(1);
    expect(await client('web').look()).toEqual({ identity, state: state(1, 'a') });
  });

  it('makes nothing for a pair that is only asked about', async () => {
    await start();
    expect(await client('web').read()).toBeUndefined();
    for (const expected of [undefined, state(3, 'a')]) {
      const claim = client('web').compareAndSet(expected, state((expected?.term ?? 0) + 1, 'b'));
      await expect(claim).rejects.toMatchObject({
        ...{ code: 'arbiter', mayPass: true },
        message: expect.stringContaining("(pair 'web') was never set up") as string,
      });
    }
    expect(fs.readdirSync(directory)).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('takes so many pairs and no more', async () => {
    for (let i = 0; i < arbiterLimits.witnessPairs; i += 1) {
      fs.mkdirSync(path.join(directory, `p${i}`), { mode: 0o700 });
    }
    await start();
    await expect(client('one-more').setUp()).rejects.toThrow(
      "refused (507): Cannot take pair 'one-more' as this witness keeps at most 256",
    );
    await client('p7').setUp();
    expect(await client('p7').compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    expect(problems).toHaveLength(1);
  });

  const ask = (url: string, options: RequestInit = {}): Promise<Response> =>
    fetch(`${witness.url}${url}`, options);
  const post = (body: string): RequestInit => ({ method: 'POST', body });

  it.each([
    ['another path', '/', {}, 404],
    ['a pair name that leaves the directory', '/v1/pairs/..%2f..', {}, 404],
    ['a pair name that is too long', `/v1/pairs/${'x'.repeat(33)}`, {}, 404],
    ['a query', '/v1/pairs/web?x=1', {}, 404],
    ['another method', '/v1/pairs/web', { method: 'DELETE' }, 405],
    ['a page in a browser', '/v1/pairs/web', { headers: { origin: 'http://evil' } }, 403],
    ['a body that is too long', '/v1/pairs/web', post('x'.repeat(5000)), 413],
    ['no JSON', '/v1/pairs/web', post('{'), 400],
    ['to set up in another way', '/v1/pairs/web', post('{"setUp":"9f86"}'), 400],
    ['an unknown field', '/v1/pairs/web', post('{"expected":null,"next":{},"x":1}'), 400],
    [
      'a term that does not follow',
      '/v1/pairs/web',
      post('{"expected":null,"next":{"term":2,"holder":"a"}}'),
      400,
    ],
    ['headers that are too long', '/v1/pairs/web', { headers: { x: 'y'.repeat(5000) } }, 431],
  ])('refuses %s', async (_, url, options, status) => {
    await start();
    expect((await ask(url, options)).status).toBe(status);
    expect(fs.readdirSync(directory)).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('refuses a body without a length', async () => {
    await start();
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('{}'));
        controller.close();
      },
    });
    const options = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await ask('/v1/pairs/web', options)).status).toBe(411);
  });

  it('with a secret: judges the proof before it reads what is asked', async () => {
    await start({ secret });
    const body = '{"not even":';
    const nonce = randomBytes(16).toString('hex');
    const request = { method: 'POST', path: '/v1/pairs/web', nonce, body: Buffer.from(body) };
    const send = async (headers: Record<string, string>): Promise<number> =>
      (await ask('/v1/pairs/web', { method: 'POST', body, headers })).status;
    const proof = requestMac(secret, request);
    const wrong = createHmac('sha256', 'x').update('y').digest('hex');
    expect(await send({})).toBe(401);
    expect(await send({ 'understudy-nonce': nonce })).toBe(401);
    expect(await send({ 'understudy-nonce': nonce, 'understudy-mac': 'short' })).toBe(401);
    expect(await send({ 'understudy-nonce': nonce, 'understudy-mac': wrong })).toBe(401);
    expect(await send({ 'understudy-nonce': 'x', 'understudy-mac': proof })).toBe(401);
    // Only now is the body looked at.
    expect(await send({ 'understudy-nonce': nonce, 'understudy-mac': proof })).toBe(400);
  });

  it('with a secret: a claim that is sent again changes nothing', async () => {
    await start({ secret });
    await client('web', { secret }).setUp();
    const body = JSON.stringify({ expected: null, next: state(1, 'a') });
    const nonce = randomBytes(16).toString('hex');
    const request = { method: 'POST', path: '/v1/pairs/web', nonce, body: Buffer.from(body) };
    const headers = { 'understudy-nonce': nonce, 'understudy-mac': requestMac(secret, request) };
    const replay = async (): Promise<unknown> =>
      (await ask('/v1/pairs/web', { method: 'POST', body, headers })).json();
    expect(await replay()).toEqual({ won: true });
    await client('web', { secret }).compareAndSet(state(1, 'a'), state(2, 'b'));
    expect(await replay()).toEqual({ won: false, current: state(2, 'b') });
    expect(await client('web', { secret }).read()).toEqual(state(2, 'b'));
  });

  it('that was wiped: a request to set up that is sent again brings no identity back', async () => {
    await start({ secret });
    const body = JSON.stringify({ setUp: true });
    const nonce = randomBytes(16).toString('hex');
    const request = { method: 'POST', path: '/v1/pairs/web', nonce, body: Buffer.from(body) };
    const headers = { 'understudy-nonce': nonce, 'understudy-mac': requestMac(secret, request) };
    const replay = async () =>
      (await (await ask('/v1/pairs/web', { method: 'POST', body, headers })).json()) as object;
    const made = await replay();
    expect(await replay()).toEqual({ ...made, isNew: false });
    await witness.close();
    fs.rmSync(path.join(directory, 'web'), { recursive: true });
    await start({ secret });
    expect(await client('web', { secret }).look()).toMatchObject({ identity: undefined });
    const again = await replay();
    expect(again).toMatchObject({ isNew: true });
    expect(again).not.toMatchObject(made);
  });

  it('is not held up by those who connect and say nothing, or leave in the middle', async () => {
    await start();
    await client('web').setUp();
    const { port } = new URL(witness.url);
    const idlers = Array.from({ length: 20 }, (_, i) => {
      const socket = net.connect(Number(port), '127.0.0.1');
      socket.on('error', () => undefined).resume();
      if (i % 2 === 0) {
        socket.write('POST /v1/pairs/web HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
        setTimeout(() => socket.destroy(), 50);
      }
      return socket;
    });
    const gone = idlers.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    expect(await client('web').compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    await Promise.all(gone); // within the limits of the witness
    expect(problems).toEqual([]);
  });

  it('answers what was asked before it was told to end', async () => {
    await start();
    for (let i = 0; i < 10; i += 1) await client(`p${i}`).setUp();
    const claims = Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => client(`p${i}`).compareAndSet(undefined, state(1, 'a'))),
    );
    await client('p0').read(); // so some of them have arrived
    await witness.close();
    for (const claim of await claims) {
      if (claim.status === 'fulfilled') expect(claim.value).toEqual({ won: true });
      else expect(claim.reason).toMatchObject({ code: 'arbiter' });
    }
  });
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command until it ends by itself. */
function command(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const all = [main, 'witness', ...args];
    execFile(process.execPath, all, { timeout: hangMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

describe('understudy witness', () => {
  const here = (...more: string[]): string[] => [
    ...['--listen', '127.0.0.1:0', '--state', directory],
    ...more,
  ];
  const children: ChildServer[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) await child.kill();
  });

  const startCommand = async (...args: string[]): Promise<{ line: string; child: ChildServer }> => {
    let line = '';
    const child = new ChildServer({
      command: process.execPath,
      args: [main, 'witness', ...args],
      ready: async (started) => {
        line = await firstLine(started);
      },
    });
    children.push(child);
    await child.start();
    return { line, child };
  };

  it('says in one line where it listens, and ends well on SIGTERM', async () => {
    const { line, child } = await startCommand(...here());
    expect(line).toMatch(/^witness on http:\/\/127\.0\.0\.1:\d+, keeps terms of 0 pairs in \//);
    child.signal('SIGTERM');
    expect(await child.exitCode).toBe(0);
  });

  it('--json: the same as one object', async () => {
    const { line } = await startCommand(...here('--json'));
    expect(JSON.parse(line)).toEqual({
      listening: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      state: directory,
      pairs: 0,
    });
  });

  it('off loopback without a proof: exit code 2, and what to give', async () => {
    const { code, stderr } = await command('--listen', '0.0.0.0:0', '--state', directory);
    expect(code).toBe(2);
    expect(stderr).toContain("Cannot listen on '0.0.0.0' as anyone who can reach it could claim");
    expect(stderr).toContain('try: Give --secret');
  });

  it('off loopback with a secret: listens', async () => {
    const file = path.join(directory, '..', 'secret');
    fs.writeFileSync(file, `${secret.toString()}\n`, { mode: 0o600 });
    const where = ['--listen', '0.0.0.0:0', '--state', directory];
    expect((await startCommand(...where, '--secret', file)).line).toContain('witness on http://');
  });

  it('bad secret files: exit code, and what to do', async () => {
    const file = path.join(scratch, 'bad-secret');
    fs.writeFileSync(file, 'short\n', { mode: 0o600 });
    const short = await command(...here('--secret', file));
    expect([short.code, short.stderr]).toEqual([2, expect.stringContaining('32 bytes or more')]);
    fs.writeFileSync(file, secret);
    fs.chmodSync(file, 0o644);
    const open = await command(...here('--secret', file));
    expect([open.code, open.stderr]).toEqual([3, expect.stringContaining('chmod 600')]);
    const none = await command(...here('--secret', '/nowhere'));
    expect([none.code, none.stderr]).toEqual([
      2,
      expect.stringContaining("Cannot read '/nowhere'"),
    ]);
  });

  it('a port that is in use: exit code 3', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const where = ['--listen', `127.0.0.1:${port}`, '--state', directory];
    const { code, stderr } = await command(...where);
    server.close();
    expect(code).toBe(3);
    expect(stderr).toContain(`Cannot listen on 127.0.0.1:${port}`);
    expect(stderr).toContain('choose another one');
  });

  it('an address that is none, or not of this machine: exit code 2', async () => {
    const none = await command('--listen', '7100', '--state', directory);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('It must be HOST:PORT')]);
    const file = path.join(scratch, 'secret-2');
    fs.writeFileSync(file, secret, { mode: 0o600 });
    const where = ['--listen', '192.0.2.1:7100', '--state', directory, '--secret', file];
    const other = await command(...where);
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringContaining('Name an address of this machine'),
    ]);
  });

  it('a directory that other users may enter: exit code 3', async () => {
    fs.chmodSync(directory, 0o755);
    const { code, stderr } = await command(...here());
    expect(code).toBe(3);
    expect(stderr).toContain(`Cannot keep terms in '${directory}' as other users may enter it`);
    expect(stderr).toContain(`try: chmod 700 '${directory}'`);
  });

  it('a directory that cannot be made: exit code 1', async () => {
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, '');
    const { code, stderr } = await command('--listen', '127.0.0.1:0', '--state', `${file}/state`);
    expect([code, stderr]).toEqual([1, expect.stringContaining('because: ENOTDIR')]);
  });

  it('a damaged term: exit code 1, and which file', async () => {
    const file = path.join(directory, 'web', 'term-0000000000000007');
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, '{"understudy":"term","vers');
    const { code, stderr } = await command(...here());
    expect(code).toBe(1);
    expect(stderr).toContain(`Cannot read term 7 from '${file}'`);
  });

  it('half of TLS: exit code 2', async () => {
    const { code, stderr } = await command(...here('--tls-cert', '/x'));
    expect([code, stderr]).toEqual([2, expect.stringContaining('both --tls-cert and --tls-key')]);
  });
});
