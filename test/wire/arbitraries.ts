/** Any valid frame and control message, for property tests. */
import fc from 'fast-check';
import type { Icount, LogPosition, Term } from '../../src/base/units.ts';
import type { Control } from '../../src/ports/link.ts';
import type { LinkControl } from '../../src/wire/control.ts';
import type { Frame } from '../../src/wire/frames.ts';

const natural = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER),
);
const position = natural as fc.Arbitrary<LogPosition>;
const instructions = natural as fc.Arbitrary<Icount>;
const termOf = natural as fc.Arbitrary<Term>;
const bytes = fc.uint8Array({ maxLength: 600 });
const byte = fc.nat(255);
const name = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' });
const digits = fc.stringMatching(/^[0-9a-f]{64}$/);
const sentence = fc.string({ maxLength: 200, unit: 'grapheme' });
const clockMs = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e12, noNaN: true }));
/** -0 is 0 on the wire, which is what it should be. */
const positive = clockMs.map((value) => value + 0);

export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.tuple(position, position).chain(([one, other]) =>
    fc.record({
      kind: fc.constant('log' as const),
      term: termOf,
      from: fc.constant(Math.min(one, other) as LogPosition),
      to: fc.constant(Math.max(one, other) as LogPosition),
      icount: instructions,
      rawBytes: fc.nat(16 * 1024 * 1024),
      codec: byte,
      payload: bytes,
    }),
  ),
  fc.record({
    kind: fc.constant('blob' as const),
    term: termOf,
    stream: byte,
    offset: natural,
    last: fc.boolean(),
    payload: bytes,
  }),
  fc.record({
    kind: fc.constant('blob' as const),
    term: termOf,
    stream: byte,
    offset: natural,
    zeroBytes: fc.integer({ min: 1, max: 0xffff_ffff_ffff }),
    last: fc.boolean(),
    payload: fc.constant(new Uint8Array(0)),
  }),
  fc.record({
    kind: fc.constant('ack' as const),
    term: termOf,
    received: position,
    appliedIcount: instructions,
  }),
  fc.record({ kind: fc.constant('control' as const), term: termOf, payload: bytes }),
);

const type = <Name extends string>(text: Name) => fc.constant(text);

const disks = fc.array(fc.record({ id: name, bytes: natural }), { maxLength: 4 });

export const anyControl: fc.Arbitrary<Control | LinkControl> = fc.oneof(
  fc.record({ type: type('seedBegin'), seedId: name, ramBytes: natural, disks }),
  fc.record(
    {
      type: type('seedHave'),
      seedId: name,
      resumes: name,
      streams: fc.array(fc.record({ stream: byte, bytes: natural }), { maxLength: 4 }),
    },
    { requiredKeys: ['type', 'seedId', 'streams'] },
  ),
  fc.record({ type: type('seedSpool'), usedBytes: natural, budgetBytes: natural }),
  fc.record(
    {
      type: type('seedOffer'),
      seedId: name,
      ramBytes: natural,
      deviceStateBytes: natural,
      disks,
      logPosition: position,
      icount: instructions,
      blockRequestId: natural,
    },
    {
      requiredKeys: [
        'type',
        'seedId',
        'ramBytes',
        'deviceStateBytes',
        'disks',
        'logPosition',
        'icount',
      ],
    },
  ),
  fc.record({ type: type('seedReady'), seedId: name }),
  fc.record({ type: type('seedFailed'), seedId: name, reason: sentence }),
  fc.record({ type: type('grant') }),
  fc.record(
    {
      type: type('cut'),
      cutId: name,
      position,
      icount: instructions,
      deviceStateBytes: natural,
      digest: fc.record({ ram: fc.array(fc.option(fc.nat(0xffff_ffff)), { maxLength: 300 }) }),
      judgement: fc.stringMatching(/^[0-9a-f]{52}$/),
    },
    { requiredKeys: ['type', 'cutId', 'position', 'icount', 'deviceStateBytes', 'digest'] },
  ),
  fc.record(
    { type: type('kept'), cutId: name, snapshot: name, problem: sentence },
    { requiredKeys: ['type', 'cutId'] },
  ),
  fc.record(
    { type: type('snapshotRequest'), requestId: name, label: sentence },
    { requiredKeys: ['type', 'requestId'] },
  ),
  fc.record(
    { type: type('snapshotResult'), requestId: name, snapshot: name, problem: sentence },
    { requiredKeys: ['type', 'requestId'] },
  ),
  fc.record({
    type: type('cutResult'),
    cutId: name,
    equal: fc.boolean(),
    differences: fc.array(sentence, { maxLength: 5 }),
  }),
  fc.record(
    {
      type: type('heartbeat'),
      sentAtMs: positive,
      echo: fc.record({ sentAtMs: positive, heldMs: positive }),
    },
    { requiredKeys: ['type', 'sentAtMs'] },
  ),
  fc.record({ type: type('resumed'), position }),
  fc.record({ type: type('powerOff'), reason: sentence, position }),
  fc.record({ type: type('drill') }),
  fc.record({ type: type('staleTerm'), refused: termOf, current: termOf }),
  fc.record({ type: type('credit'), log: natural, bulk: natural }),
  fc.record({ type: type('proof'), mac: digits }),
  fc.record({ type: type('helloRefused'), code: name, message: sentence }),
  fc.record(
    {
      type: type('hello'),
      protocol: natural,
      node: name,
      pair: name,
      qemu: name,
      logLayout: fc.constantFrom('7.2' as const, '10.0' as const),
      vmFingerprint: name,
      arbiter: name,
      term: termOf,
      challenge: digits,
    },
    {
      requiredKeys: [
        'type',
        'protocol',
        'node',
        'pair',
        'qemu',
        'logLayout',
        'vmFingerprint',
        'term',
      ],
    },
  ),
);
