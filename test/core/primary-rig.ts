/**
 * A primary core with a world around it: a log that markers come back in, a clock, and an onlooker
 * that checks the contract after each step, knowing only events and effects.
 */
import { expect } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import {
  type Epoch,
  icount,
  type LogPosition,
  logPosition,
  type Millis,
  type Term,
  term,
} from '../../src/base/units.ts';
import { PrimaryCore } from '../../src/core/primary.ts';
import type { PrimaryEffect, PrimaryEvent, PrimaryOptions } from '../../src/core/primary-events.ts';

interface SentMarker {
  readonly epoch: Epoch;
  /** Outputs that had arrived when it was sent. */
  readonly covers: number;
  /** Counts the changes of backup: a marker of an earlier one covers nothing. */
  readonly session: number;
  /** The first one of its session: a grant waits for it. */
  readonly isGrants: boolean;
  position: number | undefined;
}

/** States in which the arbiter is asked for a term. */
const claiming: readonly string[] = ['proving', 'claiming', 'yielding'];

/** What a claim may follow although no backup was granted. */
const retries: readonly string[] = ['termHeard', 'timer', 'winnerGaveUp', 'goBack'];

/** States from which a machine may go back to its past: nothing leaves then. */
const settled: readonly string[] = ['alone', 'holding', 'seeding', 'granting', 'protected'];

type RigOptions = Pick<PrimaryOptions, 'heldOutputsMax' | 'isProven'>;

export class PrimaryRig {
  readonly core: PrimaryCore;
  /** All releases while the gate was held by a backup. */
  readonly releases: number[] = [];
  readonly #policy: 'runAlone' | 'hold';
  readonly #heldMax: number;
  readonly #sent: SentMarker[] = [];
  #now = 1000;
  #position = 12;
  #acknowledged = 0;
  #arrived = 0;
  #released = 0;
  #session = 0;
  #mode: 'open' | 'holding' = 'open';
  #granted = false;
  /** The term is won, and by policy nothing leaves until the next grant. */
  #silent = false;
  #claimed = false;
  /** It may speak in its term: a takeover has to win one first. */
  #isProven: boolean;
  /** Too many outputs wait, until half of them have left. */
  #isFull = false;
  #logEnd: number | undefined;
  #ended = false;

  constructor(policy: 'runAlone' | 'hold' = 'runAlone', options: RigOptions = {}) {
    this.#policy = policy;
    this.#heldMax = options.heldOutputsMax ?? limits.heldOutputsMax;
    this.#isProven = options.isProven ?? true;
    if (!this.#isProven) this.#mode = 'holding';
    this.core = new PrimaryCore({
      ...options,
      term: term(7),
      epochMs: limits.epochMs,
      onBackupLost: policy,
    });
  }

  /** A primary whose backup 'b' was granted and has acknowledged everything. */
  static protected(policy: 'runAlone' | 'hold' = 'runAlone', options: RigOptions = {}): PrimaryRig {
    const rig = new PrimaryRig(policy, options);
    rig.step({ type: 'backupJoined', backup: 'b' });
    rig.step({ type: 'backupReady' });
    rig.seeAll();
    rig.ackAll();
    expect(rig.core.state).toEqual({ kind: 'protected', backup: 'b' });
    return rig;
  }

  /** Whether the guest executes anything between two markers. */
  works = true;
  #executed = 0;

  get lastMarker(): Epoch {
    return this.#sent.at(-1)?.epoch as Epoch;
  }

  get oldestMarker(): Epoch {
    return this.#unseen[0]?.epoch as Epoch;
  }

  /** The first marker sent since the present backup was ready: what its grant waits for. */
  get grantMarker(): Epoch | undefined {
    return this.#sent.find(({ session }) => session === this.#session)?.epoch;
  }

  get #unseen(): SentMarker[] {
    return this.#sent.filter(({ position }) => position === undefined);
  }

