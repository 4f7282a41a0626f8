/**
 * What a machine is told to do for a while: seed, cut, stop, go on. One thing at a time, in order,
 * because each of them wants its monitor, and a stop inside of a cut would be neither.
 *
 * Contract
 *  1. Work is begun in the order in which it was wanted, the next when the one before was answered.
 *  2. Work that was not begun can be withdrawn; what was begun is always waited for.
 *  3. A guest that does not go on is told to again, `continueTriesMax` times in all.
 */
import { limits } from '../base/limits.ts';
import type { Millis } from '../base/units.ts';
import type { CutOrder } from '../ports/machine.ts';
import type { Emit, LinkId } from './effects.ts';

export type Work =
  | { readonly type: 'seed'; readonly seedId: string; readonly link: LinkId }
  | ({ readonly type: 'cut' } & CutOrder)
  | { readonly type: 'stop' }
  | { readonly type: 'go' };

export class MachineWork {
  readonly #emit: Emit;
  #waiting: Work[] = [];
  #present: Work | undefined;
  /** A guest that did not go on. */
  #goAgain: { readonly at: number; readonly tries: number } | undefined;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** What was begun and is not answered yet. */
  get present(): Work | undefined {
    return this.#present;
  }

  get isIdle(): boolean {
    return this.#present === undefined && this.#waiting.length === 0;
  }

  want(work: Work): void {
    this.#waiting.push(work);
    this.#begin();
  }

  /** Takes back what was not begun. */
  withdraw(isMeant: (work: Work) => boolean): void {
    this.#waiting = this.#waiting.filter((work) => !isMeant(work));
  }

  /** The present work was answered, if it is of this type. Returns it. */
  done(type: Work['type']): Work | undefined {
    const present = this.#present;
    if (present?.type !== type) return undefined;
    this.#present = undefined;
    this.#begin();
    return present;
  }

  /** The guest goes on. */
  wentOn(): void {
    this.#goAgain = undefined;
    this.done('go');
  }

  /** It does not. False: it was told often enough. */
  mayGoAgain(now: Millis): boolean {
    const tries = (this.#goAgain?.tries ?? 0) + 1;
    const isLast = tries >= limits.continueTriesMax;
    this.#goAgain = isLast ? undefined : { at: now + limits.continueRetryMs, tries };
    this.done('go');
    return !isLast;
  }

  timer(now: Millis): void {
    if (this.#goAgain === undefined || now < this.#goAgain.at) return;
    this.#goAgain = { ...this.#goAgain, at: Number.POSITIVE_INFINITY };
    this.want({ type: 'go' });
  }

  #begin(): void {
    if (this.#present !== undefined) return;
    this.#present = this.#waiting.shift();
    if (this.#present !== undefined) this.#emit(this.#present);
  }
}
