/**
 * A real listener on loopback, plain and with TLS keyed by the secret: half-finished requests,
 * broken WebSocket frames, floods, and connections that stop in the middle. After each the other
 * node must still get its link.
 */
import net from 'node:net';
import { UnderstudyError } from '../../src/base/errors.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { type LinkListener, listen } from '../../src/wire/listener.ts';
import { LinkSecret } from '../../src/wire/secret.ts';
import type { LinkSecurity } from '../../src/wire/tls.ts';
import { controlFrameOf, frameOf, helloMessage, identity, someMessage } from './examples.ts';
import { mutate, type Random } from './random.ts';
import { Finding, type FuzzTarget, must } from './target.ts';

const secret = new LinkSecret(
  Buffer.from('the secret of the fuzzed node, which the peer may not know'),
);

interface Door {
  readonly security: LinkSecurity;
  readonly listener: LinkListener;
}

const doors: Door[] = [];
const links = new Set<Link>();

export const listenerTarget: FuzzTarget = {
  name: 'listener',
  batch: 1,

  async open() {
    for (const security of [{}, { secret }, { tls: secret, secret }]) {
      const listener = await listen({
        host: '127.0.0.1',
        port: 0,
        identity: () => identity('victim'),
        onLink: (link) => {
          links.add(link);
          link.onClose(() => links.delete(link));
        },
        onRefused: (error) => must(error instanceof UnderstudyError, String(error)),
        ...security,
      });
      doors.push({ security, listener });
    }
  },

  async close() {
    for (const link of links) link.close('the fuzzing is over');
    for (const { listener } of doors.splice(0)) await listener.close();
  },

  play(random, trace) {
    const door = random.pick(doors as [Door]);
    return attack(door, random, trace);
  },
};

async function attack(
  door: Door,
  random: Random,
  trace: (bytes: Uint8Array) => void,
): Promise<void> {
  const isFlood = random.chance(0.02);
  const count = isFlood ? 2 * wireLimits.connections : 1 + random.upTo(2);
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(door.listener.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    for (const piece of somePieces(random)) {
      trace(piece);
      socket.write(piece);
    }
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, random.upTo(isFlood ? 50 : 4)));
  // While all the connections of a flood are still there.
  if (isFlood || random.chance(0.1)) await otherNodeGetsIn(door);
  // Some stay as they are, for the next cases; the listener has to get rid of them itself.
  for (const socket of sockets) {
    socket[random.pick(['destroy', 'destroy', 'resetAndDestroy', 'end'])]();
  }
}

async function otherNodeGetsIn(door: Door): Promise<void> {
  const link = await dial({
    host: '127.0.0.1',
    port: door.listener.port,
    identity: identity('other'),
    ...door.security,
  }).catch((error: UnderstudyError) => {
    throw new Finding(`the other node gets no link: ${error.describe()}`);
  });
  link.close('done');
}

function somePieces(random: Random): Buffer[] {
  const request = Buffer.from(
    `GET ${random.pick(['/link', '/', '/link?x', '*', 'http://x/link'])} HTTP/1.1\r\n` +
      'Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
      random.pick(['', 'Origin: http://x\r\n', `X: ${'y'.repeat(random.upTo(20_000))}\r\n`]) +
      '\r\n',
  );
  switch (random.upTo(5)) {
    case 0:
      return [];
    case 1:
      return [random.bytes(random.upTo(600))];
    case 2:
      return [mutate(random, request)];
    case 3: // the beginning of TLS
      return [Buffer.from('160301', 'hex'), random.bytes(random.upTo(600))];
    default: {
      const frames = Array.from({ length: random.upTo(6) }, () => someWebSocketFrame(random));
      const cut = Buffer.concat([request, ...frames]);
      return random.chance(0.3) ? [cut.subarray(0, random.upTo(cut.length))] : [cut];
    }
  }
}

/** Mostly binary, masked and whole; sometimes not. */
function someWebSocketFrame(random: Random): Buffer {
  const hello = controlFrameOf(helloMessage(random, random.chance(0.7), `n${random.upTo(99)}`));
  const payload = random.chance(0.5)
    ? hello
    : mutate(random, random.chance(0.5) ? hello : frameOf(someMessage(random)));
  const first = random.chance(0.8) ? 0x82 : random.upTo(255);
  const claimed = random.chance(0.9)
    ? payload.length
    : random.pick([0xffff_ffff, wireLimits.frameBytes + 1, 126, 0]);
  const head = Buffer.alloc(14);
  head[0] = first;
  head[1] = random.chance(0.95) ? 0xff : 0x7f;
  head.writeUInt32BE(random.chance(0.99) ? 0 : 0xffff_ffff, 2);
  head.writeUInt32BE(claimed, 6);
  return Buffer.concat([head, payload]);
}