  step(event: PrimaryEvent): PrimaryEffect[] {
    this.#before(event);
    const effects = this.core.step(event, this.#now as Millis);
    if (this.#ended) expect(effects).toEqual([]);
    for (const effect of effects) this.#check(effect, event);
    this.#checkBounds();
    return effects;
  }

  /** Time passes that this process does not see. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** The onlooker learns that the gate is closed without a backup. */
  shut(): void {
    this.#mode = 'holding';
  }

  /** The guest stands, with its log up to here. */
  stopped(logEnd: LogPosition): PrimaryEffect[] {
    this.#logEnd = logEnd;
    return this.step({ type: 'guestStopped', logEnd });
  }

  /** Lets time pass in small steps, as a node's timer does. */
  pass(ms: number): PrimaryEffect[] {
    const effects: PrimaryEffect[] = [];
    for (let left = ms; left > 0; left -= limits.coreTimerMs) {
      this.#now += Math.min(left, limits.coreTimerMs);
      effects.push(...this.step({ type: 'timer' }));
    }
    return effects;
  }

  /** A marker comes back in the log. */
  see(epoch: Epoch): PrimaryEffect[] {
    const marker = this.#sent.find((sent) => sent.epoch === epoch);
    if (marker === undefined || marker.position !== undefined) return [];
    this.#position += 100;
    if (this.works) this.#executed += 1_000_000_000;
    marker.position = this.#position;
    return this.step({
      type: 'markerSeen',
      epoch,
      position: logPosition(this.#position),
      icount: icount(this.#executed),
    });
  }

  seeAll(): PrimaryEffect[] {
    const effects: PrimaryEffect[] = [];
    for (let next = this.#unseen[0]; next !== undefined; next = this.#unseen[0]) {
      effects.push(...this.see(next.epoch));
    }
    return effects;
  }

  ackAll(): PrimaryEffect[] {
    return this.step({ type: 'ack', position: logPosition(this.#position) });
  }

  /** The position that the log ends at when the guest goes off now. */
  logEnd(): LogPosition {
    return logPosition(this.#position + 7);
  }

  /** One move of the world, likely or not; `n` is its size. */
  move(kind: number, n: number): void {
    const position = logPosition(Math.min(this.#position, this.#acknowledged + n * 10));
    const oldest = this.#unseen[0];
    const moves: (() => unknown)[] = [
      () => this.step({ type: 'outputs', count: 1 + (n % 4) }),
      () => oldest !== undefined && this.see(oldest.epoch),
      () => this.step({ type: 'ack', position }),
      () => this.pass(n),
      () => this.step({ type: 'backupJoined', backup: n % 2 === 0 ? 'b' : 'c' }),
      () => this.step({ type: 'backupReady' }),
      () => this.ackAll(),
      () => this.seeAll(),
      () => n < 20 && this.step({ type: 'backupLost', reason: 'any' }),
      () => this.#claimed && this.step({ type: 'termWon', term: (this.core.term + 1) as Term }),
      () => this.step({ type: 'arbiterUnreachable', reason: 'any' }),
      () => n < 3 && this.#claimed && this.step({ type: 'termLost', holder: 'b:1' }),
      () => n < 3 && this.step({ type: 'guestPoweredOff', logEnd: this.logEnd() }),
      () => this.#claimed && this.step({ type: 'termContested', holder: 'b:1' }),
      () => this.step({ type: 'winnerGaveUp' }),
      () => n < 10 && this.step({ type: 'goBack', reason: 'any' }),
    ];
    moves[kind]?.();
  }

  /** What the onlooker knows before the core decides. */
  #before(event: PrimaryEvent): void {
    const { kind } = this.core.state;
    if (event.type === 'outputs') this.#arrived += event.count;
    if (event.type === 'ack') this.#acknowledged = Math.max(this.#acknowledged, event.position);
    if (event.type === 'backupReady' && kind === 'seeding') {
      this.#session += 1;
      this.#acknowledged = 0;
      this.#mode = 'holding';
      this.#granted = false;
    }
    if (event.type === 'termWon' && [...claiming, 'poweringOff'].includes(kind)) {
      this.#isProven = true;
      this.#silent = this.#policy === 'hold' && (kind === 'claiming' || kind === 'yielding');
      this.#mode = this.#silent ? 'holding' : 'open';
      this.#granted = false;
    }
    if (event.type === 'guestPoweredOff') {
      this.#logEnd ??= event.logEnd;
      if (kind === 'holding') this.#mode = 'open';
    }
    if (event.type === 'goBack' && settled.includes(kind)) this.#mode = 'holding';
    const isAnswered = kind !== 'poweringOff' && !this.#silent && this.#isProven;
    if (event.type === 'backupLost' && !this.#granted && isAnswered) this.#mode = 'open';
  }

  #check(effect: PrimaryEffect, event: PrimaryEvent): void {
    expect(this.#ended, `${effect.type} behind the end`).toBe(false);
    switch (effect.type) {
      case 'sendMarker': {
        const { session } = this.#sent.at(-1) ?? { session: 0 };
        expect(effect.epoch).toBe((this.#sent.at(-1)?.epoch ?? 0) + 1);
        this.#sent.push({
          epoch: effect.epoch,
          covers: this.#arrived,
          session: this.#session,
          isGrants: session !== this.#session,
          position: undefined,
        });
        return;
      }
      case 'release':
        expect(this.#isProven, 'it speaks in a term that is not proven').toBe(true);
        expect(effect.through).toBeGreaterThan(this.#released);
        expect(effect.through).toBeLessThanOrEqual(this.#arrived);
        this.#released = effect.through;
        if (this.#mode === 'holding') {
          this.releases.push(effect.through);
          expect(effect.through).toBeLessThanOrEqual(this.#mayLeave());
        }
        return;
      case 'grant': {
        expect(this.#granted).toBe(false);
        const marker = this.#sent.find(({ session }) => session === this.#session);
        expect(marker?.position).toBeDefined();
        this.#granted = true;
        this.#silent = false;
        return;
      }
      case 'claimTerm':
        expect(this.#granted || retries.includes(event.type)).toBe(true);
        expect(effect.expected).toBe(this.core.term);
        this.#claimed = true;
        return;
      case 'seed':
        expect(this.#mode).toBe(this.#silent ? 'holding' : 'open');
        return;
      case 'end':
        this.#ended = true;
        return;
      case 'changed':
        if (claiming.includes(effect.from.kind)) this.#claimed = event.type === 'guestPoweredOff';
        return;
      case 'handOver':
        expect(this.#acknowledged).toBeGreaterThanOrEqual(this.#logEnd ?? Number.NaN);
        expect(this.core.held).toBe(0);
        return;
      case 'answer':
      case 'noted':
      case 'stopGuest':
      case 'continueGuest':
      case 'refuseBackup':
      case 'dropBackup':
      case 'destroyMachine':
        return;
    }
  }

  /** Memory: of markers that QEMU has, whoever they were for, and of outputs that wait. */
  #checkBounds(): void {
    // A grant's own is extra.
    const unseen = this.#unseen.filter(({ isGrants }) => !isGrants).length;
    expect(unseen).toBeLessThanOrEqual(limits.markersInFlightMax);
    const { held, heldShare, state } = this.core;
    if (held > this.#heldMax) this.#isFull = true;
    else if (held <= this.#heldMax / 2) this.#isFull = false;
    if (this.#ended) return;
    if (!this.#isFull) {
      expect(heldShare).toBe(0);
      return;
    }
    // What can release some needs a guest that meets a marker.
    const isStanding = [...claiming, 'holding'].includes(state.kind);
    expect(heldShare).toBe(isStanding ? 1 : limits.throttleShareMax);
  }

  /** The output rule, from memory of everything that happened. */
  #mayLeave(): number {
    if (this.#logEnd !== undefined && this.#acknowledged >= this.#logEnd) return this.#arrived;
    const covered = this.#sent.filter(
      ({ session, position }) =>
        session === this.#session && (position ?? Number.POSITIVE_INFINITY) <= this.#acknowledged,
    );
    return Math.max(0, ...covered.map(({ covers }) => covers));
  }
}
