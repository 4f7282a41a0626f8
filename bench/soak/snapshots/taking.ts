/** Has snapshots taken, one every so often, as the policy of a pair file has it done. */
import { asError } from '../../../src/base/errors.ts';
import { askNode } from '../../../src/observe/control-client.ts';

interface Answer {
  readonly ok: boolean;
  readonly error?: string;
}

/** What became of those that were due. */
export class Asked {
  taken = 0;
  /** Due while the one before was not stored: left out. */
  late = 0;
  /** Not taken, by reason. */
  readonly refused = new Map<string, number>();

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}

export class Taking {
  readonly #control: string;
  readonly #asked: Asked;
  readonly #timer: NodeJS.Timeout;
  #current: Promise<void> | undefined;

  /** `control`: the primary's socket. The first one is due at once. */
  constructor(control: string, everyMs: number, asked: Asked) {
    this.#control = control;
    this.#asked = asked;
    this.#timer = setInterval(() => this.#due(), everyMs);
    this.#due();
  }

  /** Waits for the one that is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#current;
  }

  #due(): void {
    if (this.#current !== undefined) {
      this.#asked.late += 1;
      return;
    }
    this.#current = this.#take().finally(() => {
      this.#current = undefined;
    });
  }

  async #take(): Promise<void> {
    const problem = await takeOne(this.#control);
    if (problem === undefined) this.#asked.taken += 1;
    else this.#asked.refuse(problem);
  }
}

/** Resolves when it is in the store, or with why there is none. */
export async function takeOne(control: string): Promise<string | undefined> {
  try {
    const { ok, error } = await askNode<Answer>(control, 'snapshot');
    return ok ? undefined : (error ?? 'no reason was given');
  } catch (thrown) {
    return asError(thrown).message;
  }
}
