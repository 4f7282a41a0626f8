/**
 * The shared secret: both sides prove it, nobody else can, and nothing said before can be used
 * again.
 */
import { performance } from 'node:perf_hooks';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { type Millis, term } from '../../src/base/units.ts';
import type { Link } from '../../src/ports/link.ts';
import {
  packControl,
  protocolVersion,
  unpackControl,
  type WireControl,
} from '../../src/wire/control.ts';
import { decodeFrame, encodeFrame } from '../../src/wire/frames.ts';
import { type GreetOptions, greet, type Identity } from '../../src/wire/hello.ts';
import { pack } from '../../src/wire/msgpack.ts';
import type { FramePipe } from '../../src/wire/pipe.ts';
import { type HelloAuth, isProofOf, newChallenge, proofOf } from '../../src/wire/proof.ts';
import { LinkSecret } from '../../src/wire/secret.ts';
import { type MemoryPipe, memoryPipePair } from '../doubles/memory-pair.ts';
import { Collector, controlFrame, logFrame } from './link-contract.ts';

const secret = new LinkSecret(Buffer.from('a secret of the two nodes alone, long enough'));
const otherSecret = new LinkSecret(Buffer.from('another secret, of somebody else, long enough'));
const none = Buffer.alloc(0);
const auth: HelloAuth = { secret, channel: none };

const identity = (node: string, more: Partial<Identity> = {}): Identity => ({
  node,
  pair: 'p',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f00d',
  term: term(4),
  ...more,
});

const options = (
  role: 'dialer' | 'listener',
  node: string,
  more: Partial<GreetOptions> = {},
): GreetOptions => ({
  role,
  identity: identity(node),
  now: () => performance.now() as Millis,
  auth,
  ...more,
});

/** What becomes of both sides, the dialer's first. */
async function meet(
  dialer: Partial<GreetOptions>,
  listener: Partial<GreetOptions>,
): Promise<(Link | UnderstudyError)[]> {
  const [a, b] = memoryPipePair();
  const results = await Promise.allSettled([
    greet(a, options('dialer', 'a', dialer)),
    greet(b, options('listener', 'b', listener)),
  ]);
  return results.map((result) =>
    result.status === 'fulfilled' ? result.value : (result.reason as UnderstudyError),
  );
}

const without = { auth: undefined } as unknown as Partial<GreetOptions>;

describe('the hello exchange with a shared secret', () => {
  it('makes a link of two nodes that know it, and loses nothing sent right behind it', async () => {
    const [a, b] = memoryPipePair();
    const dialed = greet(a, options('dialer', 'a'));
    const accepted = greet(b, options('listener', 'b'));
    const linkA = await dialed;
    linkA.send(logFrame(0));
    const linkB = await accepted;
    linkB.send(controlFrame({ type: 'drill' }));
    const [atA, atB] = [new Collector(linkA), new Collector(linkB)];
    await Promise.all([atA.untilMessages(1), atB.untilMessages(1)]);
    expect([linkA.peer.node, linkB.peer.node]).toEqual(['b', 'a']);
  });

  it.each([
    ['another secret', { auth: { secret: otherSecret, channel: none } }, {}, 'does not know the'],
    ['no secret at the dialer', without, {}, "node 'a' has none"],
    ['no secret at the listener', {}, without, "node 'b' has none"],
    [
      'another channel: somebody sits between them',
      { auth: { secret, channel: Buffer.from('this one') } },
      { auth: { secret, channel: Buffer.from('that one') } },
      'does not know the shared secret',
    ],
  ] as const)('refuses %s, with the reason on both sides', async (_, dialer, listener, text) => {
    for (const outcome of await meet(dialer, listener)) {
      if (!(outcome instanceof UnderstudyError)) throw new Error('there is a link');
      expect(outcome.code).toBe('link');
      expect(outcome.message).toContain(text);
      expect(outcome.hint).toBe('Give both nodes the same secret file.');
    }
  });

  it('still says what else does not fit', async () => {
    for (const outcome of await meet({ identity: identity('a', { qemu: '10.0.2' }) }, {})) {
      expect((outcome as UnderstudyError).message).toContain("10.0.2 on node 'a'");
    }
  });
});

/** A connection to a side that knows the secret, in the hands of somebody who does not. */
class Attacker {
  readonly heard: WireControl[] = [];
  readonly raw: Buffer[] = [];
  readonly outcome: Promise<Link | UnderstudyError>;
  readonly #pipe: MemoryPipe;

  constructor(victim: 'dialer' | 'listener', node = 'victim') {
    const [mine, theirs] = memoryPipePair();
    this.#pipe = mine;
    mine.attach({
      onFrame: (frame) => {
        this.raw.push(frame);
        this.heard.push(controlOf(frame));
      },
      onDrain: () => undefined,
      onError: () => undefined,
      onClose: () => undefined,
    });
    this.outcome = greet(theirs as FramePipe, options(victim, node)).catch(
      (error: UnderstudyError) => error,
    );
  }

  say(control: WireControl): void {
    this.pass(encodeFrame({ kind: 'control', term: term(1), payload: packControl(control) }));
  }

  pass(frame: Buffer): void {
    this.#pipe.send(frame);
  }

