/** A member's line: what it holds, for how long, and what it says of that. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { type Epoch, icount, logPosition, type Millis, term } from '../../src/base/units.ts';
import type { Answer, LineEnded } from '../../src/core/effects.ts';
import { LinedPrimary } from '../../src/core/line.ts';
import { PrimaryCore } from '../../src/core/primary.ts';
import type { PrimaryEffect, PrimaryEvent } from '../../src/core/primary-events.ts';

const holdMaxMs = 250;

class Rig {
  readonly lined = new LinedPrimary(
    new PrimaryCore({ term: term(3), epochMs: limits.epochMs, onBackupLost: 'runAlone' }),
    {},
  );
  released = 0;
  arrived = 0;
  readonly answers: Answer[] = [];
  readonly ended: LineEnded[] = [];
  readonly unseen: Epoch[] = [];
  /** Of the markers that came back. */
  position = 100;
  now = 1000;
  #asks = 0;

  static protected(): Rig {
    const rig = new Rig();
    rig.step({ type: 'backupJoined', backup: 'b' });
    rig.step({ type: 'backupReady' });
    rig.seeAll();
    rig.ack();
    expect(rig.lined.state.kind).toBe('protected');
    return rig;
  }

  step(event: PrimaryEvent): void {
    if (event.type === 'outputs') this.arrived += event.count;
    this.#take(this.lined.step(event, this.now as Millis));
  }

  line(set = 's1', heldMs = holdMaxMs): void {
    this.#asks += 1;
    const wish = { wish: 'line', set, holdMaxMs: heldMs } as const;
    this.#take(this.lined.asked(this.#asks, wish, this.now as Millis));
  }

  /** Returns the answer. */
  open(set = 's1'): Answer | undefined {
    this.#asks += 1;
    this.#take(this.lined.asked(this.#asks, { wish: 'open', set }, this.now as Millis));
    return this.answers.at(-1);
  }

  output(): void {
    this.step({ type: 'outputs', count: 1 });
  }

  seeAll(): void {
    for (let epoch = this.unseen.shift(); epoch !== undefined; epoch = this.unseen.shift()) {
      this.position += 10;
      const at = { position: logPosition(this.position), icount: icount(this.position) };
      this.step({ type: 'markerSeen', epoch, ...at });
    }
  }

  ack(): void {
    this.step({ type: 'ack', position: logPosition(this.position) });
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= limits.coreTimerMs) {
      this.now += limits.coreTimerMs;
      this.step({ type: 'timer' });
    }
  }

  #take(effects: readonly PrimaryEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'answer') this.answers.push(effect.answer);
      if (effect.type === 'noted') this.ended.push(effect.what);
      if (effect.type === 'sendMarker') this.unseen.push(effect.epoch);
      if (effect.type !== 'release') continue;
      expect(effect.through).toBeGreaterThan(this.released);
      expect(effect.through).toBeLessThanOrEqual(this.arrived);
      this.released = effect.through;
    }
  }
}

