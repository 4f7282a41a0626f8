// The other end of a link is alive and of our term, or that is told, once; nothing else is obeyed.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { icount, logPosition, type Millis, term } from '../../src/base/units.ts';
import type { NodeEffect } from '../../src/core/effects.ts';
import { Peer } from '../../src/core/peer.ts';
import { judgeTerm } from '../../src/core/terms.ts';
import type { Control, LinkMessage } from '../../src/ports/link.ts';

const detector = { silenceMs: 300, heartbeatMs: 100 };

class PeerRig {
  readonly effects: NodeEffect[] = [];
  readonly suspected: string[] = [];
  readonly heard: number[] = [];
  term = term(4);
  now = 1000;
  readonly peer = new Peer(
    {
      ...{ link: 7, detector, judgeTerm, term: () => this.term },
      onSuspect: (reason) => this.suspected.push(reason),
      onTermHeard: (of) => this.heard.push(of),
      emit: (effect) => this.effects.push(effect),
    },
    1000 as Millis,
  );

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= limits.coreTimerMs) {
      this.now += limits.coreTimerMs;
      this.peer.timer(this.now as Millis);
    }
  }

  /** Whether the message is handed on. */
  admit(message: LinkMessage): boolean {
    return this.peer.admit(message, this.now as Millis);
  }

  control(control: Control, of = 4): boolean {
    return this.admit({ kind: 'control', term: term(of), control });
  }

  get sent(): Control[] {
    return this.effects.flatMap((effect) =>
      effect.type === 'send' && effect.message.kind === 'control' ? [effect.message.control] : [],
    );
  }
}

const ack = (of: number): LinkMessage => ({
  ...{ kind: 'ack', term: term(of), received: logPosition(1), appliedIcount: icount(1) },
});

describe('the other end of a link', () => {
  it('says something in our term: it is handed on (1)', () => {
    const rig = new PeerRig();
    expect([rig.admit(ack(4)), rig.control({ type: 'drill' })]).toEqual([true, true]);
    expect([rig.effects, rig.heard]).toEqual([[], []]);
  });

  it('speaks in a term that is over: refused, and told the present one (1)', () => {
    const rig = new PeerRig();
    expect([rig.admit(ack(3)), rig.control({ type: 'grant' }, 2)]).toEqual([false, false]);
    expect(rig.sent).toEqual([
      { type: 'staleTerm', refused: 3, current: 4 },
      { type: 'staleTerm', refused: 2, current: 4 },
    ]);
    expect(rig.effects).toMatchObject([{ link: 7, message: { term: 4 } }, { link: 7 }]);
    expect(rig.heard).toEqual([]);
  });

  it('speaks in a newer term, or says that there is one: told, and not obeyed (1, 2)', () => {
    const rig = new PeerRig();
    expect(rig.admit(ack(6))).toBe(false);
    const stale = { type: 'staleTerm', refused: term(4), current: term(9) } as const;
    expect(rig.control(stale)).toBe(false);
    expect([rig.heard, rig.effects]).toEqual([[6, 9], []]);
  });

  it('our term rises while the link lives: the new one counts (1)', () => {
    const rig = new PeerRig();
    rig.term = term(5);
    expect([rig.admit(ack(4)), rig.admit(ack(5))]).toEqual([false, true]);
  });

  it('heartbeats: answered by ours with an echo, handed to nobody, and the way is measured (2)', () => {
    const rig = new PeerRig();
    rig.pass(10);
    expect(rig.sent).toEqual([{ type: 'heartbeat', sentAtMs: 1010 }]);
    const theirs = {
      type: 'heartbeat',
      sentAtMs: 55,
      echo: { sentAtMs: 1010, heldMs: 3 },
    } as const;
    rig.now = 1015;
    expect(rig.peer.roundTripMs).toBeUndefined();
    expect(rig.control(theirs)).toBe(false);
    expect(rig.peer.roundTripMs).toBe(2);
    rig.pass(100);
    expect(rig.sent.at(-1)).toMatchObject({ type: 'heartbeat', echo: { sentAtMs: 55 } });
  });

  it('is silent: told once, with how long (3)', () => {
    const rig = new PeerRig();
    rig.peer.seeded(rig.now as Millis);
    rig.pass(290);
    expect(rig.suspected).toEqual([]);
    rig.pass(10);
    expect(rig.suspected).toEqual(['nothing was heard for 300 ms']);
    rig.pass(10_000);
    expect(rig.suspected).toHaveLength(1);
  });

  it('is silent while it is seeded: that may take longer (3)', () => {
    const rig = new PeerRig();
    rig.pass(300 * limits.seedPatience - 10);
    expect(rig.suspected).toEqual([]);
    rig.pass(10);
    expect(rig.suspected).toHaveLength(1);
  });

  it('whatever arrives is life, also what is refused (1)', () => {
    const rig = new PeerRig();
    rig.peer.seeded(rig.now as Millis);
    for (let round = 0; round < 5; round += 1) {
      rig.pass(290);
      rig.admit(ack(round % 2 === 0 ? 3 : 4));
    }
    expect(rig.suspected).toEqual([]);
  });

  it('this process was away: people are told, and nobody is suspected for that', () => {
    const rig = new PeerRig();
    rig.peer.seeded(rig.now as Millis);
    rig.now += 5000;
    rig.peer.timer(rig.now as Millis);
    expect(rig.effects).toContainEqual({ type: 'noted', what: { type: 'wasAway', ms: 5000 } });
    expect(rig.suspected).toEqual([]);
  });
});