  async hear(type: WireControl['type']): Promise<Buffer> {
    for (;;) {
      const index = this.heard.findIndex((control) => control.type === type);
      if (index >= 0) return this.raw[index] as Buffer;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const controlOf = (frame: Buffer): WireControl => {
  const decoded = decodeFrame(frame);
  if (decoded.kind !== 'control') throw new Error('not a control frame');
  return unpackControl(decoded.payload);
};

const hello = (node: string, challenge = newChallenge()): WireControl => ({
  type: 'hello',
  protocol: protocolVersion,
  ...identity(node),
  challenge,
});

describe('somebody without the secret gets no link', () => {
  const refusedBy = async (attacker: Attacker): Promise<string> => {
    const outcome = await attacker.outcome;
    if (!(outcome instanceof UnderstudyError)) throw new Error('the attacker has a link');
    return outcome.message;
  };

  it('by sending the listener its own proof (reflection)', async () => {
    const attacker = new Attacker('listener');
    attacker.say(hello('a'));
    attacker.pass(await attacker.hear('proof'));
    expect(await refusedBy(attacker)).toContain('does not know the shared secret');
  });

  it('by sending the dialer its own hello', async () => {
    const attacker = new Attacker('dialer');
    attacker.pass(await attacker.hear('hello'));
    expect(await refusedBy(attacker)).toContain('heard its own challenge');
  });

  it('by having a node prove itself to itself (the dialer as its own listener)', async () => {
    const dialer = new Attacker('dialer', 'a');
    const listener = new Attacker('listener', 'a');
    listener.pass(await dialer.hear('hello'));
    dialer.pass(await listener.hear('hello'));
    dialer.pass(await listener.hear('proof'));
    expect(await refusedBy(dialer)).toContain("both nodes are named 'a'");
    listener.say({ type: 'seedFailed', seedId: '1', reason: 'over' });
    await refusedBy(listener);
  });

  it('by repeating a whole exchange that was overheard (replay)', async () => {
    const [a, b] = memoryPipePair();
    const said: Buffer[] = [];
    const tapped: FramePipe = {
      get bufferedBytes() {
        return a.bufferedBytes;
      },
      attach: (handlers) => a.attach(handlers),
      close: (code, reason) => a.close(code, reason),
      send: (frame) => {
        said.push(Buffer.from(frame));
        a.send(frame);
      },
    };
    await Promise.all([
      greet(tapped, options('dialer', 'a')),
      greet(b, options('listener', 'victim')),
    ]);
    expect(said).toHaveLength(2);
    const attacker = new Attacker('listener');
    for (const frame of said) attacker.pass(frame);
    expect(await refusedBy(attacker)).toContain('does not know the shared secret');
  });

  it('by changing what an honest node said of itself', async () => {
    const dialer = new Attacker('dialer', 'a');
    const listener = new Attacker('listener', 'b');
    const said = controlOf(await dialer.hear('hello'));
    if (said.type !== 'hello') throw new Error('no hello');
    listener.say({ ...said, term: term(99) });
    dialer.pass(await listener.hear('hello'));
    dialer.pass(await listener.hear('proof'));
    expect(await refusedBy(dialer)).toContain('does not know the shared secret');
    listener.say({ type: 'proof', mac: '0'.repeat(64) });
    expect(await refusedBy(listener)).toContain('does not know the shared secret');
  });

  it.each([
    [
      'no challenge (downgrade)',
      [{ type: 'hello', protocol: protocolVersion, ...identity('a') }],
      'a shared secret',
    ],
    [
      'a proof first',
      [{ type: 'proof', mac: '0'.repeat(64) }],
      "Expected a hello first, got 'proof'",
    ],
    [
      'a second hello for a proof',
      [hello('a'), hello('a')],
      'Expected a proof of the shared secret',
    ],
    ['a message for a proof', [hello('a'), { type: 'drill' }], "got 'drill'"],
    ['a challenge too short', [hello('a', 'abc')], "'challenge' must be 64 hexadecimal digits"],
    ['a proof too short', [hello('a'), { type: 'proof', mac: 'ab' }], "'mac' must be 64"],
  ] as [string, object[], string][])('by %s', async (_, messages, text) => {
    const attacker = new Attacker('listener');
    for (const message of messages) attacker.pass(unchecked(message));
    expect(await refusedBy(attacker)).toContain(text);
  });
});

/** A control frame whatever is in it. */
function unchecked(message: object): Buffer {
  return encodeFrame({ kind: 'control', term: term(1), payload: pack(message) });
}

describe('a proof', () => {
  const transcript = { dialer: Buffer.from('one'), listener: Buffer.from('two') };

  it('fits its role, its hellos, their order, its channel and its secret only', () => {
    const proof = proofOf('dialer', auth, transcript);
    expect(isProofOf('dialer', proof, auth, transcript)).toBe(true);
    const { dialer, listener } = transcript;
    expect(isProofOf('listener', proof, auth, transcript)).toBe(false);
    expect(isProofOf('dialer', proof, auth, { dialer: listener, listener: dialer })).toBe(false);
    const shifted = { dialer: Buffer.from('onet'), listener: Buffer.from('wo') };
    expect(isProofOf('dialer', proof, auth, shifted)).toBe(false);
    const channel = Buffer.from('x');
    expect(isProofOf('dialer', proof, { secret, channel }, transcript)).toBe(false);
    const others = { secret: otherSecret, channel: none };
    expect(isProofOf('dialer', proof, others, transcript)).toBe(false);
    for (const wrong of ['', proof.slice(2), `${proof}00`, 'z'.repeat(64)]) {
      expect(isProofOf('dialer', wrong, auth, transcript)).toBe(false);
    }
  });

  it('shows nothing of the secret where objects are printed', () => {
    expect(JSON.stringify({ secret })).toBe('{"secret":{}}');
    expect(inspect(secret, { showHidden: true })).not.toMatch(/[0-9a-f]{2} [0-9a-f]{2}/);
  });
});
