/** Valid frames and messages, to be damaged or sent in the wrong order. */
import { crc32 } from 'node:zlib';
import { icount, logPosition, type Term, term } from '../../src/base/units.ts';
import type { Control, LinkMessage } from '../../src/ports/link.ts';
import { packControl, protocolVersion, type WireControl } from '../../src/wire/control.ts';
import { encodeFrame } from '../../src/wire/frames.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { pack } from '../../src/wire/msgpack.ts';
import type { Random } from './random.ts';

export const identity = (node: string): Identity => ({
  node,
  pair: 'fuzz',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f00d',
  term: term(3),
});

/** What one node may say to the other once there is a link. */
function someControl(random: Random): Control {
  const position = logPosition(random.natural());
  const id = `id${random.upTo(9)}`;
  switch (random.upTo(10)) {
    case 0:
      return {
        type: 'seedOffer',
        seedId: id,
        ramBytes: random.natural(),
        deviceStateBytes: random.natural(),
        disks: [{ id: 'd0', bytes: random.natural() }],
        logPosition: position,
        icount: icount(random.natural()),
      };
    case 1:
      return { type: 'seedReady', seedId: id };
    case 2:
      return { type: 'seedFailed', seedId: id, reason: random.text(100) };
    case 3:
      return { type: 'grant' };
    case 4:
      return {
        type: 'cut',
        cutId: id,
        position,
        icount: icount(random.natural()),
        deviceStateBytes: random.natural(),
        digest: {
          ram: Array.from({ length: random.upTo(50) }, () => random.u32()),
        },
        keep: { label: random.text() },
      };
    case 5:
      return { type: 'cutResult', cutId: id, equal: false, differences: [random.text(100)] };
    case 6:
      return { type: 'heartbeat', sentAtMs: random.natural(), echo: { sentAtMs: 1.5, heldMs: 0 } };
    case 7:
      return { type: 'powerOff', reason: random.text(), position };
    case 8:
      return { type: 'drill' };
    case 9:
      return { type: 'staleTerm', refused: someTerm(random), current: someTerm(random) };
    default:
      return { type: 'seedFailed', seedId: '1', reason: random.text() };
  }
}

export function someWireControl(random: Random): WireControl {
  switch (random.upTo(5)) {
    case 0:
      return helloMessage(random, random.chance(0.5));
    case 1:
      return { type: 'proof', mac: random.bytes(32).toString('hex') };
    case 2:
      return { type: 'helloRefused', code: 'pair', message: random.text(100) };
    case 3:
      return { type: 'credit', log: random.natural(), bulk: random.natural() };
    default:
      return someControl(random);
  }
}

export function helloMessage(random: Random, challenged: boolean, node = 'stranger'): WireControl {
  const challenge = challenged ? { challenge: random.bytes(32).toString('hex') } : {};
  return { type: 'hello', protocol: protocolVersion, ...identity(node), ...challenge };
}

const someTerm = (random: Random): Term => term(random.natural());

/** A message that `Link.send` takes. */
export function someMessage(random: Random): LinkMessage {
  const common = { term: someTerm(random) };
  const payload = random.bytes(random.upTo(random.chance(0.02) ? 300_000 : 300));
  const from = random.upTo(1_000_000);
  switch (random.upTo(3)) {
    case 0:
      return {
        ...common,
        kind: 'log',
        from: logPosition(from),
        to: logPosition(from + random.upTo(1000)),
        icount: icount(random.natural()),
        rawBytes: random.upTo(16 * 1024 * 1024),
        codec: random.upTo(255),
        payload,
      };
    case 1:
      return {
        ...common,
        kind: 'blob',
        stream: random.upTo(255),
        offset: random.natural(),
        last: random.chance(0.1),
        payload: payload.subarray(0, 256 * 1024),
      };
    case 2:
      return {
        ...common,
        kind: 'ack',
        received: logPosition(random.natural()),
        appliedIcount: icount(random.natural()),
      };
    default:
      return { ...common, kind: 'control', control: someControl(random) };
  }
}

/** Of a message, as it travels. */
export function frameOf(message: LinkMessage): Buffer {
  if (message.kind !== 'control') return encodeFrame(message);
  return encodeFrame({ ...message, payload: packControl(message.control) });
}

export function controlFrameOf(control: WireControl): Buffer {
  return encodeFrame({ kind: 'control', term: term(1), payload: packControl(control) });
}

/** A control frame with anything in it, right or wrong. */
export function anyControlFrame(value: unknown): Buffer {
  return encodeFrame({ kind: 'control', term: term(1), payload: pack(value) });
}

/** Makes the checksum of a damaged frame fit, so that the damage behind it is looked at. */
export function reseal(frame: Buffer): Buffer {
  if (frame.length >= 8) {
    frame.writeUInt32BE(crc32(frame.subarray(8), crc32(frame.subarray(0, 4))), 4);
  }
  return frame;
}

/** msgpack that claims much, nests deep, or becomes far more in memory than it is on the wire. */
export function bomb(random: Random, bytesMax: number): Buffer {
  const fill = (value: number, count: number): Buffer => Buffer.alloc(count, value);
  const size = 1 + random.upTo(bytesMax - 6);
  const head = (type: number, count: number): Buffer => {
    const bytes = Buffer.alloc(5, type);
    bytes.writeUInt32BE(count, 1);
    return bytes;
  };
  switch (random.upTo(6)) {
    case 0: // a count of billions
      return head(random.pick([0xdd, 0xdf, 0xdb]), random.pick([0xffff_ffff, 0x7fff_ffff, size]));
    case 1: // arrays in arrays
      return fill(0x91, size);
    case 2: // maps in maps
      return Buffer.concat([Buffer.from('81a16181a16181a161', 'hex'), fill(0x81, size)]);
    case 3: // as many empty maps, or arrays, or nils, as there are bytes
      return Buffer.concat([head(0xdd, size), fill(random.pick([0x80, 0x90, 0xc0]), size)]);
    case 4: // a map of as many empty keys
      return Buffer.concat([head(0xdf, size >> 1), fill(0xa0, (size >> 1) * 2)]);
    case 5: // a message with one enormous field
      return Buffer.concat([
        Buffer.from('82a474797065a3627965a6726561736f6e', 'hex'),
        head(0xdb, size),
        fill(random.pick([0x61, 0xff, 0xf0]), size),
      ]);
    default: // a known key that is no key here
      return pack(
        random.pick([
          JSON.parse('{"type":"grant","__proto__":{"polluted":true}}') as unknown,
          { type: 'seedFailed', seedId: '1', reason: 'x', constructor: 1 },
          { type: '__proto__' },
          { type: 'toString' },
        ]),
      );
  }
}
