/**
 * The last term in which this node's machine spoke, on disk: what membership
 * (src/core/membership.ts) needs to know which node has the newest disks.
 *
 * Layout of the file: one line of JSON, `{"understudy":"spoken","version":1,"term":N}`. It is
 * replaced as a whole: written beside, flushed, renamed, and the directory flushed.
 *
 * Contract
 *  1. When `save` has resolved, the term survives a loss of power.
 *  2. A file that is not there means 0. One that cannot be understood is an error, not 0: a node
 *     that forgot that it spoke would leave newer disks unused.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import { makeDirectorySync, replaceFile } from '../host/durable-files.ts';

const fileSchema = z.strictObject({
  understudy: z.literal('spoken'),
  version: z.literal(1),
  term: z.number().int().min(0),
});

export class SpokenTerm {
  readonly #file: string;
  #term: Term;
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, term: Term) {
    this.#file = file;
    this.#term = term;
  }

  /** Throws `config` when the file is damaged and `rights` when its directory cannot be used. */
  static load(file: string): SpokenTerm {
    try {
      makeDirectorySync(path.dirname(file));
      fs.accessSync(path.dirname(file), fs.constants.W_OK);
    } catch (thrown) {
      throw new UnderstudyError('rights', `Cannot keep state in '${path.dirname(file)}'`, {
        cause: asError(thrown),
        hint: 'set stateDir of the node in the pair file to a directory that you may write',
      });
    }
    if (!fs.existsSync(file)) return new SpokenTerm(file, toTerm(0));
    try {
      const { term } = fileSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
      return new SpokenTerm(file, toTerm(term));
    } catch (thrown) {
      throw new UnderstudyError('config', `Cannot understand '${file}'`, {
        cause: asError(thrown),
        hint: 'remove it if the other node has the newer disks; otherwise start with --start-anew',
      });
    }
  }

  get term(): Term {
    return this.#term;
  }

  /**
   * One after the other: a slow disk may have the one before still to do, for a role that has
   * ended.
   */
  save(term: Term): Promise<void> {
    const saving = this.#saving.then(() => this.#write(term));
    this.#saving = saving.catch(() => undefined);
    return saving;
  }

  async #write(term: Term): Promise<void> {
    const line = { understudy: 'spoken', version: 1, term };
    await replaceFile(this.#file, `${JSON.stringify(line)}\n`);
    this.#term = term;
  }
}
