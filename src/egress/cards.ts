/**
 * The egresses of all network cards of a guest: card N speaks on the Nth, and on no other.
 *
 * Together they are one mouth: `open` opens all of them or none.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Egress } from '../ports/egress.ts';
import { egressFromSpec, parseEgressSpec } from './from-spec.ts';

/**
 * The spec of each card. One text is that of the first card, and the others have none; a list has
 * one for each. Throws `config` for any other number, for what is no spec, and for a tap given
 * twice.
 */
export function cardSpecs(egress: string | readonly string[], cards: number): readonly string[] {
  const specs = typeof egress === 'string' ? [egress] : egress;
  const taps = new Set<string>();
  for (const spec of specs) {
    const parsed = parseEgressSpec(spec);
    if (parsed.kind !== 'tap') continue;
    if (taps.has(parsed.name)) {
      throw new UnderstudyError(
        'config',
        `Cannot use '${spec}' as egress of two cards: a tap is one cable`,
        {
          hint: 'give each card a tap of its own; both may be ports of one bridge',
        },
      );
    }
    taps.add(parsed.name);
  }
  if (typeof egress === 'string') {
    return Array.from({ length: cards }, (_, card) => (card === 0 ? egress : 'none'));
  }
  if (specs.length !== cards) {
    throw new UnderstudyError(
      'config',
      `Cannot connect the machine: it has ${cards} network cards, and 'egress' lists ${specs.length}`,
      { hint: 'list one egress for each card, in the order of the VM file; `none` for no network' },
    );
  }
  return specs;
}

export class CardEgresses {
  readonly #make: () => readonly Egress[];
  #egresses: readonly Egress[];
  #listener: ((card: number, frame: Buffer) => void) | undefined;
  #isClosed = false;

  /** `make` gives one for each card, none of them opened before. */
  constructor(make: () => readonly Egress[]) {
    this.#make = make;
    this.#egresses = make();
  }

  static fromSpecs(specs: readonly string[]): CardEgresses {
    return new CardEgresses(() => specs.map((spec) => egressFromSpec(spec)));
  }

  async prepare(): Promise<void> {
    await Promise.all(this.#egresses.map((egress) => egress.prepare()));
  }

  /** Rejects when one cannot be opened; nothing is open then, and it may be tried again. */
  async open(): Promise<void> {
    const opened = await Promise.allSettled(this.#egresses.map((egress) => egress.open()));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    await this.#closeAll();
    if (!this.#isClosed) {
      this.#egresses = this.#make();
      this.#listen();
    }
    throw failed.reason;
  }

  /** Frames of one card; see `Egress.send`. */
  send(card: number, frames: readonly Buffer[]): void {
    this.#egresses[card]?.send(frames);
  }

  /** Sets the one listener; set it before `open`. */
  onFrame(listener: (card: number, frame: Buffer) => void): void {
    this.#listener = listener;
    this.#listen();
  }

  /** The address of each card, by card: each is announced where its card is. */
  announce(macs: readonly string[]): void {
    for (const [card, egress] of this.#egresses.entries()) {
      const mac = macs[card];
      if (mac !== undefined) egress.announce([mac]);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#closeAll();
  }

  #listen(): void {
    for (const [card, egress] of this.#egresses.entries()) {
      egress.onFrame((frame) => this.#listener?.(card, frame));
    }
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#egresses.map((egress) => egress.close()));
  }
}
