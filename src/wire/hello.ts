/**
 * The hello exchange: before anything else, each side says who it is and what it runs.
 *
 *   dialer                                  listener
 *     hello {.., challenge?}      ->
 *                                 <-          hello {.., challenge?}
 *                                 <-          proof           with a shared secret only
 *     proof                       ->
 *
 * Contract
 *  1. Either side refuses what does not fit with a `helloRefused` message and close code 4000, so
 *     both know the reason. The whole exchange has one deadline.
 *  2. With a shared secret (`auth`) there is no link before the other side has proved that it knows
 *     it (proof.ts). Whether a proof is asked for is this side's own setting: a peer that brings no
 *     challenge is refused, and so is one that brings a challenge to a side without a secret.
 *  3. A message that is not the next one in the order above ends the exchange.
 *
 * Lockstep needs the same QEMU, log layout and machine on both sides, or a backup that has the
 * primary's QEMU beside its own (`upgradeFrom`): a difference there would show much later, as a
 * divergence, and cost far more to find. They are compared last, when it is known who says them.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Millis } from '../base/units.ts';
import type { Hello } from '../ports/link.ts';
import { fitCloseReason, numberOfCloseCode } from './close-codes.ts';
import {
  type HelloMessage,
  helloOf,
  type LinkControl,
  packControl,
  protocolVersion,
  type Speaker,
  speakerOf,
  unpackControl,
} from './control.ts';
import { differenceOf } from './differences.ts';
import { FramedLink } from './framed-link.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { wireLimits } from './limits.ts';
import type { FramePipe } from './pipe.ts';
import {
  type HelloAuth,
  type HelloRole,
  isProofOf,
  newChallenge,
  proofOf,
  type Transcript,
} from './proof.ts';

/** What a node says of itself; the link adds the protocol version. */
export type Identity = Omit<Hello, 'protocol'>;

export interface GreetOptions {
  readonly role: HelloRole;
  readonly identity: Identity;
  readonly now: () => Millis;
  /** With it, both sides must prove that they know the secret. */
  readonly auth?: HelloAuth;
  /** @default wireLimits.helloMs */
  readonly deadlineMs?: number;
}

/**
 * Exchanges hellos over a fresh pipe. Resolves with the link, or closes the pipe and rejects with
 * `UnderstudyError` ('link') that says who refused what.
 */
export function greet(pipe: FramePipe, options: GreetOptions): Promise<FramedLink> {
  const { identity, now, deadlineMs = wireLimits.helloMs } = options;
  const { term } = identity;
  return new Promise<FramedLink>((resolve, reject) => {
    const greeting = new Greeting(pipe, options);
    const fail = (error: UnderstudyError): void => {
      clearTimeout(deadline);
      pipe.attach(ignoreAll);
      pipe.close(numberOfCloseCode('refused'), fitCloseReason(error.message));
      reject(error);
    };
    const deadline = setTimeout(() => {
      fail(new UnderstudyError('link', `No hello from the other node within ${deadlineMs} ms`));
    }, deadlineMs);
    pipe.attach({
      onFrame: (bytes) => {
        try {
          const peer = greeting.received(bytes);
          if (peer === undefined) return;
          clearTimeout(deadline);
          // In this very call, so that frames right behind the exchange find the link.
          const link = new FramedLink({ pipe, peer, term, now });
          greeting.sayLast();
          resolve(link);
        } catch (thrown) {
          if (thrown instanceof Refusal) pipe.send(refusalFrame(thrown, identity));
          fail(toError(thrown));
        }
      },
      onDrain: () => undefined,
      onError: (cause) => {
        fail(new UnderstudyError('link', 'The connection failed before a hello', { cause }));
      },
      onClose: (number, reason) => {
        const why = reason === '' ? `code ${number}` : reason;
        fail(new UnderstudyError('link', `The other node closed before its hello: ${why}`));
      },
    });
    greeting.begin();
  });
}

type Waiting =
  | { readonly for: 'hello' }
  | { readonly for: 'proof'; readonly peer: Hello; readonly transcript: Transcript }
  | { readonly for: 'nothing' };

