/**
 * A simulated node: the life of a process around the protocol core, as src/node is in earnest.
 *
 * Contract
 *  1. What a process does happens in `enter`: nothing of a dead life runs, a paused process runs
 *     nothing until it goes on, and a crash may strike between any two effects.
 *  2. Disk, `spoken` and what was spooled survive crashes. Nothing else does.
 */
import { limits } from '../src/base/limits.ts';
import { type Millis, type Term, term as toTerm } from '../src/base/units.ts';
import type { PeerStanding } from '../src/core/membership.ts';
import { judgeLoss, planClaim } from '../src/core/terms.ts';
import type { ArbiterState } from '../src/ports/arbiter.ts';
import { BackupLife } from './backup-life.ts';
import { SimDisk } from './disk.ts';
import { bootGuest } from './guest.ts';
import { History } from './history.ts';
import { Machine, type MachineHandlers } from './machine.ts';
import type { SimHello } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import { PrimaryLife } from './primary-life.ts';
import type { ClaimOutcome, SimProcess, Surroundings } from './process.ts';
import { type Condition, calmCondition } from './settings.ts';

/** Thrown inside of a process that dies at this very step. */
class CrashSignal extends Error {}

export class SimNode implements SimProcess {
  readonly name: string;
  readonly peerName: string;
  readonly around: Surroundings;
  readonly disk = new SimDisk();
  readonly condition: Condition;
  /** The last term in which the machine spoke from this disk. Durable. */
  spoken: Term = toTerm(0);
  role: PrimaryLife | BackupLife | undefined;
  /** The guest switched itself off: this process has ended in order. */
  hasLeft = false;
  /** Effects until it dies at that very step. */
  crashIn: number | undefined;
  #life = 0;
  #isUp = false;
  #isPaused = false;
  #inbox: (() => void)[] = [];
  /** Clock jumps seen by this node. */
  #clockOffset = 0;
  #seekingSince: Millis = 0 as Millis;
  #knownTerm: Term = toTerm(0);
  #startAnew = false;
  /** A term is being claimed, or was won, and nothing speaks in it yet. */
  #isComing = false;

