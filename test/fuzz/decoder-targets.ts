/** The frame parser and the decoder of control messages. */
import { isDeepStrictEqual } from 'node:util';
import { packControl, unpackControl } from '../../src/wire/control.ts';
import { decodeFrame, encodeFrame } from '../../src/wire/frames.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { pack } from '../../src/wire/msgpack.ts';
import { bomb, frameOf, reseal, someMessage, someWireControl } from './examples.ts';
import { mutate, type Random } from './random.ts';
import { type FuzzTarget, must, refusable } from './target.ts';

/** What is accepted has one form only: encoding it again gives the same bytes. */
export const frameTarget: FuzzTarget = {
  name: 'frame',
  batch: 200,
  play(random, trace) {
    const bytes = someFrameBytes(random);
    trace(bytes);
    const frame = refusable(() => decodeFrame(bytes));
    if (frame !== undefined) must(encodeFrame(frame).equals(bytes), 'a frame has two forms');
    return undefined;
  },
};

function someFrameBytes(random: Random): Buffer {
  if (random.chance(0.1)) return random.bytes(random.upTo(2000));
  const frame = frameOf(someMessage(random));
  if (random.chance(0.05)) return frame;
  const broken = mutate(random, frame);
  return random.chance(0.7) ? reseal(broken) : broken;
}

/**
 * A megabyte of empty maps would be sixty in memory; what is within the limits is far below this.
 */
const heapBytesMax = 32 * 1024 * 1024;

/** What is accepted is a message that we would send, and is the same after a second journey. */
export const controlTarget: FuzzTarget = {
  name: 'control',
  batch: 200,
  play(random, trace) {
    const bytes = someControlBytes(random);
    trace(bytes);
    const large = bytes.length > 16 * 1024;
    const before = large ? process.memoryUsage().heapUsed : 0;
    const control = refusable(() => unpackControl(bytes));
    const grown = large ? process.memoryUsage().heapUsed - before : 0;
    must(grown < heapBytesMax, `${bytes.length} bytes became ${grown} in memory`);
    if (control !== undefined) {
      const again = unpackControl(packControl(control));
      must(isDeepStrictEqual(again, control), 'a message changes on a second journey');
    }
    const { polluted } = {} as { polluted?: unknown };
    must(polluted === undefined, 'a message changed the prototype of all objects');
    return undefined;
  },
};

function someControlBytes(random: Random): Buffer {
  const kind = random.upTo(99);
  if (kind < 10) return random.bytes(random.upTo(300));
  if (kind < 20) return bomb(random, 2000);
  if (kind < 21) return bomb(random, wireLimits.controlPayloadBytes);
  if (kind < 40) return pack(randomValue(random, 0));
  const message = packControl(someWireControl(random));
  return random.chance(0.05) ? message : mutate(random, message);
}

/** Plain data with the names of real fields in it. */
function randomValue(random: Random, depth: number): unknown {
  const names = [
    'type',
    'reason',
    'term',
    'seedId',
    'ram',
    'digest',
    'hello',
    'x',
    '__proto__',
  ] as const;
  switch (random.upTo(depth > 4 ? 6 : 9)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return random.natural();
    case 3:
      return -random.natural();
    case 4:
      return random.pick([Number.NaN, Infinity, -0, 0.5, 1e300, 2 ** 53, 2 ** 64]);
    case 5:
      return random.text(40);
    case 6:
      return random.pick(['cut', 'hello', 'seedFailed', 'credit', 'proof', 'heartbeat']);
    case 7:
      return Array.from({ length: random.upTo(5) }, () => randomValue(random, depth + 1));
    default: {
      const entries = Array.from({ length: random.upTo(5) }, () => [
        random.pick(names),
        randomValue(random, depth + 1),
      ]);
      return {
        type: random.pick(['seedFailed', 'cut', 'credit', 'hello']),
        ...Object.fromEntries(entries),
      };
    }
  }
}
