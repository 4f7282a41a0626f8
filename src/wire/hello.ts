/**
 * The hello exchange: before anything else, each side says who it is and what it runs.
 *
 * Order: the dialer speaks first, the listener answers with its own hello. Either side refuses
 * what does not fit with a `helloRefused` message and close code 4000, so both know the reason. The
 * whole exchange has one deadline.
 *
 * Lockstep needs the same QEMU, log layout and machine on both sides: a difference there would show
 * much later, as a divergence, and cost far more to find.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Millis } from '../base/units.ts';
import type { Hello } from '../ports/link.ts';
import { fitCloseReason, numberOfCloseCode } from './close-codes.ts';
import {
  type HelloMessage,
  helloOf,
  packControl,
  protocolOf,
  protocolVersion,
  unpackControl,
} from './control.ts';
import { FramedLink } from './framed-link.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { wireLimits } from './limits.ts';
import type { FramePipe } from './pipe.ts';

/** What a node says of itself; the link adds the protocol version. */
export type Identity = Omit<Hello, 'protocol'>;

export interface GreetOptions {
  readonly role: 'dialer' | 'listener';
  readonly identity: Identity;
  readonly now: () => Millis;
  /** @default wireLimits.helloMs */
  readonly deadlineMs?: number;
}

/**
 * Exchanges hellos over a fresh pipe. Resolves with the link, or closes the pipe and rejects with
 * `UnderstudyError` ('link') that says who refused what.
 */
export function greet(pipe: FramePipe, options: GreetOptions): Promise<FramedLink> {
  const { role, identity, now, deadlineMs = wireLimits.helloMs } = options;
  const { term } = identity;
  const sayHello = (): void => {
    const hello: HelloMessage = { type: 'hello', protocol: protocolVersion, ...identity };
    pipe.send(encodeFrame({ kind: 'control', term, payload: packControl(hello) }));
  };
  return new Promise<FramedLink>((resolve, reject) => {
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
          const peer = readHello(bytes, identity);
          clearTimeout(deadline);
          // In this very call, so that frames right behind the hello find the link.
          const link = new FramedLink({ pipe, peer, term, now });
          if (role === 'listener') sayHello();
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
    if (role === 'dialer') sayHello();
  });
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

function readHello(bytes: Buffer, mine: Identity): Hello {
  if (bytes.length > wireLimits.helloPayloadBytes) {
    const limit = `at most ${wireLimits.helloPayloadBytes} may be`;
    throw new UnderstudyError('link', `Cannot read a hello of ${bytes.length} bytes: ${limit}`);
  }
  const frame = decodeFrame(bytes);
  if (frame.kind !== 'control') {
    throw new UnderstudyError(
      'link',
      `Expected a hello first, got a frame of type '${frame.kind}'`,
    );
  }
  const protocol = protocolOf(frame.payload);
  if (protocol !== undefined && protocol !== protocolVersion) {
    throw new Refusal(
      'protocol',
      `protocol ${protocol} and protocol ${protocolVersion} do not understand each other`,
      'Run the same version of understudy on both nodes.',
    );
  }
  const control = unpackControl(frame.payload);
  if (control.type === 'helloRefused') {
    throw new UnderstudyError('link', `The other node refused the link: ${control.message}`, {
      hint: hints[control.code] ?? 'See the log of the other node.',
    });
  }
  if (control.type !== 'hello') {
    throw new UnderstudyError('link', `Expected a hello first, got '${control.type}'`);
  }
  const theirs = helloOf(control);
  refuseMismatch(mine, theirs);
  return theirs;
}

const hints: Readonly<Record<string, string>> = {
  protocol: 'Run the same version of understudy on both nodes.',
  pair: 'Give both nodes the same pair name, or check the address that is dialled.',
  self: 'Give each node of a pair a name of its own.',
  qemu: 'Install the same version of QEMU on both hosts.',
  logLayout: 'Install the same version of QEMU on both hosts.',
  vmFingerprint: 'Start both nodes from the same machine description.',
};

const compared = ['pair', 'logLayout', 'qemu', 'vmFingerprint'] as const;

function refuseMismatch(mine: Identity, theirs: Hello): void {
  for (const field of compared) {
    if (mine[field] === theirs[field]) continue;
    throw new Refusal(
      field,
      `node '${theirs.node}' has ${field} '${theirs[field]}', node '${mine.node}' has ` +
        `'${mine[field]}'`,
      hints[field] ?? '',
    );
  }
  if (mine.node === theirs.node) {
    throw new Refusal('self', `both nodes are named '${mine.node}'`, hints.self ?? '');
  }
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
    return new UnderstudyError('link', `Refused the link: ${thrown.message}`, {
      hint: thrown.hint,
    });
  }
  return new UnderstudyError('link', 'Cannot read a hello', { cause: thrown });
}

const ignoreAll = {
  onFrame: () => undefined,
  onDrain: () => undefined,
  onError: () => undefined,
  onClose: () => undefined,
};
