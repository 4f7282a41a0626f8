/**
 * The last term in which this node's machine spoke, on disk: what membership
 * (src/core/membership.ts) needs to know which node has the newest disks.
 *
 * Layout of the file: one line of JSON, `{"understudy":"spoken","version":1,"term":N}`
 * (state-file.ts).
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
import { makeDirectorySync } from '../host/durable-files.ts';
import { StateFile } from './state-file.ts';

const fileSchema = z.strictObject({
  understudy: z.literal('spoken'),
  version: z.literal(1),
  term: z.number().int().min(0),
});

export class SpokenTerm {
  readonly #file: StateFile<{ readonly term: Term }>;

  private constructor(file: string) {
    this.#file = new StateFile({
      path: file,
      kind: 'spoken',
      parse: (found) => ({ term: toTerm(fileSchema.parse(found).term) }),
      hint: 'remove it if the other node has the newer disks; otherwise start with --start-anew',
    });
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
    return new SpokenTerm(file);
  }

  get term(): Term {
    return this.#file.kept?.term ?? toTerm(0);
  }

  /**
   * One after the other: a slow disk may have the one before still to do, for a role that has
   * ended.
   */
  save(term: Term): Promise<void> {
    return this.#file.save({ term });
  }
}
