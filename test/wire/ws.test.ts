/** The WebSocket transport: ports, addresses, strangers, and connections that break badly. */
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { Link, LinkClosed } from '../../src/ports/link.ts';
import { packControl, protocolVersion } from '../../src/wire/control.ts';
import { type DialOptions, dial } from '../../src/wire/dial.ts';
import { encodeFrame } from '../../src/wire/frames.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import { linkPath } from '../../src/wire/ws-link.ts';
import { blobFrame, Collector, controlFrame, creditArrived, logFrame } from './link-contract.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

const identity = (node: string, overrides: Partial<Identity> = {}): Identity => ({
  node,
  pair: 'p',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f',
  term: term(1),
  ...overrides,
});

let listener: LinkListener;
let links: Link[];
let refused: UnderstudyError[];
let wake: () => void;
let proxy: TcpProxy | undefined;

beforeEach(async () => {
  links = [];
  refused = [];
  wake = () => undefined;
  listener = await listen({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity('b'),
    onLink: (link) => {
      links.push(link);
      wake();
    },
    onRefused: (error) => {
      refused.push(error);
      wake();
    },
  });
});

afterEach(async () => {
  for (const link of links) link.close('test over');
  proxy?.close();
  proxy = undefined;
  await listener.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
}

const dialHere = (overrides: Partial<DialOptions> = {}): Promise<Link> =>
  dial({ host: '127.0.0.1', port: listener.port, identity: identity('a'), ...overrides });

async function connected(): Promise<{ a: Link; b: Link }> {
  const a = await dialHere();
  await until(() => links.length > 0);
  const b = links[0];
  if (b === undefined) throw new Error('no link');
  links.push(a);
  return { a, b };
}

const errorOf = (promise: Promise<unknown>): Promise<UnderstudyError> =>
  promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as UnderstudyError,
  );

