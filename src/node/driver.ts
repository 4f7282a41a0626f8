/**
 * Drives the core of a node (src/core/node.ts): tells it what happened, does what it says, and says
 * what became of it. Nothing is decided here.
 */
import { asError, reasonOf, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { millis, type Term } from '../base/units.ts';
import type { Answer, LinkId, NodeEffect, NodeEvent, Wish } from '../core/effects.ts';
import { type NodeOptions as CoreOptions, NodeCore } from '../core/node.ts';
import { ownMemoryBytes } from '../host/own-memory.ts';
import type { Arbiter } from '../ports/arbiter.ts';
import type { Hello, Link, LinkMessage, Standing } from '../ports/link.ts';
import type { Layout } from '../rrlog/layouts.ts';
import { HelloRefused } from '../wire/hello.ts';
import { askArbiter } from './arbiter-asks.ts';
import { Asks } from './asks.ts';
import type { Concerns } from './concerns.ts';
import type { Logger } from './logger.ts';
import { MachineDriver, type MachineSource } from './machine-driver.ts';
import { Narrator, type ShownEffect } from './narrator.ts';
import type { PeerAttempts } from './peer-attempts.ts';
import type { Reporter } from './report.ts';
import type { SpokenTerm } from './spoken.ts';

/** What this node has on its disks, besides machines. */
export interface NodeDisks {
  /** The last term of which all acknowledged log is on the disk here; 0: none. */
  logged(): Term;
  /** Whether the machine of this term was kept here, to go on from; never rejects. */
  canRestart(term: Term): Promise<boolean>;
  /** Throws when this node must not boot what it has, or cannot. */
  checkBoot(how: { readonly fromPowerOn: boolean }): void;
}

export interface NodeDriverOptions {
  readonly core: CoreOptions;
  readonly arbiter: Arbiter;
  readonly spoken: SpokenTerm;
  readonly machines: MachineSource & NodeDisks;
  readonly layout: Layout;
  /** MAC addresses of the guest's cards. */
  readonly macs: readonly string[];
  readonly peer: Pick<PeerAttempts, 'dial' | 'watch'>;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export type NodeOutcome = 'poweredOff' | 'stopped';

export class NodeDriver {
  readonly #options: NodeDriverOptions;
  readonly #core: NodeCore;
  readonly #machine: MachineDriver;
  readonly #narrator: Narrator;
  readonly #asks = new Asks();
  readonly #links = new Map<LinkId, Link>();
  #nextLink = 1;
  readonly #events: NodeEvent[] = [];
  #isStepping = false;
  /** What the sender of the present message has to wait for, and what was wrong with it. */
  #room: void | Promise<void> = undefined;
  #wrong: Error | undefined;
  /** The last failure that the core was told of, whole. */
  #cause: Error | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #finish: (outcome: NodeOutcome | Error) => void = () => undefined;
  #isOver = false;
  #hasServed = false;

  constructor(options: NodeDriverOptions) {
    const { core, machines, layout, macs, concerns, reporter, log } = options;
    this.#options = options;
    this.#core = new NodeCore(core);
    const term = (): Term => this.term;
    this.#narrator = new Narrator({ term, state: () => this.state, concerns, reporter, log });
    this.#machine = new MachineDriver({
      ...{ source: machines, layout, macs, term, concerns, reporter, log },
      link: (id) => this.#links.get(id),
      tell: (event) => this.#step(event),
      fail: (error) => this.#finish(asError(error)),
    });
  }

  get role(): Standing['role'] {
    return this.#core.role;
  }

  get state(): string {
    return this.#core.state;
  }

  get term(): Term {
    return this.#core.term;
  }

  get standing(): Standing {
    return { ...this.#core.standing, logged: this.#options.machines.logged() };
  }

  /** What the node at the other end of the newest link said of itself. */
  get peer(): Hello | undefined {
    return [...this.#links.values()].at(-1)?.peer;
  }

  /** It was primary or backup. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** What a node without a machine waits for. */
  get waitsFor(): string | undefined {
    return this.#narrator.waitsFor;
  }

  /** Runs until the guest is off or `stop`. Rejects when the node cannot go on. */
  run(): Promise<NodeOutcome> {
    return new Promise((resolve, reject) => {
      this.#finish = (outcome) => {
        if (this.#isOver) return;
        this.#isOver = true;
        for (const timer of this.#timers) clearInterval(timer);
        this.#asks.end(outcome instanceof Error ? 'failed' : outcome);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      const tickMs = Math.min(limits.coreTimerMs, this.#options.core.epochMs);
      this.#timers.push(setInterval(() => this.#tick(), tickMs));
      this.#timers.push(setInterval(() => this.#reportFigures(), limits.reportMs));
      this.#step({ type: 'timer' });
    });
  }

  /** Sockets in the run directory are gone. */
  socketsLost(): void {
    this.#machine.socketsLost();
  }

  stop(): void {
    if (this.#isOver) return;
    if (this.#machine.hasMachine) {
      this.#options.reporter.report({ type: 'ended', outcome: 'stopped' });
    }
    this.#finish('stopped');
  }

  /** Ends what runs here, however the node ended; its peer hears it by the end of the link. */
  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close('stopped');
    await this.#machine.end();
  }

  /** Throws what the core refuses with. */
  async ask(wish: Wish): Promise<Exclude<Answer, { type: 'refused' }>> {
    return await this.#asks.ask((ask) => this.#step({ type: 'asked', ask, for: wish }));
  }

  /** Somebody has dialled this node. */
  linkOpened(link: Link): void {
    const id = this.#name(link);
    link.onMessage((message) => this.#takeMessage(id, message));
    this.#step({ type: 'linkOpened', link: id, hello: link.peer });
  }

  #step(event: NodeEvent): void {
    if (this.#isOver) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const effects = this.#core.step(next, millis(performance.now()));
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  /** Tells the core what became of something that takes a while. */
  #tell<T>(
    work: Promise<T>,
    done: (found: T) => NodeEvent,
    failed: (error: Error) => NodeEvent,
  ): void {
    work.then(
      (found) => this.#step(done(found)),
      (thrown: unknown) => {
        this.#cause = asError(thrown);
        this.#step(failed(this.#cause));
      },
    );
  }

  #tick(): void {
    this.#step({ type: 'timer' });
    this.#machine.tick();
  }

  #reportFigures(): void {
    this.#machine.reportFigures();
    if (!this.#machine.hasMachine && this.state !== 'protecting') return;
    this.#options.reporter.report({ type: 'memory', rssBytes: ownMemoryBytes() });
  }

  #name(link: Link): LinkId {
    const id = this.#nextLink;
    this.#nextLink += 1;
    this.#links.set(id, link);
    link.onClose(({ message, error }) => {
      this.#links.delete(id);
      const cause = error?.cause === undefined ? '' : `: ${reasonOf(error.cause)}`;
      this.#step({ type: 'linkClosed', link: id, reason: `${message}${cause}` });
    });
    return id;
  }

  #takeMessage(link: LinkId, message: LinkMessage): void | Promise<void> {
    this.#room = undefined;
    this.#wrong = undefined;
    this.#step({ type: 'message', link, message });
    return this.#roomOrError();
  }

  /** Throws what was wrong with the present message: the link ends with that. */
  #roomOrError(): void | Promise<void> {
    if (this.#wrong !== undefined) throw this.#wrong;
    return this.#room;
  }

  #perform(effect: NodeEffect): void {
    switch (effect.type) {
      case 'readArbiter':
      case 'compareAndSet':
        void this.#askArbiter(effect);
        return;
      case 'dialPeer':
        this.#dial();
        return;
      case 'send':
        this.#links.get(effect.link)?.send(effect.message);
        return;
      case 'closeLink':
        this.#links.get(effect.link)?.close(effect.reason);
        return;
      case 'lookAtDisks':
        this.#lookAtDisks(effect.term);
        return;
      case 'remember':
        this.#remember(effect.term);
        return;
      case 'answer':
        this.#asks.answered(effect.ask, effect.answer);
        return;
      case 'became':
      case 'changed':
      case 'waiting':
      case 'noted':
      case 'concern':
        this.#show(effect);
        return;
      case 'leave':
        this.#finish('poweredOff');
        return;
      case 'fail':
        this.#finish(this.#failure(effect.reason));
        return;
      case 'feed':
      case 'tellSeed':
        try {
          this.#room = this.#machine.perform(effect);
        } catch (thrown) {
          this.#wrong = asError(thrown);
        }
        return;
      default:
        void this.#machine.perform(effect);
        if (effect.type === 'makeCopy') this.#listen(effect.link);
        this.#options.peer.watch(effect);
        return;
    }
  }

  /** What came on a link that this node dialled has waited for its copy. */
  #listen(id: LinkId): void {
    this.#links.get(id)?.onMessage((message) => this.#takeMessage(id, message));
  }

  async #askArbiter(effect: Parameters<typeof askArbiter>[1]): Promise<void> {
    const { event, cause } = await askArbiter(this.#options.arbiter, effect);
    this.#cause = cause ?? this.#cause;
    this.#step(event);
  }

  #dial(): void {
    this.#options.peer.dial().then(
      (link) => {
        if (this.#isOver) link.close('stopped');
        else this.#step({ type: 'dialled', link: this.#name(link), hello: link.peer });
      },
      (thrown: unknown) => {
        this.#step({ type: 'dialled', isRefused: thrown instanceof HelloRefused });
      },
    );
  }

  #lookAtDisks(term: Term): void {
    const { machines } = this.#options;
    void machines.canRestart(term).then((canRestart) => {
      let problem: string | undefined;
      try {
        machines.checkBoot({ fromPowerOn: !canRestart });
      } catch (thrown) {
        this.#cause = asError(thrown);
        problem = this.#cause.message;
      }
      this.#step({ type: 'disksSeen', canRestart, logged: machines.logged(), problem });
    });
  }

  #remember(term: Term): void {
    this.#tell(
      this.#options.spoken.save(term),
      () => {
        this.#narrator.remembered();
        return { type: 'remembered', term };
      },
      (error) => ({ type: 'notRemembered', term, reason: reasonOf(error) }),
    );
  }

  #show(effect: ShownEffect): void {
    this.#narrator.tell(effect);
    if (effect.type === 'became' && effect.role !== 'none') this.#hasServed = true;
    if (effect.type !== 'changed') return;
    if (effect.role === 'backup' && effect.to === 'claiming') this.#machine.claims();
    this.#machine.changed();
  }

  /** The failure that the core gives up for, with its code and hint where it is known. */
  #failure(reason: string): Error {
    const cause = this.#cause;
    const isIt = cause instanceof UnderstudyError && reason.includes(cause.message);
    if (isIt) return cause;
    return new UnderstudyError('config', reason, {
      hint: 'stop both nodes first, or restore the snapshot as a pair of another name',
    });
  }
}
