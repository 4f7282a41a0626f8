/** The soak itself: a pair under load, one fault after the other, and what came of each. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { judge } from '../../../src/lab/judge.ts';
import { demoLimits } from '../../../src/lab/limits.ts';
import { LoadProcess } from '../../../src/lab/load-process.ts';
import type { LoadStats } from '../../../src/lab/load-record.ts';
import type { World } from '../../../src/lab/world.ts';
import { askNode } from '../../../src/observe/control-client.ts';
import type { Progress } from '../../../src/text/progress.ts';
import { type FaultKind, kindOf } from './faults.ts';
import { guestFacts, useDisk } from './guest.ts';
import type { SoakPair } from './pair.ts';
import { describePlanned, type Planned } from './schedule.ts';
import { type Heal, strike } from './strikes.ts';
import { recoveryMsMax, type SoakResult, type Trial, trialLine } from './summary.ts';
import { FaultWatch, type Timeline } from './watch.ts';

export interface SoakOptions {
  readonly world: World;
  readonly pair: SoakPair;
  readonly seed: number;
  readonly plan: Iterator<Planned>;
  readonly soakMs: number;
  readonly everyMs: number;
  readonly timeline: Timeline;
  readonly progress: Progress;
  readonly onTrial: (trial: Trial) => void;
  /** Somebody wants it to end, without a result. */
  readonly signal: AbortSignal;
}

/** A machine that is not protected by then will not be. */
const hopelessMs = 4 * recoveryMsMax;
/** Protected for so long is protected. */
const stableMs = 1_000;
/** What strikes at once is found out within this: a QEMU that is silent takes 10 s. */
const noticeMs = 20_000;
const pollMs = 50;
/** A compare waits for a cut, which a guest that uses its disk may not allow at once. */
const compareMs = 20_000;
/** Lines that waited for room are offered again at least every second. */
const logWaitMs = 3_000;

export class Soak {
  readonly #options: SoakOptions;
  readonly #trials: Trial[] = [];
  readonly #findings: string[] = [];
  /** Of the present fault. */
  watch: FaultWatch | undefined;
  takeovers = 0;
  /** As nodes reported them; the first one is no finding. */
  boots = 0;
  #beganMs = 0;
  #bootsKnown = 0;
  #unprotectedMs = 0;
  #stats: LoadStats | undefined;
  #bootId: string | undefined;
  #diskErrors = 0;
  #seenText = '';

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  /** For what is worth a word without belonging to a fault. */
  find(text: string): void {
    this.#options.timeline.tell(text);
    this.#options.progress.event(text);
    this.#findings.push(text);
  }