/** A raw client that knows how to say hello and then what the test wants. */
async function rawClient(options: { hello?: boolean } = {}): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${listener.port}${linkPath}`);
  ws.on('error', () => undefined);
  await new Promise<void>((resolve) => ws.once('open', resolve));
  if (options.hello !== false) {
    const hello = { type: 'hello', protocol: protocolVersion, ...identity('raw') } as const;
    const answered = new Promise<void>((resolve) => ws.once('message', () => resolve()));
    ws.send(encodeFrame({ kind: 'control', term: term(1), payload: packControl(hello) }));
    await answered;
    await until(() => links.length > 0);
  }
  return ws;
}

const closeOf = (ws: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) => {
    ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });

const closedOf = (link: Link | undefined): Promise<LinkClosed> =>
  new Promise((resolve) => link?.onClose(resolve));

describe('addresses', () => {
  it('refuses to listen on or dial other addresses without TLS', async () => {
    const listening = listen({
      host: '0.0.0.0',
      port: 0,
      identity: () => identity('b'),
      onLink: () => undefined,
    });
    expect((await errorOf(listening)).describe()).toBe(
      "Cannot listen on '0.0.0.0' without TLS: plain links are for loopback addresses only\n" +
        '  try: Use wss with a shared secret or certificates (docs/security.md), or 127.0.0.1.',
    );
    const dialing = await errorOf(dialHere({ host: '192.0.2.1' }));
    expect(dialing.message).toContain("Cannot dial '192.0.2.1' without TLS");
  });

  it('says that a port is in use, and what to do', async () => {
    const second = listen({
      host: '127.0.0.1',
      port: listener.port,
      identity: () => identity('b'),
      onLink: () => undefined,
    });
    const error = await errorOf(second);
    expect(error.code).toBe('resources');
    expect(error.message).toContain('the port is in use');
    expect(error.hint).toContain('choose another port');
  });

  it('says that nobody listens', async () => {
    await listener.close();
    const error = await errorOf(dialHere());
    expect(error.code).toBe('link');
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.hint).toContain('Start the other node');
  });

  it('gives the port back when it is closed, and open links live on', async () => {
    const { a, b } = await connected();
    await listener.close();
    const again = await listen({
      host: '127.0.0.1',
      port: listener.port,
      identity: () => identity('c'),
      onLink: () => undefined,
    });
    await again.close();
    const collector = new Collector(b);
    a.send(logFrame(0));
    await collector.untilMessages(1);
  });
});

describe('dialing', () => {
  it('is refused with the reason of the other side, which knows it too', async () => {
    const error = await errorOf(dialHere({ identity: identity('a', { vmFingerprint: 'x' }) }));
    await until(() => refused.length > 0);
    for (const message of [error.message, refused[0]?.message]) {
      expect(message).toContain('the digest of the machine is');
    }
    expect(links).toEqual([]);
  });

  it('can be given up', async () => {
    const controller = new AbortController();
    const silent = net.createServer((socket) => {
      socket.on('error', () => undefined);
      controller.abort();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as net.AddressInfo;
    const error = await errorOf(dialHere({ port, signal: controller.signal }));
    expect(error).toBeInstanceOf(UnderstudyError);
    expect(error.code).toBe('link');
    silent.close();
  });
});

describe('strangers', () => {
  it.each([
    ['another path', '/', {}, 404],
    ['a page in a browser', linkPath, { origin: 'http://localhost' }, 403],
  ])('with %s are refused before the upgrade', async (_, path, headers, status) => {
    const ws = new WebSocket(`ws://127.0.0.1:${listener.port}${path}`, { headers });
    const answer = await new Promise<number | undefined>((resolve) => {
      ws.on('error', () => undefined);
      ws.once('unexpected-response', (_request, response) => resolve(response.statusCode));
    });
    expect(answer).toBe(status);
    ws.terminate();
  });

  it('that are plain HTTP get an answer', async () => {
    const response = await fetch(`http://127.0.0.1:${listener.port}/`);
    expect(response.status).toBe(426);
  });

  it('that take every place do not keep the other node out: the oldest makes room', async () => {
    const silent: WebSocket[] = [];
    for (let i = 0; i < wireLimits.strangers; i += 1)
      silent.push(await rawClient({ hello: false }));
    const closed = closeOf(silent[0] as WebSocket);
    await connected();
    expect((await closed).code).toBe(1006);
    expect(silent[1]?.readyState).toBe(WebSocket.OPEN);
    for (const ws of silent) ws.terminate();
  });

  it('fill no log: only some of them are told of in a minute', async () => {
    for (let i = 0; i < 2 * wireLimits.refusalsToldPerMinute; i += 1) {
      const ws = await rawClient({ hello: false });
      const closed = closeOf(ws);
      ws.send('hello?');
      await closed;
    }
    expect(refused).toHaveLength(wireLimits.refusalsToldPerMinute);
    // What the other node is refused for is told all the same, each cause once.
    const others = ['one', 'one', 'two'].map((pair) =>
      dial({ host: '127.0.0.1', port: listener.port, identity: { ...identity('a'), pair } }).catch(
        (error: Error) => error.message,
      ),
    );
    await Promise.all(others);
    const told = refused.slice(wireLimits.refusalsToldPerMinute).map(({ message }) => message);
    expect(told.map((text) => /is of pair '(one|two)'/.exec(text)?.[1]).sort()).toEqual([
      'one',
      'two',
    ]);
  });
});

