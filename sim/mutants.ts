/**
 * Mutants: the system with one rule broken. Each must be caught by the checkers, or the checkers are
 * of no use. They live here and only here; the code that runs in earnest has no switch for them.
 */
import { limits } from '../src/base/limits.ts';
import { type Millis, term as toTerm } from '../src/base/units.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../src/core/backup.ts';
import { PrimaryCore, type PrimaryEffect, type PrimaryEvent } from '../src/core/primary.ts';
import { type Seams, soundSeams } from './seams.ts';

export interface Mutant {
  readonly rule: string;
  /** What it does instead. */
  readonly what: string;
  readonly seams: Partial<Seams>;
}

/** Lets outputs go as soon as they come. */
class ReleasingPrimary extends PrimaryCore {
  #through = 0;

  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    const effects = super.step(event, now);
    if (this.state.kind === 'ended') return effects;
    if (event.type === 'outputs') this.#through += event.count;
    const kept = effects.filter(({ type }) => type !== 'release');
    return event.type === 'outputs' ? [...kept, { type: 'release', through: this.#through }] : kept;
  }
}

/** Takes a lost claim for a won one. */
class DeafPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    if (event.type !== 'termLost') return super.step(event, now);
    return super.step({ type: 'termWon', term: this.term }, now);
  }
}

/** Speaks alone as soon as its backup is gone. */
class HastyPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    const effects = super.step(event, now);
    const claim = effects.some(({ type }) => type === 'claimTerm');
    if (event.type !== 'backupLost' || !claim) return effects;
    return [
      ...effects.filter(({ type }) => type !== 'claimTerm'),
      ...super.step({ type: 'termWon', term: this.term }, now),
    ];
  }
}

/** Grants at once when a backup says that it is ready, with a gate that is still open. */
class GenerousPrimary extends PrimaryCore {
  #waiting: PrimaryEvent | undefined;
  #since: Millis | undefined;

  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    if (event.type === 'backupReady' && this.state.kind === 'seeding') {
      this.#waiting = event;
      this.#since = now;
      return [{ type: 'grant' }];
    }
    const effects = super.step(event, now);
    if (this.#waiting === undefined || now - (this.#since ?? now) < 50) return effects;
    const ready = this.#waiting;
    this.#waiting = undefined;
    const later = super.step(ready, now);
    return [...effects, ...later].filter(({ type }) => type !== 'grant');
  }
}

/** Does not notice that its process was away. */
class TrustingPrimary extends PrimaryCore {
  #now = 0;
  #real: number | undefined;

  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    this.#now += Math.min(now - (this.#real ?? now), limits.coreTimerMs);
    this.#real = now;
    return super.step(event, this.#now as Millis);
  }
}

/** Hands over before everything is acknowledged. */
class ImpatientPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    const wasProtected = this.state.kind === 'protected';
    const effects = super.step(event, now).filter(({ type }) => type !== 'handOver');
    const isOver: PrimaryEffect[] = [{ type: 'handOver' }];
    return event.type === 'drill' && wasProtected
      ? [...isOver, ...effects.filter(({ type }) => type !== 'stopGuest')]
      : effects;
  }
}

/** Takes over without asking the arbiter. */
class UsurpingBackup extends BackupCore {
  override step(event: BackupEvent, now: Millis): BackupEffect[] {
    const effects = super.step(event, now);
    const claim = effects.find((effect) => effect.type === 'claimTerm');
    if (claim?.type !== 'claimTerm') return effects;
    return [
      ...effects,
      ...super.step({ type: 'termWon', term: toTerm(claim.expected + 1) }, now),
    ].filter(({ type }) => type !== 'claimTerm');
  }
}

/** Takes over although it was never granted. */
class UngrantedBackup extends BackupCore {
  override step(event: BackupEvent, now: Millis): BackupEffect[] {
    const effects = super.step(event, now);
    if (event.type !== 'replicaReady' || this.state.kind !== 'ready') return effects;
    return [...effects, ...super.step({ type: 'granted' }, now)];
  }
}

/** Acknowledges what is only in memory although it promised the disk. */
class ForgetfulBackup extends BackupCore {
  constructor() {
    super({ ack: 'received' });
  }
}

/** Takes a guest's own shutdown for nothing special. */
class RevivingBackup extends BackupCore {
  override step(event: BackupEvent, now: Millis): BackupEffect[] {
    return event.type === 'guestShutdownLogged' ? [] : super.step(event, now);
  }
}

