/**
 * The watchdog of a node: what is done about a guest that failed by itself, as the pair file says.
 *
 * A takeover is no help: a copy does what its machine did, and fails as it failed. So the machine
 * goes back to a snapshot, without the log behind it. What was acknowledged since is lost by that:
 * by policy, and it is said aloud, before and behind.
 *
 * Contract
 *  1. One failure at a time; what it comes to is told once: `wentBack`, or `guestStays` with why.
 *  2. The past is prepared before the core is asked (src/core/node.ts, 7): what cannot be had
 *     leaves the machine as it is. The core decides when it goes back, and whether it still may.
 *  3. A machine that is gone meanwhile, or a silent guest that speaks again, is not gone back with.
 *  4. At most `restores` times within `withinMs`, counted from what has succeeded.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import type { Term } from '../../base/units.ts';
import type { Wish } from '../../core/effects.ts';
import {
  bootFromState,
  type LiveMachine,
  type MachinePlace,
} from '../../hypervisor/machine-parts.ts';
import type { RecorderHandlers } from '../../hypervisor/record/recorder.ts';
import type { SnapshotManifest } from '../../ports/snapshot-store.ts';
import { keptOf, prepareBack } from '../../restore/back.ts';
import type { PreparedMachine } from '../../restore/prepared.ts';
import { replaceDisks } from '../../restore/restart.ts';
import type { Concerns } from '../concerns.ts';
import type { Logger } from '../logger.ts';
import type { PairConfig } from '../pair-file/pair-config.ts';
import type { WatchdogPolicy } from '../pair-file/watchdog-policy.ts';
import type { Reporter } from '../report.ts';
import { type Back, candidates, type Line } from './candidates.ts';
import { type GuestFailure, GuestWatch } from './guest-watch.ts';
import { watchdogLimits } from './limits.ts';

export interface WatchdogOptions {
  readonly policy: WatchdogPolicy;
  readonly config: PairConfig;
  readonly vmFingerprint: string;
  /** As QEMU prints it. */
  readonly qemuVersion: string;
  /** The node's run directory. */
  readonly runDir: string;
  /** Asks the node's core. Throws what it refuses with. */
  readonly ask: (wish: Wish) => Promise<unknown>;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

/** The last failure of the guests of this node, for `status`. */
export interface GuestFailures {
  /** Since this node began. */
  readonly count: number;
  readonly last: Pick<GuestFailure, 'kind' | 'what'> & {
    /** ISO 8601. */
    readonly at: string;
    /** `stays`: it is as it was, and `why` says why. */
    readonly done: 'told' | 'goingBack' | 'wentBack' | 'stays';
    readonly snapshot?: string;
    readonly why?: string;
  };
}

/** A failure that is being done something about. */
interface Attempt {
  readonly failure: GuestFailure;
  /** Nothing is to be done any more. */
  isOver: boolean;
}

