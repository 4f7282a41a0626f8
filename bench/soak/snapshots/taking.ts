/**
 * Has snapshots taken, one every so often, as the policy of a pair file has it done; or compares
 * only.
 */
import { asError } from '../../../src/base/errors.ts';
import { askNode } from '../../../src/observe/control-client.ts';

interface Answer {
  readonly ok: boolean;
  readonly error?: string;
}

/** What is asked of the primary: to keep a cut, or to compare only, which is a part of that. */
export type CutCommand = 'snapshot' | 'verify';

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
  readonly #take: () => Promise<void>;
  readonly #asked: Asked;
  #timer: NodeJS.Timeout;
  #current: Promise<void> | undefined;

  /**
   * `control`: the primary's socket. The first one is due after half a period: as many as there are
   * periods.
   */
  constructor(
    control: string,
    everyMs: number,
    { asked, command = 'snapshot' }: { readonly asked: Asked; readonly command?: CutCommand },
  ) {
    this.#asked = asked;
    this.#take = async () => {
      const problem = await takeOne(control, command);
      if (problem !== undefined) asked.refuse(problem);
      else if (command === 'snapshot') asked.taken += 1;
    };
    this.#timer = setTimeout(() => {
      this.#timer = setInterval(() => this.#due(), everyMs);
      this.#due();
    }, everyMs / 2);
  }

  /** Waits for the one that is under way. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer); // an interval, too
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
}

/** Resolves when it is in the store, or was compared; with why not otherwise. */
export async function takeOne(
  control: string,
  command: CutCommand = 'snapshot',
): Promise<string | undefined> {
  try {
    const { ok, error } = await askNode<Answer>(control, command);
    return ok ? undefined : (error ?? 'no reason was given');
  } catch (thrown) {
    return asError(thrown).message;
  }
}
