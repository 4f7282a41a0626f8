/**
 * The sets of a group, as files: `SET.json` in a directory.
 *
 * Contract
 *  1. A set is there, whole, when `write` resolves, and survives the loss of power; before that
 *     there is nothing of it under its name.
 *  2. A set that is damaged is named as such, and never given out.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { epoch, icount, logPosition, term } from '../base/units.ts';
import { flushPath, makeDirectory, replaceFile } from '../host/durable-files.ts';

const natural = z.int().min(0);

const memberSchema = z.strictObject({
  pair: z.string(),
  store: z.string(),
  snapshot: z.string(),
  term: natural.transform(term),
  epoch: natural.transform(epoch),
  position: natural.transform(logPosition),
  icount: natural.transform(icount),
  /** How long outputs were held for its line, milliseconds. */
  heldMs: z.number().min(0),
});

const setSchema = z.strictObject({
  understudy: z.literal('group-set'),
  version: z.literal(1),
  group: z.string(),
  set: z.string(),
  /** When it was begun, milliseconds since 1970, by its coordinator's clock. */
  takenAtMs: z.number(),
  members: z.record(z.string(), memberSchema),
});

export type GroupSet = Omit<z.infer<typeof setSchema>, 'understudy' | 'version'>;

const suffix = '.json';

export class Sets {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Throws `resources` when it cannot be written; there is nothing of it then. */
  async write(set: GroupSet): Promise<void> {
    const file = this.#file(set.set);
    const text = JSON.stringify({ understudy: 'group-set', version: 1, ...set }, null, 2);
    try {
      await makeDirectory(this.directory);
      await replaceFile(file, `${text}\n`);
    } catch (thrown) {
      for (const left of [file, `${file}.new`]) {
        await fs.promises.rm(left, { force: true }).catch(() => undefined);
      }
      throw new UnderstudyError('resources', `Cannot write set '${set.set}' to '${file}'`, {
        cause: asError(thrown),
        hint: 'give the directory of `sets` room, and the right to write there',
      });
    }
  }

  /** Oldest first: names begin with the time. Damaged ones are in `damaged`, by name. */
  list(): { readonly sets: readonly GroupSet[]; readonly damaged: readonly string[] } {
    const names = fs.existsSync(this.directory) ? fs.readdirSync(this.directory).sort() : [];
    const sets: GroupSet[] = [];
    const damaged: string[] = [];
    for (const name of names) {
      if (!name.endsWith(suffix)) continue;
      const id = name.slice(0, -suffix.length);
      try {
        sets.push(this.read(id));
      } catch {
        damaged.push(id);
      }
    }
    return { sets, damaged };
  }

  /** Throws `store` when there is none of this name, or it is damaged. */
  read(id: string): GroupSet {
    let text: string;
    try {
      text = fs.readFileSync(this.#file(id), 'utf8');
    } catch (thrown) {
      throw new UnderstudyError('store', `There is no set '${id}' in '${this.directory}'`, {
        cause: asError(thrown),
        hint: 'list them with `understudy group ls`',
      });
    }
    try {
      const { understudy: _, version: __, ...set } = setSchema.parse(JSON.parse(text));
      if (set.set !== id) throw new Error(`it says that it is '${set.set}'`);
      return set;
    } catch (thrown) {
      throw new UnderstudyError('store', `Set '${id}' in '${this.directory}' is damaged`, {
        cause: asError(thrown),
        hint: 'use another set; `understudy group rm` removes this one',
      });
    }
  }

  /** Throws `store` when there is none of this name. */
  async remove(id: string): Promise<void> {
    try {
      fs.rmSync(this.#file(id));
    } catch (thrown) {
      throw new UnderstudyError('store', `There is no set '${id}' in '${this.directory}'`, {
        cause: asError(thrown),
        hint: 'list them with `understudy group ls`',
      });
    }
    await flushPath(this.directory);
  }

  #file(id: string): string {
    // What a person typed: no way out of the directory.
    return path.join(this.directory, `${id.replaceAll('/', '_')}${suffix}`);
  }
}
