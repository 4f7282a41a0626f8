/**
 * What a node remembers of its arbiter, on disk: an arbiter that is another one, or that is empty,
 * is not believed.
 *
 * Layout of the file: one line of JSON,
 * `{"understudy":"known-arbiter","version":1,"identity":"9f86...","tookPart":true,"seen":7}`
 * (state-file.ts); perhaps with `claimed`, a holder. Earlier versions wrote no `seen`. A file that
 * is not there means that none was seen yet; one that cannot be understood is an error.
 */
import { z } from 'zod';
import { identityPattern } from '../arbiter/identity.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { term } from '../base/units.ts';
import type { KnownArbiter } from '../core/known-arbiter.ts';
import type { ArbiterMemory } from './identified-arbiter.ts';
import { StateFile } from './state-file.ts';

const fileSchema = z.strictObject({
  understudy: z.literal('known-arbiter'),
  version: z.literal(1),
  identity: z.string().regex(identityPattern),
  tookPart: z.boolean(),
  seen: z.int().nonnegative().default(0),
  claimed: z.string().optional(),
});

export class ArbiterFile implements ArbiterMemory {
  readonly #file: StateFile<KnownArbiter>;

  private constructor(file: string) {
    this.#file = new StateFile({
      path: file,
      kind: 'known-arbiter',
      parse: (found) => {
        const { identity, tookPart, seen, claimed } = fileSchema.parse(found);
        const last = claimed === undefined ? {} : { claimed };
        return { identity, tookPart, seen: term(seen), ...last };
      },
      hint: 'remove it if the arbiter in the pair file is the one that the pair always had',
    });
  }

  /** Throws `config` when the file is damaged. */
  static load(file: string): ArbiterFile {
    return new ArbiterFile(file);
  }

  get place(): string {
    return this.#file.path;
  }

  get known(): KnownArbiter | undefined {
    return this.#file.kept;
  }

  async save(known: KnownArbiter): Promise<void> {
    try {
      await this.#file.save(known);
    } catch (thrown) {
      throw new UnderstudyError('arbiter', `Cannot remember the arbiter in '${this.place}'`, {
        cause: asError(thrown),
        hint: 'make room, or set stateDir of the node to a directory that it may write to',
        mayPass: true,
      });
    }
  }
}
