/**
 * What the nodes of a guest tell about themselves, cut into stretches: log, lag, hold, memory and
 * the processor time of the node processes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Subscription } from 'rxjs';
import { Distribution } from '../../base/distribution.ts';
import { limits } from '../../base/limits.ts';
import type { WatchEvent } from '../../observe/control-client.ts';
import type { Job, LagRun, LogRun, MemoryRun } from '../results.ts';
import type { PairGuest } from './guest.ts';

type EventOf<T extends WatchEvent['type']> = Extract<WatchEvent, { type: T }>;

export interface Stretch {
  readonly lag: LagRun;
  readonly log: LogRun;
  readonly epochs: number;
}

export class NodeFigures {
  readonly #guest: PairGuest;
  readonly #watching: Subscription[] = [];
  readonly #rssBytes = { primary: 0, backup: 0 };
  #lagMs = new Distribution();
  #log: EventOf<'log'> | undefined;
  #hold: EventOf<'hold'> | undefined;

  constructor(guest: PairGuest) {
    this.#guest = guest;
    for (const role of ['primary', 'backup'] as const) {
      this.#watching.push(guest[role].events.subscribe((event) => this.#take(role, event)));
    }
  }

  /** All outputs since the guest is protected. */
  get hold(): EventOf<'hold'> | undefined {
    return this.#hold;
  }

  get memory(): MemoryRun[] {
    return (['primary', 'backup'] as const).map((role) => ({
      role,
      rssBytes: this.#rssBytes[role],
    }));
  }

  /** Figures of the time that `work` takes; undefined when it was too short for two reports. */
  async during(
    what: Job | 'idle',
    work: () => Promise<unknown>,
    guestTimerHz = 0,
  ): Promise<Stretch | undefined> {
    this.#lagMs = new Distribution();
    const before = await this.#nextLog();
    const cpuBefore = this.#cpuSeconds();
    await work();
    const cpuAfter = this.#cpuSeconds();
    const after = await this.#nextLog();
    const seconds = (after.ms - before.ms) / 1000;
    if (!(seconds > 0)) return undefined;
    return {
      lag: {
        during: what,
        p50Ms: this.#lagMs.p(0.5),
        p99Ms: this.#lagMs.p(0.99),
        samples: this.#lagMs.count,
      },
      log: {
        during: what,
        guestTimerHz,
        seconds,
        rawBytes: after.rawBytes - before.rawBytes,
        wireBytes: after.wireBytes - before.wireBytes,
        instructions: after.icount - before.icount,
        nodeCpuSeconds: {
          primary: cpuAfter.primary - cpuBefore.primary,
          backup: cpuAfter.backup - cpuBefore.backup,
        },
      },
      epochs: after.epochs - before.epochs,
    };
  }

  close(): void {
    for (const subscription of this.#watching) subscription.unsubscribe();
  }

  #take(role: 'primary' | 'backup', event: WatchEvent): void {
    if (event.type === 'lag' && role === 'backup') this.#lagMs.add(event.ms);
    else if (event.type === 'log' && role === 'primary') this.#log = event;
    else if (event.type === 'hold' && role === 'primary') this.#hold = event;
    else if (event.type === 'memory') {
      this.#rssBytes[role] = Math.max(this.#rssBytes[role], event.rssBytes);
    }
  }

  /** The node's figures come by themselves: waits for the next ones. */
  async #nextLog(): Promise<EventOf<'log'>> {
    const last = this.#log;
    while (this.#log === last || this.#log === undefined) await sleep(limits.coreTimerMs);
    return this.#log;
  }

  #cpuSeconds(): { primary: number; backup: number } {
    const { primary, backup } = this.#guest;
    return { primary: primary.processorSeconds().node, backup: backup.processorSeconds().node };
  }
}