export const mutants: readonly Mutant[] = [
  {
    rule: 'release-before-ack',
    what: 'outputs leave as soon as they reach the gate',
    seams: { primaryCore: (options) => new ReleasingPrimary(options) },
  },
  {
    rule: 'ack-before-receipt',
    what: 'a backup acknowledges log that it does not have yet',
    seams: { ackPosition: (position) => position + 9 },
  },
  {
    rule: 'ack-before-durable',
    what: 'with `ack: durable`, log in memory is acknowledged',
    seams: { backupCore: () => new ForgetfulBackup() },
  },
  {
    rule: 'takeover-without-term',
    what: 'a backup takes over without asking the arbiter',
    seams: { backupCore: (options) => new UsurpingBackup(options) },
  },
  {
    rule: 'takeover-without-grant',
    what: 'a backup takes over although it was never granted',
    seams: { backupCore: (options) => new UngrantedBackup(options) },
  },
  {
    rule: 'run-alone-without-term',
    what: 'a primary that lost its backup speaks without a term',
    seams: { primaryCore: (options) => new HastyPrimary(options) },
  },
  {
    rule: 'keep-speaking-after-losing-term',
    what: 'a primary takes a lost claim for a won one',
    seams: { primaryCore: (options) => new DeafPrimary(options) },
  },
  {
    rule: 'skip-last-event',
    what: 'a takeover leaves the last event out',
    seams: { skippedAtTakeover: 1 },
  },
  {
    rule: 'wrong-in-flight-completion',
    what: 'a takeover completes disk requests without performing them',
    seams: { completeInFlight: () => undefined },
  },
  {
    rule: 'grant-before-marker',
    what: 'a grant is sent while the gate is still open',
    seams: { primaryCore: (options) => new GenerousPrimary(options) },
  },
  {
    rule: 'discard-nothing-on-divergence',
    what: 'a copy that differs is kept',
    seams: { noticesDivergence: false },
  },
  {
    rule: 'accept-stale-term',
    what: 'messages of older terms are obeyed',
    seams: { judgeTerm: () => ({ type: 'accept' }) },
  },
  {
    rule: 'boot-stale-disk',
    what: 'a node boots when its peer does not answer, whoever spoke last',
    seams: {
      choose: (facts) =>
        facts.peer === undefined
          ? { type: 'claim', expected: facts.term }
          : soundSeams.choose(facts),
    },
  },
  {
    rule: 'boot-whoever-spoke-last',
    what: 'when both nodes are without a machine, either boots',
    seams: {
      choose: (facts) =>
        facts.peer?.role === 'none'
          ? { type: 'claim', expected: facts.term }
          : soundSeams.choose(facts),
    },
  },
  {
    rule: 'forget-having-spoken',
    what: 'a node does not remember that its machine spoke',
    seams: { remembersSpoken: false },
  },
  {
    rule: 'silent-about-a-won-term',
    what: 'a node that has won a term looks like one without a machine until it speaks',
    seams: { tellsWonTerm: false },
  },
  {
    rule: 'trust-acks-of-before-a-pause',
    what: 'a primary that stood still obeys what waited in its socket',
    seams: { primaryCore: (options) => new TrustingPrimary(options) },
  },
  {
    rule: 'drill-before-all-is-acknowledged',
    what: 'a drill hands over while the guest runs on',
    seams: { primaryCore: (options) => new ImpatientPrimary(options) },
  },
  {
    rule: 'hold-means-nothing',
    what: 'a primary speaks alone although its policy is to hold',
    seams: {
      primaryCore: (options) => new PrimaryCore({ ...options, onBackupLost: 'runAlone' }),
    },
  },
  {
    rule: 'revive-a-guest-that-is-off',
    what: 'a guest that switched itself off is taken over',
    seams: { backupCore: (options) => new RevivingBackup(options) },
  },
  {
    rule: 'accept-torn-log',
    what: 'a torn event at the end of the log is taken for a whole one',
    seams: { refusesTornLog: false },
  },
];

export function mutantNamed(rule: string): Mutant {
  const found = mutants.find((mutant) => mutant.rule === rule);
  if (found !== undefined) return found;
  const names = mutants.map((mutant) => mutant.rule).join(', ');
  throw new Error(`there is no rule '${rule}' to break; there are: ${names}`);
}
