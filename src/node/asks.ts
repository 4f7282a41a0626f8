/** Questions of people and programs, as promises: the core answers each of them once. */
import { UnderstudyError } from '../base/errors.ts';
import { type Resolvers, withResolvers } from '../base/with-resolvers.ts';
import type { Answer } from '../core/effects.ts';

type Given = Exclude<Answer, { type: 'refused' }>;

export class Asks {
  readonly #waiting = new Map<number, Resolvers<Given>>();
  #next = 1;
  #whyEnded: string | undefined;

  /** Asks by `put`, and resolves with the answer. Throws what the core refused with. */
  async ask(put: (ask: number) => void): Promise<Given> {
    if (this.#whyEnded !== undefined) throw ended(this.#whyEnded);
    const ask = this.#next;
    this.#next += 1;
    const waiting = withResolvers<Given>();
    this.#waiting.set(ask, waiting);
    put(ask);
    return await waiting.promise;
  }

  answered(ask: number, answer: Answer): void {
    const waiting = this.#waiting.get(ask);
    this.#waiting.delete(ask);
    if (answer.type !== 'refused') {
      waiting?.resolve(answer);
      return;
    }
    const { code, problem, hint, mayPass } = answer;
    waiting?.reject(
      new UnderstudyError(code, problem, {
        ...(hint === undefined ? {} : { hint }),
        ...(mayPass === undefined ? {} : { mayPass }),
      }),
    );
  }

  /** The node ends: nobody is answered any more. */
  end(why: string): void {
    this.#whyEnded ??= why;
    for (const waiting of this.#waiting.values()) waiting.reject(ended(why));
    this.#waiting.clear();
  }
}

const ended = (why: string): UnderstudyError =>
  new UnderstudyError('cut', `This node ended: ${why}`);
