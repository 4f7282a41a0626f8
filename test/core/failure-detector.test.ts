/** Suspicion: neither too late, nor for what this process slept through. */
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import type { Millis } from '../../src/base/units.ts';
import { detectorProblem, FailureDetector } from '../../src/core/failure-detector.ts';

/** A detector with a clock; its timer comes every `coreTimerMs`, as a node's does. */
class Rig {
  readonly detector: FailureDetector;
  now = 1000;

  constructor(silenceMs = 300) {
    this.detector = new FailureDetector({ silenceMs }, this.at);
  }

  get at(): Millis {
    return this.now as Millis;
  }

  /** Passes time; `life`: something arrives in each step. Returns the types of all effects. */
  pass(ms: number, life = false): string[] {
    const types: string[] = [];
    for (let left = ms; left > 0; left -= limits.coreTimerMs) {
      this.now += limits.coreTimerMs;
      if (life) this.detector.step({ type: 'received' }, this.at);
      types.push(...this.tick());
    }
    return types;
  }

  tick(): string[] {
    return this.detector.step({ type: 'timer' }, this.at).map(({ type }) => type);
  }

  /** A heartbeat arrives that answers one of ours, sent `roundTripMs` ago. */
  echo(roundTripMs: number) {
    const echo = { sentAtMs: this.now - roundTripMs, heldMs: 0 };
    const heartbeat = { type: 'heartbeat', sentAtMs: 5, echo } as const;
    return this.detector.step({ type: 'heartbeat', heartbeat }, this.at);
  }
}

const count = (types: string[], type: string): number =>
  types.filter((each) => each === type).length;

const { coreTimerMs: tickMs, silenceMs } = limits;

describe('the failure detector', () => {
  it('sends a heartbeat every third of the silence (1)', () => {
    expect(count(new Rig().pass(1000, true), 'sendHeartbeat')).toBe(10);
  });

  it('peer falls silent: suspected once, after the silence and not before (3)', () => {
    const rig = new Rig();
    rig.pass(5000, true);
    // The timer that ran with the last life has counted its own period.
    expect(rig.pass(silenceMs - 2 * tickMs)).not.toContain('suspect');
    expect(rig.pass(tickMs)).toContain('suspect');
    expect(rig.pass(5000)).not.toContain('suspect');
  });

  it('anything received is life (2)', () => {
    expect(new Rig().pass(60_000, true)).not.toContain('suspect');
  });

  it('this process stood still for 5 s: the peer is not to blame (3)', () => {
    // Goal: what the peer said meanwhile is in the socket, and is read behind the first timer.
    const rig = new Rig();
    rig.pass(290);
    rig.now += 5000;
    expect(rig.tick()).toEqual(['sendHeartbeat', 'wasAway']);
    expect(rig.pass(100, true)).not.toContain('suspect');
  });

  it('this process stood still and the peer is gone: suspected by awake time alone (3)', () => {
    const rig = new Rig();
    rig.pass(100);
    rig.now += 5000;
    rig.tick();
    expect(rig.pass(silenceMs - 100 - 2 * tickMs)).not.toContain('suspect');
    expect(rig.pass(2 * tickMs)).toContain('suspect');
  });

  it('a seed is on its way: ten times the patience, and the usual one after it (6)', () => {
    const rig = new Rig();
    rig.detector.step({ type: 'patience', isSeeding: true }, rig.at);
    expect(rig.pass(2900)).not.toContain('suspect');
    rig.detector.step({ type: 'patience', isSeeding: false }, rig.at);
    expect(rig.pass(silenceMs - 2 * tickMs)).not.toContain('suspect');
    expect(rig.pass(2 * tickMs)).toContain('suspect');
  });

  it('the round trip does not allow the silence: it is raised, and said once (4, 5)', () => {
    const rig = new Rig(100);
    const effects = Array.from({ length: limits.roundTripSamples + 3 }, () => rig.echo(80)).flat();
    expect(effects).toHaveLength(1);
    expect(effects[0]).toMatchObject({
      type: 'silenceRaised',
      configuredMs: 100,
      usedMs: Math.ceil(limits.roundTripsMin * 80 + 100 / 3),
      roundTripMs: 80,
    });
    expect(rig.detector.silenceMs).toBe(274);
  });

  it('a round trip that goes up and down is said again when it is longer by a tenth (4)', () => {
    const rig = new Rig(100);
    const trip = (ms: number) =>
      Array.from({ length: limits.roundTripSamples }, () => rig.echo(ms)).flat();
    const usedMs = [80, 85, 80, 86, 100, 20, 105].flatMap(trip).map((effect) => {
      return effect.type === 'silenceRaised' ? effect.usedMs : effect;
    });
    expect(usedMs).toEqual([274, 334]);
    expect(rig.detector.silenceMs).toBe(349);
  });

  it('some round trips were slow because somebody slept: the least one counts (5)', () => {
    const rig = new Rig(100);
    const trips = Array.from({ length: limits.roundTripSamples }, (_, i) => (i === 3 ? 2 : 5000));
    expect(trips.flatMap((ms) => rig.echo(ms))).toEqual([]);
    expect(rig.detector.roundTripMs).toBe(2);
  });

  it('a configuration that cannot work is an error with the reason (4)', () => {
    expect(detectorProblem({})).toBeUndefined();
    expect(detectorProblem({ silenceMs: 300, heartbeatMs: 200 })).toContain(
      'at least 2 heartbeats',
    );
    expect(detectorProblem({ silenceMs: 9 })).toContain('heartbeatMs must be at least');
    expect(detectorProblem({ silenceMs: Number.NaN })).toBeDefined();
    expect(() => new FailureDetector({ silenceMs: 1 }, 0 as Millis)).toThrow(RangeError);
  });
});
