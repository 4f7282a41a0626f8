/**
 * What the guest says: held in the order it came, and let out when the core says so, to the egress
 * of its card or to whoever listens at its serial port.
 */
import { Distribution } from '../base/distribution.ts';
import type { CardEgresses } from '../egress/cards.ts';
import { type Channel, OutputQueue } from './machine/output-queue.ts';
import type { SerialPorts } from './machine/serial-ports.ts';
import type { Reporter } from './report.ts';

export interface OutputsOptions {
  readonly cards: number;
  readonly egress: CardEgresses;
  readonly serials: SerialPorts;
  readonly reporter: Reporter;
}

export class Outputs {
  readonly #options: OutputsOptions;
  readonly #queue = new OutputQueue();
  /** How long outputs waited, since the state changed: a guest alone waits for nothing. */
  #holdMs = new Distribution();
  #isOpen = false;
  /** What was let out before the egress was open. */
  #through = 0;
  #hasSpoken = false;

  constructor(options: OutputsOptions) {
    this.#options = options;
  }

  push(channel: Channel, bytes: Buffer): void {
    this.#queue.push({ channel, bytes, arrivedAt: performance.now() });
  }

  /**
   * The machine may be heard: announces it, then lets out what was let out already. Rejects when
   * its cards have no cable: what they send is lost then, the console works, and it may be tried
   * again.
   */
  async open(macs: readonly string[]): Promise<void> {
    const { egress } = this.#options;
    try {
      await egress.open();
      egress.announce(macs);
    } finally {
      this.#isOpen = true;
      if (this.#through > 0) this.release(this.#through);
    }
  }

  /** All up to and including this number leave. */
  release(through: number): void {
    this.#through = through;
    if (!this.#isOpen) return;
    const { egress, serials, reporter, cards } = this.#options;
    const frames: Buffer[][] = Array.from({ length: cards }, () => []);
    const now = performance.now();
    for (const { channel, bytes, arrivedAt } of this.#queue.take(through)) {
      if (channel.kind === 'nic') frames[channel.index]?.push(bytes);
      else serials.hubs[channel.index]?.output(bytes);
      this.#holdMs.add(now - arrivedAt);
    }
    for (const [card, ofCard] of frames.entries()) {
      if (ofCard.length > 0) egress.send(card, ofCard);
    }
    if (this.#hasSpoken) return;
    this.#hasSpoken = true;
    reporter.report({ type: 'firstOutput', at: performance.timeOrigin + now });
  }

  /** Counts the waits from here on. */
  beginCount(): void {
    this.#holdMs = new Distribution();
  }

  reportHolds(): void {
    const holds = this.#holdMs;
    const { reporter } = this.#options;
    reporter.report({
      type: 'hold',
      p50Ms: holds.p(0.5),
      p99Ms: holds.p(0.99),
      count: holds.count,
    });
  }

  async close(): Promise<void> {
    await this.#options.egress.close();
  }
}
