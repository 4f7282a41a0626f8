/**
 * How this node and its peer come together, or do not: dials it, and says why they refuse each
 * other while they do.
 *
 * Contract
 *  1. A dial that follows failures, or copies that came to nothing, waits (attempts.ts).
 *  2. What the two refuse each other for is a concern until they meet, or have not tried for a
 *     while. Anybody who can dial may say that it is the peer: so only so many are told in a
 *     minute.
 */
import { limits } from '../base/limits.ts';
import type { NodeEffect } from '../core/effects.ts';
import type { Link } from '../ports/link.ts';
import { HelloRefused } from '../wire/hello.ts';
import { Attempts } from './attempts.ts';
import type { Concerns } from './concerns.ts';

export interface PeerAttemptsOptions {
  readonly concerns: Concerns;
  /** One attempt. */
  readonly dial: () => Promise<Link>;
}

export class PeerAttempts {
  readonly #options: PeerAttemptsOptions;
  readonly #dials: Attempts;
  readonly #copies: Attempts;
  #forget: NodeJS.Timeout | undefined;
  /** The last copy could take over. */
  #isGranted = false;
  #told: string | undefined;
  #tellings = 0;
  #minuteAt = Number.NEGATIVE_INFINITY;

  constructor(options: PeerAttemptsOptions) {
    this.#options = options;
    const { concerns } = options;
    const { dialRetryMsMax, copyRetryMsMax } = limits;
    this.#dials = new Attempts({
      tells: { about: 'peer', concerns },
      pauseMsMax: dialRetryMsMax,
    });
    this.#copies = new Attempts({
      tells: { about: 'seeding', concerns },
      pauseMsMax: copyRetryMsMax,
    });
  }

  async dial(): Promise<Link> {
    await Promise.all([this.#dials.pause(), this.#copies.pause()]);
    try {
      const link = await this.#options.dial();
      this.met();
      return link;
    } catch (thrown) {
      this.#dials.failed();
      if (thrown instanceof HelloRefused) this.refused(thrown);
      throw thrown;
    }
  }

  /** There is a link. */
  met(): void {
    clearTimeout(this.#forget);
    this.#told = undefined;
    this.#dials.succeeded();
  }

  refused({ message, hint }: HelloRefused): void {
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => this.#over(), limits.refusalLastsMs).unref();
    const problem = hint === undefined ? message : `${message}. ${hint}`;
    if (problem === this.#told || !this.#mayTell()) return;
    this.#told = problem;
    this.#options.concerns.tell('peer', problem);
  }

  /** What is done with copies: one that is never granted came to nothing, on whichever side. */
  watch(effect: NodeEffect): void {
    switch (effect.type) {
      case 'makeCopy':
        this.#isGranted = false;
        return;
      case 'copyGranted':
        this.#isGranted = true;
        this.#copies.succeeded();
        return;
      case 'discardCopy': {
        if (this.#isGranted) return;
        const problem = 'no copy comes up here, and the machine is not protected';
        this.#copies.failed(`${problem}: ${effect.reason}`);
        return;
      }
      default:
        return;
    }
  }

  #over(): void {
    this.#told = undefined;
    this.#options.concerns.tell('peer', undefined);
  }

  #mayTell(): boolean {
    const now = performance.now();
    if (now - this.#minuteAt >= 60_000) {
      this.#minuteAt = now;
      this.#tellings = 0;
    }
    this.#tellings += 1;
    return this.#tellings <= limits.refusalsToldPerMinute;
  }
}
