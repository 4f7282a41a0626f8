/**
 * What a node remembers of its arbiter, on disk: an arbiter that is another one, or that is empty,
 * is not believed.
 *
 * Layout of the file: one line of JSON,
 * `{"understudy":"known-arbiter","version":1,"identity":"9f86...","tookPart":true}`. It is replaced
 * as a whole. One that is not there means that none was seen yet; one that cannot be understood is
 * an error.
 */
import fs from 'node:fs';
import { z } from 'zod';
import type { ArbiterMemory, KnownArbiter } from '../arbiter/identified.ts';
import { identityPattern } from '../arbiter/identity.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { replaceFile } from '../host/durable-files.ts';

const fileSchema = z.strictObject({
  understudy: z.literal('known-arbiter'),
  version: z.literal(1),
  identity: z.string().regex(identityPattern),
  tookPart: z.boolean(),
});

export class ArbiterFile implements ArbiterMemory {
  readonly place: string;
  #known: KnownArbiter | undefined;
  #saving: Promise<void> = Promise.resolve();

  private constructor(place: string, known: KnownArbiter | undefined) {
    this.place = place;
    this.#known = known;
  }

  /** Throws `config` when the file is damaged. */
  static load(file: string): ArbiterFile {
    if (!fs.existsSync(file)) return new ArbiterFile(file, undefined);
    try {
      const { identity, tookPart } = fileSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
      return new ArbiterFile(file, { identity, tookPart });
    } catch (thrown) {
      throw new UnderstudyError('config', `Cannot understand '${file}'`, {
        cause: asError(thrown),
        hint: 'remove it if the arbiter in the pair file is the one that the pair always had',
      });
    }
  }

  get known(): KnownArbiter | undefined {
    return this.#known;
  }

  save(known: KnownArbiter): Promise<void> {
    const saving = this.#saving.then(() => this.#write(known));
    this.#saving = saving.catch(() => undefined);
    return saving;
  }

  async #write(known: KnownArbiter): Promise<void> {
    const line = { understudy: 'known-arbiter', version: 1, ...known };
    try {
      await replaceFile(this.place, `${JSON.stringify(line)}\n`);
    } catch (thrown) {
      throw new UnderstudyError('arbiter', `Cannot remember the arbiter in '${this.place}'`, {
        cause: asError(thrown),
        hint: 'make room, or set stateDir of the node to a directory that it may write to',
        mayPass: true,
      });
    }
    this.#known = known;
  }
}
