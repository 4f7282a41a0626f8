// A guest with several cards: each speaks on its own wire, is heard on it, and is announced on it.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { CardEgresses, cardSpecs } from '../../src/egress/cards.ts';
import type { Egress, FrameListener } from '../../src/ports/egress.ts';

/** A wire that notes what is done with it. */
class Wire implements Egress {
  readonly done: string[] = [];
  listener: FrameListener = () => undefined;
  readonly #cannotOpen: boolean;

  constructor(cannotOpen = false) {
    this.#cannotOpen = cannotOpen;
  }
  async prepare(): Promise<void> {
    this.done.push('prepare');
  }
  async open(): Promise<void> {
    if (this.#cannotOpen) throw new UnderstudyError('rights', 'no right to open');
    this.done.push('open');
  }
  send(frames: readonly Buffer[]): void {
    this.done.push(...frames.map((frame) => frame.toString()));
  }
  onFrame(listener: FrameListener): void {
    this.listener = listener;
  }
  announce(macs: readonly string[]): void {
    this.done.push(`announce ${macs.join()}`);
  }
  onDown(): void {}
  stats(): never {
    throw new Error('nobody asks');
  }
  async close(): Promise<void> {
    this.done.push('close');
  }
}

describe('the egresses of several cards', () => {
  it('keep each card on its own wire, both ways', async () => {
    const wires = [new Wire(), new Wire()] as const;
    const cards = new CardEgresses(() => wires);
    const heard: string[] = [];
    cards.onFrame((card, frame) => heard.push(`${card}: ${frame.toString()}`));
    await cards.prepare();
    await cards.open();
    cards.send(1, [Buffer.from('one'), Buffer.from('two')]);
    cards.send(0, [Buffer.from('three')]);
    wires[1].listener(Buffer.from('to the second'));
    wires[0].listener(Buffer.from('to the first'));
    await cards.close();
    expect(wires[0].done).toEqual(['prepare', 'open', 'three', 'close']);
    expect(wires[1].done).toEqual(['prepare', 'open', 'one', 'two', 'close']);
    expect(heard).toEqual(['1: to the second', '0: to the first']);
  });

  it('announce each address where its card is, and nowhere else', () => {
    // Goal: a switch must not learn the way to a card on the network of another.
    const wires = [new Wire(), new Wire()] as const;
    new CardEgresses(() => wires).announce(['52:54:00:00:00:01', '52:54:00:00:00:02']);
    expect(wires.map(({ done }) => done)).toEqual([
      ['announce 52:54:00:00:00:01'],
      ['announce 52:54:00:00:00:02'],
    ]);
  });

  it('one cannot be opened: none stays open', async () => {
    const wires = [new Wire(), new Wire(true)] as const;
    await expect(new CardEgresses(() => wires).open()).rejects.toThrow('no right to open');
    expect(wires[0].done).toEqual(['open', 'close']);
  });
});

describe('the specs of the cards', () => {
  it('one text is for the first card; a list has one for each', () => {
    expect(cardSpecs('tap:a', 1)).toEqual(['tap:a']);
    expect(cardSpecs('tap:a', 3)).toEqual(['tap:a', 'none', 'none']);
    expect(cardSpecs('none', 0)).toEqual([]);
    expect(cardSpecs(['none', 'tap:b,bridge=br1'], 2)).toEqual(['none', 'tap:b,bridge=br1']);
    expect(cardSpecs([], 0)).toEqual([]);
  });

  it.each([
    [['tap:a'], 2, /2 network cards, and 'egress' lists 1/],
    [['tap:a', 'none'], 1, /1 network cards, and 'egress' lists 2/],
    [['tap:a', 'tap:a,bridge=br0'], 2, /'tap:a,bridge=br0' as egress of two cards/],
    [['tap:a', 'tip:b'], 2, /'tip:b' as egress/],
    ['tip:b', 0, /'tip:b' as egress/],
  ])('%j for %i cards is refused', (egress, cards, message) => {
    expect(() => cardSpecs(egress, cards)).toThrow(message);
    expect(() => cardSpecs(egress, cards)).toThrow(expect.objectContaining({ code: 'config' }));
  });

  it('may be tried again when one cannot be opened, with wires that were never opened', async () => {
    // Goal: a machine that took over without a network gets it when somebody has repaired it.
    const made: Wire[] = [];
    const cards = new CardEgresses(() => {
      made.push(new Wire(made.length === 0));
      return made.slice(-1);
    });
    const heard: string[] = [];
    cards.onFrame((card, frame) => heard.push(`${card}: ${frame.toString()}`));
    await expect(cards.open()).rejects.toThrow('no right to open');
    await cards.open();
    made[1]?.listener(Buffer.from('at last'));
    expect([made.length, made[1]?.done, heard]).toEqual([2, ['open'], ['0: at last']]);
  });
});