  /** Throws only when it could not even begin, or was told to end. */
  async run(): Promise<SoakResult> {
    const { world, pair, soakMs, progress, timeline, seed } = this.#options;
    await this.#protect();
    const load = new LoadProcess(world, {
      runName: `soak${process.pid}`,
      onStats: (stats) => {
        this.#stats = stats;
        progress.status(this.#line());
      },
      onFailure: ({ client, reason }) => {
        timeline.tell(`a request failed: ${client}: ${reason}`);
        progress.event(`a request failed: ${client}: ${reason}`);
      },
    });
    this.#beganMs = performance.now();
    try {
      await useDisk(pair, soakMs / 1000 + hopelessMs / 1000);
      await this.#trialsUntil(this.#beganMs + soakMs);
    } catch (thrown) {
      this.#options.signal.throwIfAborted();
      this.find(`the soak stops here: ${asError(thrown).message}`);
    }
    const record = await load.stop();
    const outside = judge({
      ledger: await pair.pages.read('/ledger').catch(() => ''),
      journal: await pair.pages.read('/counter.log').catch(() => ''),
      load: record,
      seen: { seenText: this.#seenText },
    });
    return {
      ...{ seed, outside, trials: this.#trials, takeovers: this.takeovers },
      ...{ unprotectedMs: this.#unprotectedMs, diskErrors: this.#diskErrors },
      findings: this.#findings,
    };
  }

  async #protect(): Promise<void> {
    const { pair, progress } = this.#options;
    const begun = performance.now();
    pair.nodes.a.start();
    progress.status('the guest is booting');
    const isUp = await this.#until(demoLimits.guestBootMs, () =>
      pair.pages.read('/read').then(
        () => true,
        () => false,
      ),
    );
    if (isUp) {
      pair.nodes.b.start();
      if (await this.#until(demoLimits.guestBootMs, () => pair.roles !== undefined)) {
        progress.event(`protected ${Math.round(performance.now() - begun)} ms after the start`);
        return;
      }
    }
    throw new UnderstudyError('environment', 'The machine was not protected after its boot', {
      hint: 'see the logs of its nodes',
    });
  }

  async #trialsUntil(endMs: number): Promise<void> {
    const { pair, everyMs, signal, plan } = this.#options;
    await this.#lookAtGuest();
    this.#bootsKnown = this.boots;
    for (let next = this.#beganMs; next < endMs; ) {
      await sleep(Math.max(0, next - performance.now()), undefined, { signal });
      if (performance.now() >= endMs) return;
      const dueMs = performance.now();
      next = dueMs + everyMs;
      if (!(await this.#until(hopelessMs, () => pair.roles !== undefined))) {
        this.#unprotectedMs = hopelessMs;
        throw new Error('the machine is not protected');
      }
      this.#unprotectedMs = Math.max(this.#unprotectedMs, performance.now() - dueMs);
      const { value } = plan.next();
      const trial = await this.#trial(value as Planned);
      this.#trials.push(trial);
      this.#options.onTrial(trial);
      this.#options.timeline.tell(trialLine(trial));
      if (trial.recoveryMs === undefined) throw new Error('the machine is not protected again');
    }
  }

  async #trial(planned: Planned): Promise<Trial> {
    const { pair, timeline, progress } = this.#options;
    const kind = kindOf(planned.name);
    const takeoversBefore = this.takeovers;
    const findings: string[] = [];
    const watch = new FaultWatch(kind, pair);
    this.watch = watch;
    const atMs = performance.now() - this.#beganMs;
    timeline.tell(`STRIKES: ${describePlanned(planned)}, size ${planned.size}`);
    progress.status(describePlanned(planned));
    const heal = await strike(planned, pair);
    const recoveryMs = await this.#healAndWait(kind, watch, heal);
    timeline.tell(recoveryMs === undefined ? 'NOT protected again' : `protected: ${recoveryMs} ms`);
    const isLost = recoveryMs === undefined && !this.#isRun();
    const isEqual = await this.#compare(findings);
    const isAnotherBoot = await this.#lookAtGuest(findings);
    const hasBooted = isAnotherBoot || this.boots > this.#bootsKnown;
    this.#bootsKnown = this.boots;
    let inLog: string | undefined;
    await this.#until(logWaitMs, () => {
      inLog = watch.inLog();
      return inLog !== undefined || kind.visible === 'may';
    });
    const seen = { inStatus: watch.inStatus, inLog };
    timeline.tell(`SEEN in status: ${seen.inStatus ?? 'no'}; in a log: ${seen.inLog ?? 'no'}`);
    this.watch = undefined;
    const takeovers = this.takeovers - takeoversBefore;
    return {
      ...{ planned, atMs, seen, recoveryMs, takeovers, isEqual, hasBooted, isLost, findings },
    };
  }

  /** From its healing on, ms; `undefined`: it was not protected again. */
  async #healAndWait(
    { lastsMs, visible }: FaultKind,
    watch: FaultWatch,
    heal: Heal,
  ): Promise<number | undefined> {
    const { pair, timeline, signal } = this.#options;
    try {
      await sleep(lastsMs, undefined, { signal });
    } finally {
      // A fault that lasts is to be seen while it does.
      if (lastsMs > 0) watch.end();
      await heal();
    }
    const healedMs = performance.now();
    timeline.tell('HEALED');
    if (lastsMs === 0 && visible === 'must') {
      await this.#until(noticeMs, () => watch.inStatus !== undefined);
    }
    let sinceMs: number | undefined;
    const isProtected = await this.#until(hopelessMs, () => {
      const now = performance.now();
      sinceMs = pair.roles === undefined ? undefined : (sinceMs ?? now);
      return sinceMs !== undefined && now - sinceMs >= stableMs;
    });
    watch.end();
    return isProtected && sinceMs !== undefined ? sinceMs - healedMs : undefined;
  }

  /** Somebody has the machine, protected or not. */
  #isRun(): boolean {
    return Object.values(this.#options.pair.nodes).some(({ status }) => status?.role === 'primary');
  }

  /** `undefined`: no cut could be made. */
  async #compare(findings: string[]): Promise<boolean | undefined> {
    const { pair } = this.#options;
    let problem = 'nobody is protected';
    let isEqual: boolean | undefined;
    await this.#until(compareMs, async () => {
      const control = pair.roles?.primary.process.control;
      if (control === undefined) return false;
      const answer = await askNode<Verified>(control, 'verify').catch(asError);
      if (answer instanceof Error) problem = answer.message;
      else if (answer.ok) isEqual = answer.equal;
      else problem = answer.error;
      if (!(answer instanceof Error) && answer.ok && !answer.equal) {
        findings.push(...answer.differences.map((what) => `the cut differs: ${what}`));
      }
      return isEqual !== undefined;
    });
    if (isEqual === undefined) findings.push(`no cut was compared: ${problem}`);
    return isEqual;
  }

  /** Whether the guest has booted since it was looked at before. */
  async #lookAtGuest(findings: string[] = this.#findings): Promise<boolean> {
    const { pair } = this.#options;
    const primary = Object.values(pair.nodes).find(({ status }) => status?.role === 'primary');
    const control = primary?.process.control;
    if (control === undefined) return false;
    try {
      const { bootId, diskErrors } = await guestFacts(pair, control);
      this.#diskErrors = Math.max(this.#diskErrors, diskErrors);
      this.#seenText = await pair.pages.read('/ledger');
      const hasBooted = this.#bootId !== undefined && this.#bootId !== bootId;
      if (hasBooted) findings.push(`the guest's boot id was ${this.#bootId}, and is ${bootId}`);
      this.#bootId = bootId;
      return hasBooted;
    } catch (thrown) {
      findings.push(`the guest was not asked: ${asError(thrown).message}`);
      return false;
    }
  }

  /** Whether it holds in time. */
  async #until(deadlineMs: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    while (!(await holds())) {
      this.#options.signal.throwIfAborted();
      if (performance.now() > deadline) return false;
      await sleep(pollMs);
    }
    return true;
  }

  #line(): string {
    const { requestsOk = 0, requestsFailed = 0, countersAcknowledged = 0 } = this.#stats ?? {};
    return (
      `${this.#trials.length} faults, ${this.takeovers} takeovers, ${requestsOk} requests, ` +
      `${requestsFailed} failed, ${countersAcknowledged} counted`
    );
  }
}

type Verified =
  | { readonly ok: true; readonly equal: boolean; readonly differences: readonly string[] }
  | { readonly ok: false; readonly error: string };