/** One side of the exchange: what it says, and what it expects next. */
class Greeting {
  readonly #pipe: FramePipe;
  readonly #role: HelloRole;
  readonly #identity: Identity;
  readonly #auth: HelloAuth | undefined;
  readonly #hello: HelloMessage;
  readonly #packedHello: Buffer;
  /** What the other side waits for once it is accepted. */
  #last: Buffer | undefined;
  #waiting: Waiting = { for: 'hello' };

  constructor(pipe: FramePipe, { role, identity, auth }: GreetOptions) {
    this.#pipe = pipe;
    this.#role = role;
    this.#identity = identity;
    this.#auth = auth;
    const challenge = auth === undefined ? {} : { challenge: newChallenge() };
    this.#hello = { type: 'hello', protocol: protocolVersion, ...identity, ...challenge };
    this.#packedHello = packControl(this.#hello);
  }

  begin(): void {
    if (this.#role === 'dialer') this.#send(this.#packedHello);
  }

  /**
   * Takes the next message. Returns who the other is once it is accepted, and throws if it is not.
   */
  received(bytes: Buffer): Hello | undefined {
    const waiting = this.#waiting;
    switch (waiting.for) {
      case 'hello':
        return this.#receivedHello(readMessage(bytes, 'hello', this.#identity));
      case 'proof':
        return this.#receivedProof(readMessage(bytes, 'proof', this.#identity), waiting);
      case 'nothing':
        throw new UnderstudyError('link', 'A message arrived after the hello exchange had ended');
    }
  }

  sayLast(): void {
    if (this.#last !== undefined) this.#send(this.#last);
  }

  #receivedHello({ control, packed }: Received<'hello'>): Hello | undefined {
    this.#refuseOtherAuth(control);
    const peer = helloOf(control);
    if (this.#auth === undefined) {
      this.#last = this.#role === 'listener' ? this.#packedHello : undefined;
      return this.#accept(peer);
    }
    const listens = this.#role === 'listener';
    const transcript = listens
      ? { dialer: packed, listener: this.#packedHello }
      : { dialer: this.#packedHello, listener: packed };
    if (listens) {
      this.#send(this.#packedHello);
      this.#send(this.#proof(this.#auth, transcript));
    }
    this.#waiting = { for: 'proof', peer, transcript };
    return undefined;
  }

  #receivedProof(
    { control }: Received<'proof'>,
    { peer, transcript }: Extract<Waiting, { for: 'proof' }>,
  ): Hello {
    const auth = this.#auth;
    const other = this.#role === 'dialer' ? 'listener' : 'dialer';
    if (auth === undefined || !isProofOf(other, control.mac, auth, transcript)) {
      throw new Refusal(
        'secret',
        `node '${peer.node}' does not know the shared secret of node '${this.#identity.node}'`,
        hints.secret ?? '',
      );
    }
    if (this.#role === 'dialer') this.#last = this.#proof(auth, transcript);
    return this.#accept(peer);
  }

  #accept(peer: Hello): Hello {
    refuseMismatch(this.#identity, peer);
    this.#waiting = { for: 'nothing' };
    return peer;
  }

  #refuseOtherAuth(theirs: HelloMessage): void {
    const mine = this.#hello;
    if ((theirs.challenge === undefined) !== (mine.challenge === undefined)) {
      const [has, lacks] = mine.challenge === undefined ? [theirs, mine] : [mine, theirs];
      const what = `node '${has.node}' asks for a shared secret, node '${lacks.node}' has none`;
      throw new Refusal('secret', what, hints.secret ?? '');
    }
    // Chance does not repeat 32 bytes: somebody sends our own words back.
    if (mine.challenge !== undefined && theirs.challenge === mine.challenge) {
      throw new Refusal('self', `node '${mine.node}' heard its own challenge`, hints.self ?? '');
    }
  }

  #proof(auth: HelloAuth, transcript: Transcript): Buffer {
    return packControl({ type: 'proof', mac: proofOf(this.#role, auth, transcript) });
  }

  #send(payload: Buffer): void {
    this.#pipe.send(encodeFrame({ kind: 'control', term: this.#identity.term, payload }));
  }
}

/** One side refused the other, which both know now. */
export class HelloRefused extends UnderstudyError {
  /** What did not fit: a field of the hello, or another word of `hints`. */
  readonly refused: string;

  constructor(
    message: string,
    { refused, hint, cause }: { refused: string; hint: string; cause?: Error },
  ) {
    super('link', message, { hint, ...(cause === undefined ? {} : { cause }) });
    this.refused = refused;
  }
}

/** We refuse the other side; it is told `code` and the message. */
class Refusal extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

interface Received<Type extends LinkControl['type']> {
  readonly control: Extract<LinkControl, { type: Type }>;
  /** As it came, and not the pipe's memory. */
  readonly packed: Buffer;
}

/** The message, which must be of the expected type. The size is checked before all else. */
function readMessage<Type extends 'hello' | 'proof'>(
  bytes: Buffer,
  type: Type,
  mine: Identity,
): Received<Type> {
  if (bytes.length > wireLimits.helloPayloadBytes) {
    const limit = `at most ${wireLimits.helloPayloadBytes} may be`;
    throw new UnderstudyError('link', `Cannot read a ${type} of ${bytes.length} bytes: ${limit}`);
  }
  const expected = type === 'hello' ? 'a hello first' : 'a proof of the shared secret';
  const frame = decodeFrame(bytes);
  if (frame.kind !== 'control') {
    throw new UnderstudyError('link', `Expected ${expected}, got a frame of type '${frame.kind}'`);
  }
  const speaker = speakerOf(frame.payload);
  if (speaker !== undefined && speaker.protocol !== protocolVersion) {
    throw new Refusal('protocol', otherVersion(speaker, mine), hints.protocol ?? '');
  }
  const control = unpackControl(frame.payload);
  if (control.type === 'helloRefused') {
    throw new HelloRefused(`The other node refused the link: ${control.message}`, {
      refused: control.code,
      hint: hints[control.code] ?? 'See the log of the other node.',
    });
  }
  if (control.type !== type) {
    throw new UnderstudyError('link', `Expected ${expected}, got '${control.type}'`);
  }
  return {
    control: control as Received<Type>['control'],
    packed: Buffer.from(frame.payload),
  };
}

const hints: Readonly<Record<string, string>> = {
  protocol: 'Run the same version of understudy on both nodes.',
  pair: 'Give both nodes the same pair name, or check the address that is dialled.',
  secret: 'Give both nodes the same secret file.',
  self: 'Give each node of a pair a name of its own.',
  qemu:
    'Install the same version of QEMU on both hosts. To go on with a newer one, the backup names ' +
    'the older one as `upgradeFrom` in its VM file.',
  logLayout: 'Install the same version of QEMU on both hosts.',
  vmFingerprint: 'Give both nodes the same VM file, kernel and initial RAM disk.',
  arbiter: 'Name the same arbiter in the pair file of both nodes.',
};

function otherVersion({ node, program, protocol }: Speaker, mine: Identity): string {
  const nameOf = (named: string | undefined): string =>
    `Understudy ${named ?? 'of another version'}`;
  return (
    `node '${node ?? 'unknown'}' runs ${nameOf(program)}, node '${mine.node}' ` +
    `${nameOf(mine.program)}: protocol ${protocol} and protocol ${protocolVersion} do not ` +
    'understand each other'
  );
}

function refuseMismatch(mine: Identity, theirs: Hello): void {
  const difference = differenceOf(mine, theirs);
  if (difference === undefined) return;
  throw new Refusal(difference.code, difference.what, hints[difference.code] ?? '');
}

function refusalFrame(refusal: Refusal, identity: Identity): Buffer {
  const { code, message } = refusal;
  const payload = packControl({
    type: 'helloRefused',
    code,
    message: message.slice(0, wireLimits.sentenceChars),
  });
  return encodeFrame({ kind: 'control', term: identity.term, payload });
}

function toError(thrown: unknown): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  if (thrown instanceof Refusal) {
    const { code, hint } = thrown;
    return new HelloRefused(`Refused the link: ${thrown.message}`, { refused: code, hint });
  }
  return new UnderstudyError('link', 'Cannot read a hello', { cause: thrown });
}

const ignoreAll = {
  onFrame: () => undefined,
  onDrain: () => undefined,
  onError: () => undefined,
  onClose: () => undefined,
};