describe('a line', () => {
  it('lets leave what its marker covers, and holds the rest until it is opened', () => {
    const rig = Rig.protected();
    rig.output();
    rig.line();
    rig.output();
    rig.seeAll();
    rig.ack();
    expect(rig.answers).toMatchObject([{ type: 'passed', term: 3, epoch: expect.any(Number) }]);
    expect(rig.released).toBe(1);
    expect(rig.open()).toEqual({ type: 'opened', term: 3, isHeld: true, heldMs: 0 });
    // By a word of the backup that is newer than the line.
    expect(rig.released).toBe(1);
    rig.seeAll();
    rig.ack();
    expect(rig.released).toBe(2);
  });

  it('holds from the moment when its marker is sent, not when it is seen', () => {
    const rig = Rig.protected();
    rig.line();
    rig.output();
    rig.seeAll();
    rig.output();
    rig.seeAll();
    rig.ack();
    expect(rig.released).toBe(0);
  });

  it('gets a marker at once, also when two are on their way', () => {
    const rig = Rig.protected();
    for (let count = 0; count < 3; count += 1) rig.output();
    const before = rig.unseen.length;
    rig.line();
    expect(rig.unseen.length).toBe(before + 1);
  });

  it('holds for its limit at most, and says so when it is opened late', () => {
    const rig = Rig.protected();
    rig.line();
    rig.output();
    rig.seeAll();
    rig.ack();
    rig.pass(holdMaxMs - limits.coreTimerMs);
    expect(rig.released).toBe(0);
    rig.pass(limits.coreTimerMs);
    rig.seeAll();
    rig.ack();
    expect(rig.released).toBe(1);
    expect(rig.open()).toMatchObject({ type: 'opened', isHeld: false });
  });

  it('tells for how long it held, and why when nobody opened it', () => {
    const rig = Rig.protected();
    rig.line('s1');
    rig.pass(2 * limits.coreTimerMs);
    rig.open('s1');
    const heldMs = 2 * limits.coreTimerMs;
    expect(rig.ended).toEqual([{ type: 'lineEnded', set: 's1', heldMs, why: undefined }]);
    rig.line('s2');
    rig.pass(holdMaxMs);
    rig.open('s2');
    expect(rig.ended.slice(1)).toEqual([
      { type: 'lineEnded', set: 's2', heldMs: holdMaxMs, why: expect.stringContaining('250 ms') },
    ]);
  });

  it('who stood still meanwhile holds nothing longer', () => {
    const rig = Rig.protected();
    rig.line();
    rig.now += 2 * holdMaxMs;
    expect(rig.open()).toMatchObject({ type: 'opened', isHeld: false });
    expect(rig.answers[0]).toMatchObject({ type: 'refused' });
  });

  it('ends with the protection, and what it held waits for the term to speak in', () => {
    const rig = Rig.protected();
    rig.line();
    rig.output();
    rig.seeAll();
    rig.ack();
    rig.step({ type: 'backupLost', reason: 'silence' });
    expect(rig.released).toBe(0);
    expect(rig.open()).toMatchObject({ type: 'opened', isHeld: false });
    rig.step({ type: 'termWon', term: term(4) });
    expect(rig.released).toBe(1);
  });

  it('a backup that is given up, and still acknowledges, lets nothing leave', () => {
    const rig = Rig.protected();
    rig.line();
    rig.output();
    rig.seeAll();
    rig.ack();
    rig.open();
    rig.seeAll();
    rig.step({ type: 'backupTooSlow', reason: 'lag' });
    rig.ack();
    expect(rig.released).toBe(0);
  });

  it('holds no longer than any line may, whatever is asked for', () => {
    const rig = Rig.protected();
    rig.line('s1', 1e9);
    rig.output();
    rig.pass(limits.lineHoldMaxMs);
    rig.seeAll();
    rig.ack();
    expect(rig.released).toBe(1);
  });

  it('of a machine that is not protected, or a second one at once, is refused', () => {
    const alone = new Rig();
    alone.line();
    expect(alone.answers).toMatchObject([
      { type: 'refused', problem: expect.stringContaining('no backup') },
    ]);
    const rig = Rig.protected();
    rig.line('s1');
    rig.line('s2');
    expect(rig.answers).toMatchObject([{ type: 'refused', problem: "Set 's1' is being taken" }]);
    rig.seeAll();
    expect(rig.open('s1')).toMatchObject({ type: 'opened', isHeld: true });
  });

  it('opened before it was passed answers both who ask', () => {
    const rig = Rig.protected();
    rig.line();
    rig.open();
    expect(rig.answers.map(({ type }) => type)).toEqual(['refused', 'opened']);
    expect(rig.open('unknown')).toMatchObject({ type: 'opened', isHeld: false, heldMs: 0 });
  });

  it('whatever happens: what leaves rises, and nothing is held for ever', () => {
    const moves = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 120 });
    fc.assert(
      fc.property(moves, (kinds) => {
        const rig = Rig.protected();
        for (const kind of kinds) {
          [
            () => rig.output(),
            () => rig.line(),
            () => rig.open(),
            () => rig.seeAll(),
            () => rig.ack(),
            () => rig.pass(20),
            () => rig.step({ type: 'backupLost', reason: 'any' }),
            () => rig.step({ type: 'termWon', term: term(rig.lined.term + 1) }),
          ][kind]?.();
        }
        rig.pass(holdMaxMs);
        if (rig.lined.state.kind === 'claiming') {
          rig.step({ type: 'termWon', term: term(rig.lined.term + 1) });
        }
        for (let round = 0; round < 3; round += 1) {
          rig.seeAll();
          rig.ack();
        }
        expect(rig.released).toBe(rig.arrived);
      }),
    );
  });
});