interface Past {
  readonly machine: PreparedMachine;
  readonly snapshot: SnapshotManifest;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  #line: Line = { since: 0, backs: [] };
  /** Times of going back that still count; `to`: on the present line. */
  #done: readonly { readonly atMs: number; readonly to?: Back['to'] }[] = [];
  #failures: GuestFailures | undefined;
  #attempt: Attempt | undefined;
  /** What the machine goes back to when nothing is left of it. */
  #past: Past | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  get failures(): GuestFailures | undefined {
    return this.#failures;
  }

  /** Of a machine, or of a copy that may become one. */
  watch(icount: () => number): GuestWatch {
    const { policy, concerns } = this.#options;
    return new GuestWatch({
      policy,
      icount,
      onFailed: (failure) => this.failed(failure),
      onSpoke: ({ kind }) => {
        concerns.tell('guest', undefined);
        if (kind === 'silence' && this.#attempt !== undefined) this.#attempt.isOver = true;
      },
    });
  }

  /** Another machine, or a copy of one, is here: its snapshots are of this term at least. */
  begins(since: Term): void {
    this.#line = { since, backs: [] };
    this.#done = this.#done.map(({ atMs }) => ({ atMs }));
    this.#forget();
  }

  /** The machine is gone. */
  gone(): void {
    this.#options.concerns.tell('guest', undefined);
    if (this.#attempt !== undefined) this.#attempt.isOver = true;
  }

  failed(failure: GuestFailure): void {
    if (this.#attempt !== undefined || this.#past !== undefined) return;
    const { policy, reporter, log, concerns } = this.#options;
    const { action } = policy;
    const { kind, what, icount = 0 } = failure;
    log.error({ kind, what, icount }, 'the guest has failed');
    reporter.report({ type: 'guestFailed', kind, what, icount, action });
    this.#record(failure, action === 'tell' ? 'told' : 'goingBack', 1);
    if (action === 'tell') {
      concerns.tell('guest', `${wordsOf(failure)}. By policy nothing is done about it`);
      return;
    }
    concerns.tell('guest', `${wordsOf(failure)}. It is going back to a snapshot`);
    const attempt: Attempt = { failure, isOver: false };
    this.#attempt = attempt;
    this.#goBack(attempt)
      .catch((thrown: unknown) => this.#stays(failure, reasonOf(thrown)))
      .finally(() => {
        this.#attempt = undefined;
      });
  }

  /**
   * Lets the machine go on from its past; `guest`: the request that that was kept for. Throws like
   * `replaceDisks` and `bootFromState`.
   */
  async boot(
    place: MachinePlace,
    handlers: RecorderHandlers,
    term: Term,
  ): Promise<{ readonly machine: LiveMachine; readonly guest: string | undefined }> {
    const past = this.#past;
    if (past === undefined) throw new Error('there is no past to go back to');
    this.#past = undefined;
    await replaceDisks(past.machine, place.diskImages);
    const machine = await bootFromState(place, past.machine, handlers);
    this.#wentBack(past.snapshot, term);
    await fs.promises.rm(this.#dir, { recursive: true, force: true });
    return { machine, guest: past.machine.facts.guest };
  }

  async #goBack(attempt: Attempt): Promise<void> {
    const past = await this.#prepare(attempt.failure);
    if (attempt.isOver) {
      this.#forget();
      return;
    }
    const { log } = this.#options;
    const { id: snapshot, takenAtMs } = past.snapshot;
    log.warn(
      { snapshot, takenAt: new Date(takenAtMs).toISOString(), lostMs: Date.now() - takenAtMs },
      'going back to a snapshot: all that the guest did since is lost, also what was acknowledged',
    );
    this.#past = past;
    const reason = `${wordsOf(attempt.failure)}: it goes back to snapshot ${snapshot}`;
    while (!(await this.#begins(reason))) {
      await sleep(watchdogLimits.againMs, undefined, { ref: false });
      if (attempt.isOver) return;
    }
  }

  /** False: not now. What is under way ends, or ends the machine. */
  async #begins(reason: string): Promise<boolean> {
    try {
      await this.#options.ask({ wish: 'goBack', reason });
      return true;
    } catch {
      return false;
    }
  }

  /** The newest past that can be had. Throws `store` when there is none. */
  async #prepare(failure: GuestFailure): Promise<Past> {
    const { config, log } = this.#options;
    const store = config.snapshots?.store ?? '';
    const found = await this.#candidates(store, failure);
    let problem: unknown;
    for (const snapshot of found.slice(0, watchdogLimits.damagedMax)) {
      const runDir = path.join(this.#options.runDir, 'past');
      try {
        fs.mkdirSync(runDir, { recursive: true, mode: 0o700 });
        const machine = await prepareBack({ store, snapshot, dir: this.#dir, runDir });
        return { machine, snapshot };
      } catch (thrown) {
        problem = thrown;
        log.error({ snapshot: snapshot.id, reason: reasonOf(thrown) }, 'no way back to a snapshot');
      } finally {
        fs.rmSync(runDir, { recursive: true, force: true });
      }
    }
    throw problem;
  }

  async #candidates(store: string, failure: GuestFailure): Promise<readonly SnapshotManifest[]> {
    const { policy, config, vmFingerprint, qemuVersion } = this.#options;
    const { restores, withinMs, losesMs } = policy;
    const since = performance.now() - withinMs;
    this.#done = this.#done.filter(({ atMs }) => atMs >= since);
    if (this.#done.length >= restores) {
      const times = `${this.#done.length} times within ${Math.round(withinMs / 60_000)} min`;
      throw new UnderstudyError('store', `it went back ${times} already (watchdog.restores)`);
    }
    const kept = await keptOf({ store, vm: config.pair, vmFingerprint, qemuVersion });
    const tried = this.#done.flatMap(({ to }) => (to === undefined ? [] : [to]));
    const { icount: wellAt } = failure;
    const found = candidates(kept, {
      ...{ line: this.#line, wellAt, tried, nowMs: Date.now(), losesMs },
    });
    if (typeof found === 'string') throw new UnderstudyError('store', found);
    return found;
  }

  #wentBack(snapshot: SnapshotManifest, term: Term): void {
    const { log, reporter, concerns } = this.#options;
    const { id, icount, takenAtMs } = snapshot;
    const to = { term: snapshot.term, icount };
    this.#done = [...this.#done, { atMs: performance.now(), to }];
    const backs = [...this.#line.backs, { term, to }];
    const oldest = backs.length > watchdogLimits.backsMax ? backs.shift() : undefined;
    this.#line = { since: oldest?.term ?? this.#line.since, backs };
    const facts = { snapshot: id, icount, lostMs: Math.max(0, Date.now() - takenAtMs) };
    const restores = this.#done.length;
    log.warn({ ...facts, term, restores }, 'the machine went back to a snapshot');
    reporter.report({ type: 'wentBack', ...facts, restores });
    if (this.#failures !== undefined)
      this.#record(this.#failures.last, 'wentBack', 0, { snapshot: id });
    concerns.tell('guest', undefined);
  }

  #stays(failure: GuestFailure, why: string): void {
    const { log, reporter, concerns } = this.#options;
    log.error({ reason: why }, 'the guest that failed stays as it is');
    reporter.report({ type: 'guestStays', reason: why });
    this.#record(failure, 'stays', 0, { why });
    const hint = 'look at its console, then restore a snapshot or start it anew (docs/watchdog.md)';
    concerns.tell('guest', `${wordsOf(failure)}, and stays as it is: ${why}. Now ${hint}`);
  }

  #record(
    { kind, what }: Pick<GuestFailure, 'kind' | 'what'>,
    done: GuestFailures['last']['done'],
    more: 0 | 1,
    facts: { readonly snapshot?: string; readonly why?: string } = {},
  ): void {
    const { count = 0, last } = this.#failures ?? {};
    const at = more === 0 && last !== undefined ? last.at : new Date().toISOString();
    this.#failures = { count: count + more, last: { kind, what, at, done, ...facts } };
  }

  #forget(): void {
    if (this.#past === undefined) return;
    this.#past = undefined;
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  get #dir(): string {
    const { pair, self } = this.#options.config;
    return path.join(self.stateDir, `${pair}-${self.name}.back`);
  }
}

const wordsOf = ({ kind, what }: GuestFailure): string =>
  kind === 'panic' ? `The guest has panicked ("${what}")` : `The guest says ${what}`;
