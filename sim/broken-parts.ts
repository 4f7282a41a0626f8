/**
 * The broken parts that mutants.ts puts in the place of sound ones. Each is the real part with one
 * rule broken, so that everything else of it still works.
 */
import { limits } from '../src/base/limits.ts';
import { type Millis, type Term, term as toTerm } from '../src/base/units.ts';
import { ArbiterWatch } from '../src/core/arbiter-watch.ts';
import { BackupCore, type BackupEffect, type BackupEvent } from '../src/core/backup.ts';
import { type AnsweredCut, Cuts } from '../src/core/cuts.ts';
import type { NodeEffect, NodeEvent } from '../src/core/effects.ts';
import { FlowControl, type FlowEffect } from '../src/core/flow-control.ts';
import { NodeCore, type NodeOptions } from '../src/core/node.ts';
import { PrimaryCore } from '../src/core/primary.ts';
import type { PrimaryEffect, PrimaryEvent } from '../src/core/primary-events.ts';
import type { Kept } from '../src/ports/link.ts';
import type { CutOrder } from '../src/ports/machine.ts';

/** Lets outputs go as soon as they come. */
export class ReleasingPrimary extends PrimaryCore {
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
export class DeafPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    if (event.type !== 'termLost') return super.step(event, now);
    return super.step({ type: 'termWon', term: this.term }, now);
  }
}

/** Ends its machine for a winner that has yet to prove that it can go on. */
export class YieldingPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    if (event.type !== 'termContested') return super.step(event, now);
    return super.step({ type: 'termLost', holder: event.holder }, now);
  }
}

/** Speaks alone as soon as its backup is gone. */
export class HastyPrimary extends PrimaryCore {
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

/** Ends its machine for its past in the term that it has. */
export class RecklessPrimary extends PrimaryCore {
  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    const effects = super.step(event, now);
    const claim = effects.some(({ type }) => type === 'claimTerm');
    if (event.type !== 'goBack' || !claim) return effects;
    return [
      ...effects.filter(({ type }) => type !== 'claimTerm'),
      ...super.step({ type: 'termWon', term: this.term }, now),
    ];
  }
}

/** Lets a machine be heard that is going back to its past. */
export class ChattyPrimary extends PrimaryCore {
  #through = 0;

  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    const effects = super.step(event, now);
    if (event.type !== 'outputs') return effects;
    this.#through += event.count;
    const { state } = this;
    const goesBack = state.kind === 'claiming' && state.then === 'back';
    return goesBack ? [...effects, { type: 'release', through: this.#through }] : effects;
  }
}

/** Grants at once when a backup says that it is ready, with a gate that is still open. */
export class GenerousPrimary extends PrimaryCore {
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
export class TrustingPrimary extends PrimaryCore {
  #now = 0;
  #real: number | undefined;

  override step(event: PrimaryEvent, now: Millis): PrimaryEffect[] {
    this.#now += Math.min(now - (this.#real ?? now), limits.coreTimerMs);
    this.#real = now;
    return super.step(event, this.#now as Millis);
  }
}

/** Hands over before everything is acknowledged. */
export class ImpatientPrimary extends PrimaryCore {
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
export class UsurpingBackup extends BackupCore {
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
export class UngrantedBackup extends BackupCore {
  override step(event: BackupEvent, now: Millis): BackupEffect[] {
    const effects = super.step(event, now);
    if (event.type !== 'replicaReady' || this.state.kind !== 'ready') return effects;
    return [...effects, ...super.step({ type: 'granted' }, now)];
  }
}

/** Acknowledges what is only in memory although it promised the disk. */
export class ForgetfulBackup extends BackupCore {
  constructor() {
    super({ ack: 'received' });
  }
}

/** Takes a guest's own shutdown for nothing special. */
export class RevivingBackup extends BackupCore {
  override step(event: BackupEvent, now: Millis): BackupEffect[] {
    return event.type === 'guestShutdownLogged' ? [] : super.step(event, now);
  }
}

/** Never slows its primary down, and never gives its backup up. */
export class PatientFlow extends FlowControl {
  override step(...told: Parameters<FlowControl['step']>): FlowEffect[] {
    super.step(...told);
    return [];
  }
}

/** Orders a cut again that was kept. */
export class RepeatingCuts extends Cuts {
  #last: CutOrder | undefined;
  #again: CutOrder | undefined;

  override next(...told: Parameters<Cuts['next']>): CutOrder | undefined {
    const again = this.#again;
    this.#again = undefined;
    if (again !== undefined) return again;
    const order = super.next(...told);
    if (order?.keep !== undefined) this.#last = order;
    return order;
  }

  override kept(kept: Kept): AnsweredCut[] {
    this.#again = this.#last;
    this.#last = undefined;
    return super.kept(kept);
  }
}

/** Never looks at the arbiter while it needs nothing of it. */
export class BlindWatch extends ArbiterWatch {
  override timer(): void {
    // nothing is asked, and nothing is late
  }
}

/** Forgets what it has seen. */
export class ForgetfulWatch extends ArbiterWatch {
  override get seen(): Term {
    return toTerm(0);
  }
}

/** Takes an arbiter that knows less than it does for one that gave its term to somebody. */
export class CredulousNode extends NodeCore {
  override step(event: NodeEvent, now: Millis): NodeEffect[] {
    const isOlder = event.type === 'arbiterRead' && (event.state?.term ?? 0) < this.term;
    if (!isOlder) return super.step(event, now);
    const state = { term: toTerm(this.term + 1), holder: 'nobody:0' };
    return super.step({ ...event, state }, now);
  }
}

/** Speaks before its disk has the term. */
export class RashNode extends NodeCore {
  override step(event: NodeEvent, now: Millis): NodeEffect[] {
    const effects = super.step(event, now);
    return effects.flatMap((effect) =>
      effect.type === 'remember'
        ? [effect, ...super.step({ type: 'remembered', term: effect.term }, now)]
        : [effect],
    );
  }
}

/** Looks like a node without a machine until its machine speaks. */
export class SecretiveNode extends NodeCore {
  override get standing(): NodeCore['standing'] {
    const standing = super.standing;
    return standing.role === 'none' ? { ...standing, isGranted: false } : standing;
  }
}

/** A node that is told other things than happened, or does others than it decided. */
export class EditedNode extends NodeCore {
  readonly #edit: Edit;

  constructor(options: NodeOptions, edit: Edit) {
    super(options);
    this.#edit = edit;
  }

  override step(event: NodeEvent, now: Millis): NodeEffect[] {
    const heard = this.#edit.hear?.(event) ?? event;
    const effects = super.step(heard, now);
    return this.#edit.act?.(effects, heard) ?? effects;
  }
}

export interface Edit {
  readonly hear?: (event: NodeEvent) => NodeEvent;
  readonly act?: (effects: NodeEffect[], event: NodeEvent) => NodeEffect[];
}
