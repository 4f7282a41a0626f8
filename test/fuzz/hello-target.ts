/**
 * The hello exchange against a peer that says anything in any order: its own words, ours, those of
 * an earlier exchange, damaged ones. Without the secret it must never get a link; with the secret
 * and in order it always must.
 */
import { UnderstudyError } from '../../src/base/errors.ts';
import type { Millis } from '../../src/base/units.ts';
import type { Link } from '../../src/ports/link.ts';
import { unpackControl } from '../../src/wire/control.ts';
import { decodeFrame } from '../../src/wire/frames.ts';
import { greet } from '../../src/wire/hello.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { type HelloAuth, type HelloRole, proofOf } from '../../src/wire/proof.ts';
import { LinkSecret } from '../../src/wire/secret.ts';
import {
  anyControlFrame,
  bomb,
  controlFrameOf,
  frameOf,
  helloMessage,
  identity,
  reseal,
  someMessage,
  someWireControl,
} from './examples.ts';
import { mutate, type Random } from './random.ts';
import { ScriptPipe } from './script-pipe.ts';
import { type FuzzTarget, must } from './target.ts';

const auth: HelloAuth = {
  secret: new LinkSecret(Buffer.from('the secret of the fuzzed node, which the peer may not know')),
  channel: Buffer.alloc(0),
};
const wrong: HelloAuth = { ...auth, secret: new LinkSecret(Buffer.from('a guess at the secret')) };

/** Frames of earlier cases, to be played again; and all that an honest peer said to each role. */
const overheard: Buffer[] = [];
const honestWords = new Map<HelloRole, readonly Buffer[]>();
const overheardMax = 64;

export const helloTarget: FuzzTarget = {
  name: 'hello',
  batch: 100,
  play(random, trace) {
    const role: HelloRole = random.chance(0.5) ? 'dialer' : 'listener';
    const asksForProof = random.chance(0.8);
    const honest = random.chance(0.2);
    const pipe = new ScriptPipe();
    let outcome: Link | Error | undefined;
    const settled = greet(pipe, {
      role,
      identity: identity('victim'),
      now: () => 0 as Millis,
      ...(asksForProof ? { auth } : {}),
    }).then(
      (link) => {
        outcome = link;
      },
      (error: Error) => {
        outcome = error;
      },
    );
    const say = (frame: Buffer): void => {
      trace(frame);
      pipe.deliver(frame);
    };
    if (honest) speakAsNode(pipe, role, random, { say, asksForProof });
    else {
      for (let steps = 1 + random.upTo(5); steps > 0; steps -= 1) act(pipe, role, random, say);
    }
    remember(random, pipe.sent);
    const said = pipe.sent.length;
    return Promise.resolve().then(async () => {
      await Promise.resolve();
      const isLink = outcome !== undefined && !(outcome instanceof Error);
      must(!isLink || honest || !asksForProof, 'a link without the secret');
      must(isLink || !honest, `no link for an honest peer: ${String(outcome)}`);
      must(said <= 4, `it said ${said} things before there was a link`);
      pipe.end(1006, '');
      await settled;
      must(!(outcome instanceof Error) || outcome instanceof UnderstudyError, String(outcome));
    });
  },
};

function remember(random: Random, frames: readonly Buffer[]): void {
  for (const frame of frames) {
    if (overheard.length < overheardMax) overheard.push(frame);
    else overheard[random.upTo(overheardMax - 1)] = frame;
  }
}

interface Speech {
  readonly say: (frame: Buffer) => void;
  readonly asksForProof: boolean;
}

/** The other role, as it should be played. */
function speakAsNode(pipe: ScriptPipe, victim: HelloRole, random: Random, speech: Speech): void {
  const { say, asksForProof } = speech;
  const hello = controlFrameOf(helloMessage(random, asksForProof));
  say(hello);
  if (!asksForProof) return;
  const proof = proofFor(pipe, victim, auth, hello);
  if (proof === undefined) return;
  say(proof);
  honestWords.set(victim, [hello, proof]);
}

/** What a peer with this secret answers, once the victim has said hello. */
function proofFor(
  pipe: ScriptPipe,
  victim: HelloRole,
  key: HelloAuth,
  hello: Buffer,
): Buffer | undefined {
  const theirs = pipe.sent.find((frame) => typeOf(frame) === 'hello');
  if (theirs === undefined) return undefined;
  const [mine, other] = [hello.subarray(16), theirs.subarray(16)];
  const transcript =
    victim === 'dialer' ? { dialer: other, listener: mine } : { dialer: mine, listener: other };
  const role = victim === 'dialer' ? 'listener' : 'dialer';
  return controlFrameOf({ type: 'proof', mac: proofOf(role, key, transcript) });
}

function typeOf(frame: Buffer): string | undefined {
  const decoded = decodeFrame(frame);
  return decoded.kind === 'control' ? unpackControl(decoded.payload).type : undefined;
}

function act(
  pipe: ScriptPipe,
  victim: HelloRole,
  random: Random,
  say: (frame: Buffer) => void,
): void {
  const hello = controlFrameOf(helloMessage(random, random.chance(0.9)));
  const last = pipe.sent.at(-1);
  switch (random.upTo(12)) {
    case 0:
    case 1:
      say(hello);
      break;
    case 2:
      say(reseal(mutate(random, hello)));
      break;
    case 3:
      say(mutate(random, hello));
      break;
    case 4: // our own words
      if (last !== undefined) say(last);
      break;
    case 5: // somebody's words, of another time
      if (overheard.length > 0) say(random.pick(overheard as [Buffer]));
      break;
    case 6: {
      say(hello);
      const guess = proofFor(pipe, victim, wrong, hello);
      if (guess !== undefined) say(guess);
      break;
    }
    case 7:
      say(controlFrameOf(someWireControl(random)));
      break;
    case 8:
      say(frameOf(someMessage(random)));
      break;
    case 9:
      say(random.bytes(random.upTo(2 * wireLimits.helloPayloadBytes)));
      break;
    case 10:
      for (const frame of honestWords.get(victim) ?? []) say(frame);
      break;
    case 11:
      if (random.chance(0.5)) pipe.fail(new Error('a breach of the transport'));
      else pipe.end(random.pick([1000, 1006, 4000, 9]), random.text(30));
      break;
    default: {
      const payload = bomb(random, 8000);
      say(reseal(Buffer.concat([anyControlFrame('').subarray(0, 16), payload])));
    }
  }
}
