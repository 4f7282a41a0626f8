/**
 * The soak's rounds: a phase of work, compares all along, then the primary is killed. A ledger in
 * the guest's database and an ssh session go on through all of it; only a reboot may break them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../../src/base/errors.ts';
import type { World } from '../../../src/lab/world.ts';
import type { Progress } from '../../../src/text/progress.ts';
import { formatMs } from '../../../src/text/units.ts';
import { EchoSession } from './echo-session.ts';
import type { Findings } from './findings.ts';
import type { DebianGuest } from './guest.ts';
import { Ledger } from './ledger.ts';
import type { LedgerRecord } from './ledger-record.ts';
import type { SoakedPair } from './pair.ts';
import { commandOf, type PhaseName } from './phases.ts';

/** A protected Debian on a machine that is busy with it. */
const rebootMs = 600_000;

export interface SoakOptions {
  readonly world: World;
  readonly pair: SoakedPair;
  readonly guest: DebianGuest;
  readonly findings: Findings;
  readonly phases: Iterator<PhaseName>;
  readonly soakMs: number;
  readonly roundMs: number;
  readonly everyMs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export class Soak {
  readonly #options: SoakOptions;
  #boot = '';
  /** A connection may break now. */
  #isRebooting = false;
  #lostLines = 0;
  #doubledLines = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  /** Returns what the ledger has, with the lines of the ssh sessions. */
  async run(): Promise<LedgerRecord> {
    const { guest, world, findings, soakMs, signal } = this.#options;
    this.#boot = await guest.bootId();
    const ledger = new Ledger(world, (atMs, reason) => {
      if (!this.#isRebooting) findings.others.push(`${new Date(atMs).toISOString()} ${reason}`);
    });
    const until = performance.now() + soakMs;
    let echo = await EchoSession.begin(guest);
    for (let round = 1; performance.now() < until && !signal.aborted; round += 1) {
      const phase = this.#options.phases.next().value as PhaseName;
      if (phase === 'reboot') await this.#judgeEcho(echo);
      await this.#round(round, phase);
      if (phase === 'reboot') echo = await EchoSession.begin(guest);
    }
    await this.#judgeEcho(echo);
    await this.#sameBoot();
    const { acknowledged, lost, doubled } = await ledger.stop();
    return { acknowledged, lost: lost + this.#lostLines, doubled: doubled + this.#doubledLines };
  }

  async #round(round: number, phase: PhaseName): Promise<void> {
    const { pair, findings, progress, roundMs, guest } = this.#options;
    const begun = performance.now();
    await this.#untilProtected();
    const protectedMs = performance.now() - begun;
    findings.seedMs.add(protectedMs);
    const work =
      phase === 'idle' || phase === 'reboot' ? undefined : guest.startWork(commandOf[phase]);
    const before = { compares: findings.compares, unequal: findings.unequal };
    const comparing = this.#compareFor(roundMs);
    if (phase === 'reboot') await this.#reboot();
    await comparing;
    await this.#untilProtected(); // a copy that was given up is a finding, not the end
    const killed = pair.primary.name;
    await pair.killPrimary();
    progress.event(
      `round ${round}, ${phase}: protected after ${formatMs(protectedMs)}, ` +
        `${findings.compares - before.compares} compares, ` +
        `${findings.unequal - before.unequal} unequal; node ${killed} killed`,
    );
    work?.stdin.end();
  }

  async #untilProtected(): Promise<void> {
    const { pair, findings } = this.#options;
    if (await pair.untilProtected()) findings.others.push('a machine moved that nobody killed');
  }

  async #compareFor(ms: number): Promise<void> {
    const { pair, findings, everyMs, signal, progress } = this.#options;
    const until = performance.now() + ms;
    while (performance.now() < until && !signal.aborted) {
      const compared = await pair
        .compare()
        .catch((thrown) => ({ type: 'refused' as const, reason: asError(thrown).message }));
      if (compared.type === 'refused') {
        findings.refuse(compared.reason);
      } else {
        findings.compares += 1;
        if (!compared.equal) {
          findings.unequal += 1;
          progress.event(`unequal: ${compared.differences.join('; ').slice(0, 500)}`);
        }
      }
      progress.status(
        `${findings.takeovers} takeovers, ${findings.compares} compares, ` +
          `${findings.unequal} unequal, ${findings.stalls.length} stalls`,
      );
      await sleep(everyMs);
    }
  }

  async #reboot(): Promise<void> {
    const { guest } = this.#options;
    this.#isRebooting = true;
    await this.#sameBoot();
    await guest.reboot(rebootMs);
    this.#boot = await guest.untilUp(rebootMs, this.#boot);
    // What the ledger was told of the old connections may come later.
    await sleep(this.#options.everyMs);
    this.#isRebooting = false;
  }

  async #sameBoot(): Promise<void> {
    const { guest, findings } = this.#options;
    // Behind a takeover a busy guest may let ssh wait for longer than that does.
    const boot = await guest.untilUp(rebootMs);
    if (boot === this.#boot) return;
    findings.others.push('the guest is in another boot, and nobody rebooted it');
    this.#boot = boot;
  }

  async #judgeEcho(echo: EchoSession): Promise<void> {
    const { sent, lost, doubled, isBroken } = await echo.end();
    this.#lostLines += isBroken ? 0 : lost;
    this.#doubledLines += doubled;
    if (isBroken) this.#options.findings.others.push(`the ssh session broke at line ${sent}`);
  }
}
