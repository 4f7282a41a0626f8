// Goal: over a machine that loses what is on its way whenever it moves to another node, and goes
// back to earlier states, a command's output arrives whole, each byte once, and its signals, too.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeptStream } from '../../../src/cli/verbs/exec/kept-stream.ts';
import { execLimits } from '../../../src/cli/verbs/exec/limits.ts';
import { Session } from '../../../src/cli/verbs/exec/session.ts';
import { StandInRelay } from './stand-in-relay.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A sequence that looks like chance, the same for each seed. */
function chance(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Rig {
  readonly printed: [string, string] = ['', ''];
  readonly streams: readonly [KeptStream, KeptStream];
  readonly signals: number[] = [];
  readonly failures: string[] = [];
  ran = 0;
  code: number | undefined;
  relay: StandInRelay;
  session: Session;
  #nonce = 0;

  constructor(isHeld: boolean) {
    const of = (index: 0 | 1): KeptStream =>
      new KeptStream({
        ...{ name: 'standard output', isHeld },
        print: (bytes) => {
          this.printed[index] += bytes.toString('latin1');
        },
      });
    this.streams = [of(0), of(1)];
    this.relay = new StandInRelay();
    this.session = this.#newSession(true);
  }

  #newSession(boots: boolean): Session {
    return new Session({
      ...{ streams: this.streams, signals: this.signals, boots },
      send: (line) => this.relay.hear(line),
      nonce: () => (this.#nonce++).toString(16).padStart(16, '0'),
      onRunning: () => {
        this.ran += 1;
      },
      onEnd: (code) => {
        this.code = code;
      },
      onFailure: (why) => this.failures.push(why),
    });
  }

  /** Some of what is on its way arrives, in pieces. */
  carry(bytes: number): void {
    for (const index of [0, 1] as const) {
      const some = this.relay.onItsWay[index].splice(0, bytes);
      if (some.length > 0) this.session.stream(index, Buffer.from(some));
    }
    const line = this.relay.console.splice(0, bytes).join('');
    if (line !== '') this.session.console(Buffer.from(line));
  }

  carryAll(): void {
    for (let round = 0; round < 4; round += 1) this.carry(1e6);
  }

  /** It goes on as a copy: what was on its way, in both directions, may be lost. */
  takeOver(lost: number): void {
    this.relay.lose(lost);
    this.session.moved();
  }

  restore(state: StandInRelay, said: readonly [number, number]): void {
    this.session.close();
    this.relay = state;
    this.streams[0].goBack(said[0]);
    this.streams[1].goBack(said[1]);
    this.session = this.#newSession(false);
    this.session.moved();
  }
}

function started(isHeld = true): Rig {
  const rig = new Rig(isHeld);
  rig.relay.comeUp();
  rig.carryAll();
  rig.carryAll();
  expect([rig.ran, rig.relay.starts, rig.failures]).toEqual([1, 1, []]);
  return rig;
}

describe('a command', () => {
  it('is started when its machine has come up, and its end is told when all has arrived', () => {
    const rig = started(false);
    rig.relay.say(0, 'out');
    rig.relay.say(1, 'err');
    rig.relay.end(7);
    rig.session.console(Buffer.from(rig.relay.console.splice(0).join('')));
    expect(rig.code).toBeUndefined();
    rig.carryAll();
    expect([rig.code, ...rig.printed]).toEqual([7, 'out', 'err']);
  });

  it('gets each signal once, also when the line that carried it was lost', () => {
    const rig = started();
    for (const number of [10, 15]) {
      rig.signals.push(number);
      if (number === 15) rig.relay.isDeaf = true;
      rig.session.signalled();
    }
    expect(rig.relay.got).toEqual([10]);
    rig.relay.isDeaf = false;
    rig.takeOver(0);
    rig.carryAll();
    expect(rig.relay.got).toEqual([10, 15]);
    rig.takeOver(0);
    rig.carryAll();
    expect(rig.relay.got).toEqual([10, 15]);
  });

  it('whose machine comes up again has failed', () => {
    const rig = started();
    rig.relay = new StandInRelay();
    rig.relay.comeUp();
    rig.carryAll();
    expect(rig.failures).toEqual(['it has booted anew']);
    expect(rig.relay.starts).toBe(0);
  });

  it('that says less than before its machine went back has failed', () => {
    const rig = started();
    const before = rig.relay.copy();
    rig.relay.say(0, 'done');
    rig.carryAll();
    rig.streams[0].printTo(4);
    rig.restore(before, [0, 0]);
    rig.carryAll();
    rig.relay.end(0);
    rig.carryAll();
    expect([rig.code, rig.failures.length]).toEqual([undefined, 1]);
    expect(rig.failures[0]).toContain('says something else on its standard output');
  });

  it('whose machine does not answer is asked again, and has failed in the end', () => {
    const rig = started();
    rig.relay.isDeaf = true;
    rig.takeOver(0);
    vi.advanceTimersByTime(execLimits.helloMs * 2);
    expect(rig.failures).toEqual([]);
    vi.advanceTimersByTime(execLimits.helloMsMax * execLimits.helloTries);
    expect(rig.failures).toEqual(['it does not answer']);
  });

  it('whose machine has not got any more what is asked for has failed', () => {
    const rig = started();
    rig.relay.say(0, 'gone');
    rig.relay.hear('kept 4 0');
    rig.takeOver(100);
    rig.carryAll();
    expect(rig.failures[0]).toContain('it has what it said from 4 and 0, not 0 and 0');
  });

  it('is known to be kept when its machine answers, and not when that has come up again', async () => {
    const rig = started();
    rig.relay.say(0, 'some');
    rig.carryAll();
    const kept = rig.session.kept([4, 0]);
    rig.carryAll();
    expect(await kept).toBe(true);
    const notKept = rig.session.kept([4, 0]);
    rig.relay = new StandInRelay();
    rig.relay.comeUp();
    rig.carryAll();
    expect(await notKept).toBe(false);
    expect(await rig.session.kept([4, 0])).toBe(false);
  });

  it('that does not answer in time is not kept', async () => {
    const rig = started();
    rig.relay.isDeaf = true;
    const kept = rig.session.kept([0, 0]);
    vi.advanceTimersByTime(execLimits.keptMs);
    expect(await kept).toBe(false);
    expect(rig.failures).toEqual([]);
  });

  it('whose machine cannot be brought up says why', () => {
    const rig = new Rig(true);
    rig.session.console(Buffer.from('understudy-run: the root disk cannot be mounted\r\n'));
    expect(rig.failures).toEqual(['it cannot be brought up: the root disk cannot be mounted']);
  });
});

/** Counts, moves, is kept, goes back, as chance has it; returns what it said and was shown. */
function lived(seed: number): { readonly said: readonly string[]; readonly rig: Rig } {
  const pick = chance(seed);
  const rig = started();
  let kept: { state: StandInRelay; said: [number, number] }[] = [];
  let most = 0;
  for (let step = 0; step < 400; step += 1) {
    const what = pick(20);
    if (what < 8) rig.relay.count();
    else if (what < 15) rig.carry(1 + pick(12));
    else if (what === 15) rig.takeOver(pick(40));
    else if (what === 16 || what === 17) {
      // Asked for now; the cut comes a little later.
      const said: [number, number] = [rig.streams[0].position, rig.streams[1].position];
      if (pick(2) === 0) rig.relay.count();
      kept.push({ state: rig.relay.copy(), said });
      kept = kept.slice(-3);
      for (const index of [0, 1] as const) {
        rig.streams[index].printTo(said[index]);
        rig.streams[index].forget(kept[0]?.said[index] ?? 0);
      }
      void rig.session.kept(said);
    } else if (what === 18 && kept.length > 0 && pick(2) === 0) {
      const newest = kept.at(-1 - pick(kept.length));
      if (newest !== undefined) {
        kept = kept.slice(0, kept.indexOf(newest) + 1);
        rig.restore(newest.state.copy(), newest.said);
      }
    } else vi.advanceTimersByTime(500);
    most = Math.max(most, rig.relay.counted);
  }
  // As far as any life came, since what it said then may be printed.
  while (rig.relay.counted < most) rig.relay.count();
  rig.relay.end(3);
  for (let round = 0; round < 20; round += 1) {
    rig.carryAll();
    vi.advanceTimersByTime(execLimits.helloMsMax);
  }
  for (const stream of rig.streams) stream.printTo(stream.position);
  return { said: rig.relay.said, rig };
}

describe('over moves, losses and states of before', () => {
  it('all that a command says is printed, each byte once, over 300 lives', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const { said, rig } = lived(seed);
      expect({ seed, failures: rig.failures }).toEqual({ seed, failures: [] });
      expect({ seed, code: rig.code, printed: rig.printed }).toEqual({
        seed,
        code: 3,
        printed: said,
      });
    }
  });
});
