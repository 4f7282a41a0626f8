/** The hello exchange: who does not fit is refused, and both sides know why. */
import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { type Millis, term } from '../../src/base/units.ts';
import { protocolVersion } from '../../src/wire/control.ts';
import { encodeFrame } from '../../src/wire/frames.ts';
import { greet, HelloRefused, type Identity } from '../../src/wire/hello.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { pack } from '../../src/wire/msgpack.ts';
import { type MemoryPipe, memoryPipePair } from '../doubles/memory-pair.ts';
import { Collector, controlFrame, logFrame } from './link-contract.ts';

const identity = (overrides: Partial<Identity> = {}): Identity => ({
  node: 'a',
  pair: 'p',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f00d',
  arbiter: 'cafe',
  term: term(4),
  ...overrides,
});

const now = (): Millis => performance.now() as Millis;
const control = (value: unknown): Buffer =>
  encodeFrame({ kind: 'control', term: term(1), payload: pack(value) });

/** The errors of both sides, the dialer's first. */
async function refusals(dialer: Identity, listener: Identity): Promise<UnderstudyError[]> {
  const [a, b] = memoryPipePair();
  const results = await Promise.allSettled([
    greet(a, { role: 'dialer', identity: dialer, now }),
    greet(b, { role: 'listener', identity: listener, now }),
  ]);
  return results.map((result) => {
    if (result.status === 'rejected') return result.reason as UnderstudyError;
    throw new Error('the hello was accepted');
  });
}

