/**
 * Control messages on the wire: msgpack maps, each checked against its schema before use.
 *
 * The words that the nodes exchange are `Control` (ports/link.ts); the ones below are the link's
 * own: the hello exchange and credit. A message of an unknown type, with a field too many, too few
 * or of a wrong type is refused. A new field or type needs a new `protocolVersion`.
 */
import { z } from 'zod';
import { UnderstudyError } from '../base/errors.ts';
import { qemuReleases } from '../base/qemu-releases.ts';
import type { Icount, LogPosition, Term } from '../base/units.ts';
import type { Control, Hello } from '../ports/link.ts';
import { wireLimits } from './limits.ts';
import { pack, unpack } from './msgpack.ts';

/** Raised whenever a control message changes. Both sides must speak the same one. */
export const protocolVersion = 10;

const nameOf = z.string().min(1).max(wireLimits.nameChars);
/** Words for people are cut rather than refused: a long reason must not end a link. */
const sentence = z.string().overwrite((text) => text.slice(0, wireLimits.sentenceChars));
const natural = z.int().min(0);
const branded = <T extends number>() =>
  z.custom<T>(
    (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    'must be a whole number from 0 to 2^53-1',
  );
const position = branded<LogPosition>();
const instructions = branded<Icount>();
const termOf = branded<Term>();
const clockMs = z.number().min(0);

/** Checked by hand: a cut has a hundred thousand of them, and the general way costs 10 ms. */
const checksums = z.custom<(number | null)[]>(
  (value) =>
    Array.isArray(value) &&
    value.length <= wireLimits.ramDigestBlocks &&
    value.every(
      (item) => item === null || (Number.isInteger(item) && item >= 0 && item <= 0xffff_ffff),
    ),
  'must be a list of 32-bit checksums or null',
);

const helloFields = {
  protocol: natural,
  node: nameOf,
  pair: nameOf,
  qemu: nameOf,
  logLayout: z.enum(qemuReleases),
  upgradeFrom: nameOf.exactOptional(),
  vmFingerprint: nameOf,
  machine: z
    .array(z.strictObject({ what: nameOf, value: nameOf }))
    .max(wireLimits.machineParts)
    .readonly()
    .exactOptional(),
  program: nameOf.exactOptional(),
  arbiter: nameOf.exactOptional(),
  term: termOf,
  standing: z
    .strictObject({
      role: z.enum(['primary', 'backup', 'none']),
      isGranted: z.boolean(),
      spoken: termOf,
      logged: termOf,
    })
    .exactOptional(),
};

const disks = z.array(z.strictObject({ id: nameOf, bytes: natural })).max(wireLimits.disks);

/** 26 bytes in hexadecimal (src/hypervisor/device-state/clock-judgement.ts). */
const judged = z.string().regex(/^[0-9a-f]{52}$/, 'must be 52 hexadecimal digits');

const peerControlSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('seedBegin'), seedId: nameOf, ramBytes: natural, disks }),
  z.strictObject({
    type: z.literal('seedHave'),
    seedId: nameOf,
    resumes: nameOf.exactOptional(),
    streams: z
      .array(z.strictObject({ stream: natural.max(0xff), bytes: natural }))
      .max(wireLimits.disks + 1),
  }),
  z.strictObject({ type: z.literal('seedSpool'), usedBytes: natural, budgetBytes: natural }),
  z.strictObject({
    type: z.literal('seedOffer'),
    seedId: nameOf,
    ramBytes: natural,
    deviceStateBytes: natural,
    disks,
    logPosition: position,
    icount: instructions,
    blockRequestId: natural.exactOptional(),
  }),
  z.strictObject({ type: z.literal('seedReady'), seedId: nameOf }),
  z.strictObject({ type: z.literal('seedFailed'), seedId: nameOf, reason: sentence }),
  z.strictObject({ type: z.literal('grant') }),
  z.strictObject({
    type: z.literal('cut'),
    cutId: nameOf,
    position,
    icount: instructions,
    deviceStateBytes: natural,
    digest: z.strictObject({ ram: checksums }),
    judgement: judged.exactOptional(),
    keep: z
      .strictObject({ label: sentence.exactOptional(), guest: sentence.exactOptional() })
      .exactOptional(),
    isSample: z.boolean().exactOptional(),
  }),
  z.strictObject({
    type: z.literal('kept'),
    cutId: nameOf,
    snapshot: nameOf.exactOptional(),
    problem: sentence.exactOptional(),
    mayPass: z.boolean().exactOptional(),
  }),
  z.strictObject({
    type: z.literal('snapshotRequest'),
    requestId: nameOf,
    label: sentence.exactOptional(),
  }),
  z.strictObject({
    type: z.literal('snapshotResult'),
    requestId: nameOf,
    snapshot: nameOf.exactOptional(),
    problem: sentence.exactOptional(),
    mayPass: z.boolean().exactOptional(),
  }),
  z.strictObject({
    type: z.literal('cutResult'),
    cutId: nameOf,
    equal: z.boolean(),
    differences: z.array(sentence).overwrite((list) => list.slice(0, wireLimits.differences)),
  }),
  z.strictObject({
    type: z.literal('heartbeat'),
    sentAtMs: clockMs,
    echo: z.strictObject({ sentAtMs: clockMs, heldMs: clockMs }).exactOptional(),
  }),
  z.strictObject({ type: z.literal('resumed'), position }),
  z.strictObject({ type: z.literal('powerOff'), reason: sentence, position }),
  z.strictObject({ type: z.literal('drill') }),
  z.strictObject({ type: z.literal('staleTerm'), refused: termOf, current: termOf }),
]) satisfies z.ZodType<Control>;