describe('a bad frame closes the link and nothing else', () => {
  it.each([
    ['garbage', Buffer.from('garbage that is long enough to be a frame'), 4001],
    ['text', 'hello?', 4001],
    ['an empty message', Buffer.alloc(0), 4001],
    ['a second hello', undefined, 4001],
    ['a message that is too large', Buffer.alloc(wireLimits.frameBytes + 1), 1009],
  ])('%s', async (_, message, code) => {
    const ws = await rawClient();
    const closed = closedOf(links[0]);
    const told = closeOf(ws);
    const hello = { type: 'hello', protocol: protocolVersion, ...identity('raw') } as const;
    ws.send(
      message ?? encodeFrame({ kind: 'control', term: term(1), payload: packControl(hello) }),
    );
    expect(await closed).toMatchObject({ by: 'us', code: 'bad-frame' });
    expect((await closed).error).toBeInstanceOf(UnderstudyError);
    expect((await told).code).toBe(code);
    // The listener still works.
    links.length = 0;
    await connected();
  });

  it('a peer that sends more than it was granted', async () => {
    const ws = await rawClient();
    const b = links[0];
    const collector = b && new Collector(b, () => new Promise<void>(() => undefined));
    const told = closeOf(ws);
    const frame = encodeFrame(blobFrame(0, Buffer.alloc(wireLimits.blobPayloadBytes)));
    for (let i = 0; i < 8; i += 1) ws.send(frame);
    expect((await told).code).toBe(4002);
    await collector?.untilClosed();
    expect(collector?.closed[0]).toMatchObject({ by: 'us', code: 'credit' });
    expect(collector?.messages).toHaveLength(3);
  });

  it('a peer that floods before anyone listens', async () => {
    const ws = await rawClient();
    const closed = closedOf(links[0]);
    const frame = encodeFrame({
      kind: 'control',
      term: term(1),
      payload: packControl({ type: 'drill' }),
    });
    for (let i = 0; i < 100; i += 1) ws.send(frame);
    expect(await closed).toMatchObject({ by: 'us', code: 'overflow' });
  });

  it('fragments without end', async () => {
    const ws = await rawClient();
    const closed = closedOf(links[0]);
    for (let i = 0; i < 10; i += 1) ws.send(Buffer.alloc(10), { fin: false });
    expect(await closed).toMatchObject({ by: 'us', code: 'bad-frame' });
  });
});

describe('connections that break badly', () => {
  it('delivers all that arrived before the peer was killed', async () => {
    proxy = await startProxy(listener.port);
    const a = await dialHere({ port: proxy.port });
    await until(() => links.length > 0);
    const b = links[0];
    if (b === undefined) throw new Error('no link');
    const collector = new Collector(b);
    await creditArrived(a, b);
    for (let i = 0; i < 500; i += 1) a.send(logFrame(i, Buffer.alloc(100)));
    await collector.untilMessages(500);
    proxy.break();
    await collector.untilClosed();
    expect(collector.closed[0]).toMatchObject({ by: 'network', code: 'vanished' });
    expect(collector.messages).toHaveLength(500);
  });

  it('ends on both sides when one direction ends: a half-closed link is no link', async () => {
    proxy = await startProxy(listener.port);
    const a = await dialHere({ port: proxy.port });
    await until(() => links.length > 0);
    const [collectorA, collectorB] = [a, links[0] ?? a].map((link) => new Collector(link));
    proxy.endForward();
    await collectorB?.untilClosed();
    await collectorA?.untilClosed();
    expect(collectorB?.closed[0]).toMatchObject({ code: 'vanished' });
    expect(collectorA?.closed[0]).toMatchObject({ code: 'vanished' });
  });

  it('does not wait for a peer that never answers a close', async () => {
    const ws = await rawClient();
    ws.pause();
    const b = links[0];
    const closed = closedOf(b);
    b?.close('bye');
    expect(await closed).toMatchObject({ by: 'us', code: 'closed' });
    ws.terminate();
  });

  it('keeps log fast while bulk flows', async () => {
    const { a, b } = await connected();
    let log = 0;
    const collector = new Collector(b, (message) => {
      if (message.kind === 'log') log += 1;
    });
    await creditArrived(a, b);
    const piece = Buffer.alloc(wireLimits.blobPayloadBytes);
    for (let i = 0; i < 100; i += 1) {
      await a.ready();
      a.send(blobFrame(i * piece.length, piece));
      a.send(logFrame(i));
      // A log frame never waits for the pieces that were sent before it.
      expect(collector.messages.length - log).toBeLessThanOrEqual(log + 1);
    }
    a.send(controlFrame({ type: 'drill' }));
    await collector.untilMessages(201);
  });
});