describe('the hello exchange', () => {
  it('tells each side who the other is', async () => {
    const [a, b] = memoryPipePair();
    const [linkA, linkB] = await Promise.all([
      greet(a, { role: 'dialer', identity: identity(), now }),
      greet(b, { role: 'listener', identity: identity({ node: 'b', term: term(9) }), now }),
    ]);
    expect(linkA.peer).toEqual({
      ...identity({ node: 'b', term: term(9) }),
      protocol: protocolVersion,
    });
    expect(linkB.peer).toEqual({ ...identity(), protocol: protocolVersion });
    const collector = new Collector(linkB);
    linkA.send(logFrame(0));
    await collector.untilMessages(1);
  });

  it('loses nothing that is sent right behind a hello', async () => {
    const [a, b] = memoryPipePair();
    const dialed = greet(a, { role: 'dialer', identity: identity(), now });
    const accepted = greet(b, { role: 'listener', identity: identity({ node: 'b' }), now });
    const linkB = await accepted;
    linkB.send(controlFrame({ type: 'drill' }));
    const collector = new Collector(await dialed);
    await collector.untilMessages(1);
    expect(collector.messages).toEqual([controlFrame({ type: 'drill' })]);
  });

  it.each([
    ['pair', { pair: 'other' }, "node 'a' is of pair 'p', node 'b' of pair 'other'"],
    ['qemu', { qemu: '10.0.2' }, "QEMU is 7.2.22 on node 'a' and 10.0.2 on node 'b'"],
    [
      'logLayout',
      { logLayout: '10.0' },
      "layout of QEMU's log is 7.2 on node 'a' and 10.0 on node 'b'",
    ],
    [
      'vmFingerprint',
      { vmFingerprint: 'beef' },
      "digest of the machine is f00d on node 'a' and beef on node 'b'",
    ],
    [
      'vmFingerprint',
      {
        qemu: '7.2.22',
        vmFingerprint: 'beef',
        machine: [
          { what: 'the memory', value: '512 MiB' },
          { what: 'disk 0', value: "'root', of 512 bytes" },
        ],
      },
      "the memory is not there on node 'a' and 512 MiB on node 'b'; disk 0 is not there on",
    ],
    [
      'arbiter',
      { arbiter: 'beef' },
      "identity of the arbiter is cafe on node 'a' and beef on node 'b'",
    ],
    // What a node claims nothing for comes first, whatever else does not fit.
    [
      'arbiter',
      { arbiter: 'beef', qemu: '10.0.2' },
      "beef on node 'b'; QEMU is 7.2.22 on node 'a'",
    ],
  ] as const)('refuses another %s, with the reason on both sides', async (field, theirs, text) => {
    const errors = await refusals(identity(), identity({ node: 'b', ...theirs }));
    for (const error of errors) {
      expect(error).toBeInstanceOf(UnderstudyError);
      expect(error.code).toBe('link');
      expect(error.message).toContain(text);
      expect(error).toBeInstanceOf(HelloRefused);
      expect((error as HelloRefused).refused).toBe(field);
      expect(error.hint).toBeDefined();
    }
  });

  describe('between a machine and a newer QEMU', () => {
    const standing = (role: 'primary' | 'backup' | 'none') => ({
      standing: { role, isGranted: false, spoken: term(0), logged: term(0) },
    });
    const newer = { node: 'b', qemu: '10.0.2', logLayout: '10.0', upgradeFrom: '7.2.22' } as const;

    it.each(['dialer', 'listener'] as const)('takes its backup as the %s', async (role) => {
      const [a, b] = memoryPipePair();
      const primary = identity(standing('primary'));
      const backup = identity({ ...newer, ...standing('none') });
      const other = role === 'dialer' ? 'listener' : 'dialer';
      const links = await Promise.all([
        greet(a, { role, identity: backup, now }),
        greet(b, { role: other, identity: primary, now }),
      ]);
      expect(links.map(({ peer }) => peer.qemu)).toEqual(['7.2.22', '10.0.2']);
    });

    it.each([
      ['that has the machine', standing('none'), { ...newer, ...standing('primary') }],
      ['when neither has it', standing('none'), { ...newer, ...standing('none') }],
      ['that comes from another one', { ...standing('primary'), qemu: '7.2.9' }, newer],
    ] as const)('refuses one %s', async (_, mine, theirs) => {
      for (const error of await refusals(identity(mine), identity(theirs))) {
        expect(error.message).toMatch(/QEMU is 7\.2\.\d+ on node 'a' and 10\.0\.2 on node 'b'/);
        expect(error.hint).toContain('upgradeFrom');
      }
    });
  });

  it('takes a node that knows no arbiter yet', async () => {
    const [a, b] = memoryPipePair();
    const { arbiter, ...unknowing } = identity({ node: 'b' });
    const [linkA] = await Promise.all([
      greet(a, { role: 'dialer', identity: identity(), now }),
      greet(b, { role: 'listener', identity: unknowing, now }),
    ]);
    expect([arbiter, linkA.peer.arbiter]).toEqual(['cafe', undefined]);
  });

  it('refuses a node with its own name', async () => {
    for (const error of await refusals(identity(), identity())) {
      expect(error.message).toContain("both nodes are named 'a'");
    }
  });

  const stranger = async (
    speak: (pipe: MemoryPipe) => void,
  ): Promise<{ error: UnderstudyError; code: number; reason: string }> => {
    const [mine, theirs] = memoryPipePair();
    const closed = new Promise<{ code: number; reason: string }>((resolve) =>
      theirs.attach({
        onFrame: () => undefined,
        onDrain: () => undefined,
        onError: () => undefined,
        onClose: (code, reason) => resolve({ code, reason }),
      }),
    );
    const greeting = greet(mine, { role: 'listener', identity: identity(), now });
    const failed = greeting.then(
      () => Promise.reject(new Error('the hello was accepted')),
      (error: unknown) => error as UnderstudyError,
    );
    speak(theirs);
    return { error: await failed, ...(await closed) };
  };

  it.each([
    [
      'another protocol, whatever its hello looks like',
      control({
        type: 'hello',
        protocol: protocolVersion + 1,
        shoes: 'red',
        node: 'b',
        program: '9',
      }),
      `node 'b' runs Understudy 9, node 'a' Understudy of another version: protocol ` +
        `${protocolVersion + 1} and protocol ${protocolVersion} do not understand each other`,
    ],
    ['something else first', control({ type: 'drill' }), "Expected a hello first, got 'drill'"],
    ['log first', encodeFrame(logFrame(0)), "Expected a hello first, got a frame of type 'log'"],
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'it begins with 0x4745'],
    ['an empty frame', Buffer.alloc(0), 'it has 0 bytes'],
    [
      'a hello that lacks fields',
      control({ type: 'hello', protocol: protocolVersion }),
      "'hello': 'node'",
    ],
    [
      'a hello that is too large',
      control({ type: 'hello', protocol: protocolVersion, node: 'x'.repeat(9000) }),
      'Cannot read a hello of',
    ],
  ])('refuses %s', async (_, frame, text) => {
    const { error, code, reason } = await stranger((pipe) => pipe.send(frame));
    expect(error.message).toContain(text);
    expect(code).toBe(4000);
    expect(error.message.startsWith(reason.slice(0, 100))).toBe(true);
  });

  it('notices a peer that leaves before its hello', async () => {
    const { error } = await stranger((pipe) => pipe.close(1001, 'changed my mind'));
    expect(error.message).toContain('changed my mind');
  });

  describe('with a clock of its own', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
    afterEach(() => void vi.useRealTimers());

    it('gives up on a silent peer at the deadline', async () => {
      const silent = stranger(() => undefined);
      await vi.advanceTimersByTimeAsync(wireLimits.helloMs);
      const { error, code } = await silent;
      expect(error.message).toBe('No hello from the other node within 2000 ms');
      expect(code).toBe(4000);
    });
  });
});