/** 32 bytes in hexadecimal. */
const digits = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

const linkControlSchema = z.discriminatedUnion('type', [
  /** With a challenge, the sender asks for a proof and will give one. */
  z.strictObject({ type: z.literal('hello'), ...helloFields, challenge: digits.exactOptional() }),
  z.strictObject({ type: z.literal('proof'), mac: digits }),
  z.strictObject({
    type: z.literal('helloRefused'),
    code: nameOf,
    message: sentence,
  }),
  /** Totals granted since the link began, so that repeating one does no harm. */
  z.strictObject({ type: z.literal('credit'), log: natural, bulk: natural }),
]);

/** What the link says to its other half; never handed to a message handler. */
export type LinkControl = z.infer<typeof linkControlSchema>;
export type HelloMessage = Extract<LinkControl, { type: 'hello' }>;
export type WireControl = Control | LinkControl;

const wireControlSchema = z.discriminatedUnion('type', [peerControlSchema, linkControlSchema]);

/** Packs a control message, after checking that the other side will accept it. */
export function packControl(control: WireControl): Buffer {
  return pack(checked(control, 'send'));
}

/** Throws `UnderstudyError` ('link') that names the message, the field and what was expected. */
export function unpackControl(bytes: Uint8Array): WireControl {
  return checked(unpack(bytes), 'read');
}

/** What is understood of a hello of any version. */
export interface Speaker {
  readonly protocol: number;
  /** Of the node, and of the program that it runs; `undefined`: it does not say. */
  readonly node: string | undefined;
  readonly program: string | undefined;
}

/**
 * Who speaks in a packed hello, whatever else is in it; `undefined` when it is no hello. A hello of
 * another version may have other fields, and must still be refused by name.
 */
export function speakerOf(bytes: Uint8Array): Speaker | undefined {
  const value = unpack(bytes);
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, protocol, node, program } = value as Record<string, unknown>;
  if (type !== 'hello' || typeof protocol !== 'number') return undefined;
  return { protocol, node: shortWord(node), program: shortWord(program) };
}

const shortWord = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.slice(0, 40) : undefined;

/** The hello without its envelope. */
export function helloOf(message: HelloMessage): Hello {
  const { type, challenge, ...hello } = message;
  return hello;
}

export function isLinkControl(control: WireControl): control is LinkControl {
  switch (control.type) {
    case 'hello':
    case 'proof':
    case 'helloRefused':
    case 'credit':
      return true;
    default:
      return false;
  }
}

function checked(value: unknown, verb: 'send' | 'read'): WireControl {
  const result = wireControlSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.join('.') ?? '';
  const field = path === '' ? '' : ` '${path}'`;
  throw new UnderstudyError(
    'link',
    `Cannot ${verb} control message ${nameOfType(value)}:${field} ${issue?.message ?? 'is wrong'}`,
  );
}

function nameOfType(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('type' in value)) return 'without a type';
  return `'${String(value.type).slice(0, 40)}'`;
}
