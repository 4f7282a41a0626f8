/**
 * A fact that a node keeps on disk: one line of JSON, `{"understudy":KIND,"version":1,...}`.
 *
 * Contract
 *  1. It is replaced as a whole: when `save` has resolved, it survives a loss of power.
 *  2. One save after the other: a slow disk may have the one before still to do.
 *  3. A file that is not there means that nothing was kept; one that cannot be understood is an
 *     error.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import { replaceFile } from '../host/durable-files.ts';

export interface StateFileOptions<T> {
  readonly path: string;
  /** What it is, in the file. */
  readonly kind: string;
  /** Takes what is in the file. Throws when that cannot be understood. */
  readonly parse: (found: unknown) => T;
  /** What to do about a file that cannot be understood. */
  readonly hint: string;
}

export class StateFile<T extends object> {
  readonly #options: StateFileOptions<T>;
  #kept: T | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** Throws `config` when the file is damaged. */
  constructor(options: StateFileOptions<T>) {
    this.#options = options;
    const { path, parse, hint } = options;
    if (!fs.existsSync(path)) return;
    try {
      this.#kept = parse(JSON.parse(fs.readFileSync(path, 'utf8')));
    } catch (thrown) {
      const cause = asError(thrown);
      throw new UnderstudyError('config', `Cannot understand '${path}'`, { cause, hint });
    }
  }

  get path(): string {
    return this.#options.path;
  }

  /** What the disk has; `undefined`: nothing. */
  get kept(): T | undefined {
    return this.#kept;
  }

  /** Rejects with what the file system says. */
  save(value: T): Promise<void> {
    const saving = this.#saving.then(() => this.#write(value));
    this.#saving = saving.catch(() => undefined);
    return saving;
  }

  async #write(value: T): Promise<void> {
    const { path, kind } = this.#options;
    await replaceFile(path, `${JSON.stringify({ understudy: kind, version: 1, ...value })}\n`);
    this.#kept = value;
  }
}