  constructor(name: string, peerName: string, around: Surroundings) {
    this.name = name;
    this.peerName = peerName;
    this.around = around;
    this.condition = calmCondition(around.world.prng);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get holder(): string {
    return `${this.name}:${this.#life}`;
  }

  /** On this node's own monotonic clock. */
  get now(): Millis {
    return (this.around.world.now + this.#clockOffset) as Millis;
  }

  get standing(): PeerStanding {
    const { role, spoken } = this;
    const logged = toTerm(0); // no snapshots here that a machine could go on from
    const term = role instanceof PrimaryLife ? role.term : this.#knownTerm;
    if (role instanceof PrimaryLife)
      return { role: 'primary', term, isGranted: false, spoken, logged };
    if (this.#isComing && !this.around.seams.tellsWonTerm) {
      return { role: 'none', term, isGranted: false, spoken, logged };
    }
    const isGranted = this.#isComing || role?.isGranted === true;
    return { role: role === undefined ? 'none' : 'backup', term, isGranted, spoken, logged };
  }

  start(startAnew = false): void {
    if (this.#isUp) return;
    this.#life += 1;
    this.#isUp = true;
    this.hasLeft = false;
    this.#startAnew = startAnew;
    this.#knownTerm = toTerm(0);
    this.say('starts');
    const host = this.around.network.host(this.name);
    host.isUp = true;
    host.answer = (hello) => this.#answer(hello);
    host.accept = (end) => this.enter(() => this.#accept(end));
    this.#run(() => this.#seek());
  }

  /** The process is killed, or its host loses power. */
  crash(kind: 'process' | 'power'): void {
    if (!this.#isUp) return;
    this.say(kind === 'process' ? 'is killed' : 'loses power');
    this.#end(kind === 'power');
  }

  /** SIGSTOP: its machine, a process of its own, runs on. */
  pause(): void {
    if (!this.#isUp || this.#isPaused) return;
    this.say('stands still');
    this.#isPaused = true;
  }

  go(): void {
    if (!this.#isPaused) return;
    this.say('goes on');
    this.#isPaused = false;
    // A crash empties the inbox.
    for (let act = this.#inbox.shift(); act !== undefined; act = this.#inbox.shift())
      this.#run(act);
  }

  jumpClock(ms: number): void {
    this.#clockOffset += ms;
  }

  say(what: string): void {
    this.around.world.say(this.name, what);
  }

  /** Runs `act` in this life, in `delayMs`, when the process is not standing still. */
  later(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.around.world.after(delayMs, () => {
      if (life === this.#life && this.#isUp) this.enter(act);
    });
  }

  enter(act: () => void): void {
    if (this.#isPaused) this.#inbox.push(act);
    else this.#run(act);
  }

  /** Called before each effect. */
  step(): void {
    if (this.crashIn === undefined) return;
    this.crashIn -= 1;
    if (this.crashIn > 0) return;
    this.crashIn = undefined;
    throw new CrashSignal();
  }

  /** Claims the term after `expected`, and remembers a won term before it is told of it. */
  claim(expected: Term, done: (outcome: ClaimOutcome) => void): void {
    const { arbiter, judge } = this.around;
    const life = this.#life;
    const back = (act: () => void): void => {
      if (life === this.#life && this.#isUp) this.enter(act);
    };
    const lost = (holder: string): void => {
      judge.claimLost({ holder: this.holder, term: expected + 1 });
      done({ type: 'termLost', holder });
    };
    const unreachable = { type: 'arbiterUnreachable', reason: 'no answer' } as const;
    arbiter.read(this.name, (current) =>
      back(() => {
        if (current === 'unreachable') return done(unreachable);
        const plan = planClaim(current, expected, this.holder);
        if (plan.type === 'won') return done({ type: 'termWon', term: plan.term });
        if (plan.type === 'lost') return lost(plan.holder);
        const { next } = plan;
        arbiter.compareAndSet(this.name, plan.expected, next, (result) =>
          back(() => {
            if (result === 'unreachable') return done(unreachable);
            if (result.won) return done({ type: 'termWon', term: next.term });
            const loss = judgeLoss(result.current, expected, this.holder);
            if (loss.type === 'won') done({ type: 'termWon', term: loss.term });
            else lost(loss.holder);
          }),
        );
      }),
    );
  }

  /** Makes `spoken` durable, then goes on. */
  remember(term: Term, done: () => void): void {
    if (!this.around.seams.remembersSpoken) {
      done();
      return;
    }
    this.#isComing = true;
    const { prng } = this.around.world;
    // A sync waits for a disk that others use, too.
    this.later(prng.chance(100) ? prng.between(50, 500) : prng.between(1, 3), () => {
      this.spoken = term;
      this.#isComing = false;
      done();
    });
  }

  /** A role has ended; the process goes on without a machine, or leaves. */
  roleEnded(outcome: 'poweredOff' | 'seek'): void {
    this.role = undefined;
    if (outcome === 'poweredOff') {
      this.say('leaves: the guest is off');
      this.hasLeft = true;
      this.#end(false);
      return;
    }
    this.#seek();
  }

  becomePrimary(machine: (handlers: MachineHandlers) => Machine, term: Term): void {
    this.say(`is primary in term ${term}`);
    this.#knownTerm = term;
    this.role = new PrimaryLife(this, machine, term);
  }

  hello(): SimHello {
    const { name, standing } = this;
    return { node: name, term: standing.term, standing };
  }

  #run(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      if (!(thrown instanceof CrashSignal)) throw thrown;
      this.around.world.struck('crash at a step');
      this.crash('process');
    }
  }

  #end(silently: boolean): void {
    const host = this.around.network.host(this.name);
    host.answer = undefined;
    host.accept = undefined;
    if (silently) host.isUp = false;
    this.role?.destroy(silently);
    this.role = undefined;
    this.#isUp = false;
    this.#isPaused = false;
    this.#inbox = [];
    this.crashIn = undefined;
    this.#isComing = false;
  }

  #answer(hello: SimHello): SimHello | undefined {
    if (!this.#isUp || this.#isPaused) return undefined;
    const { role } = this;
    if (role instanceof PrimaryLife) this.enter(() => role.heardOf(hello.term));
    return this.#isUp ? this.hello() : undefined;
  }

  #accept(end: ConnectionEnd): void {
    if (this.role instanceof PrimaryLife) this.role.backupConnected(end);
    else end.close('this node is not primary');
  }

  #seek(): void {
    this.#seekingSince = this.now;
    this.#look();
  }

  /** One round of looking: the arbiter first, then the peer, then membership decides. */
  #look(): void {
    if (this.role !== undefined) return;
    const { arbiter, network } = this.around;
    const life = this.#life;
    const back = (act: () => void): void => {
      if (life === this.#life && this.#isUp) this.enter(act);
    };
    arbiter.read(this.name, (state) =>
      back(() => {
        if (state === 'unreachable') return this.later(limits.dialRetryMs, () => this.#look());
        this.#knownTerm = state?.term ?? toTerm(0);
        network.dial(this.name, this.peerName, this.hello(), (end) => {
          if (life !== this.#life || !this.#isUp) end?.vanish();
          else this.enter(() => this.#decide(state, end));
        });
      }),
    );
  }

  #decide(state: ArbiterState | undefined, end: ConnectionEnd | undefined): void {
    const choice = this.around.seams.choose({
      term: state?.term ?? toTerm(0),
      isOurs: state?.holder.split(':')[0] === this.name,
      spoken: this.spoken,
      peer: end?.peerHello.standing,
      waitedMs: this.now - this.#seekingSince,
      startAnew: this.#startAnew,
      canRestart: false,
      logged: toTerm(0),
      restartWaitMs: 0,
    });
    if (choice.type === 'join' && end?.isOpen === true) {
      const role = new BackupLife(this, end);
      this.role = role;
      role.begin();
      return;
    }
    end?.close('only looking');
    const again = (): void => this.later(limits.dialRetryMs, () => this.#look());
    if (choice.type !== 'claim') {
      again();
      return;
    }
    this.#isComing = true;
    this.claim(choice.expected, (outcome) => {
      this.#isComing = false;
      if (outcome.type !== 'termWon') return again();
      this.remember(outcome.term, () => this.#boot(outcome.term));
    });
  }

  #boot(term: Term): void {
    const { world, judge, seams } = this.around;
    this.#startAnew = false;
    this.around.boots += 1;
    const state = bootGuest(this.disk.nextRequest, this.disk.digest);
    const history = History.ofBoot(this.around.boots, state);
    this.say(`boots the guest, term ${term}`);
    judge.booted({ node: this.name, holder: this.holder, term, history, disk: this.disk });
    this.becomePrimary(
      (handlers) =>
        new Machine({
          world,
          disk: this.disk,
          state,
          history,
          handlers,
          diskMs: () => this.condition.diskMs(),
          complete: seams.complete,
        }),
      term,
    );
  }
}
