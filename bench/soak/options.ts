/** Options of soaks and benchmarks: numbers within bounds, and one clear error for each other. */
import { asError, UnderstudyError } from '../../src/base/errors.ts';

/** Runs `parse`, node's own; says what it objects to, and how the program is called. */
export function parsedOr<T>(usage: string, parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    // Node adds advice on how to give what it takes for a file.
    const [what = ''] = asError(thrown).message.split(/[.\n]/);
    throw new UnderstudyError('config', what, { hint: usage });
  }
}

/** Throws `config` for anything but a number from `least` to `most`. */
export function within(name: string, text: string, least: number, most: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrongOption(name, `a number from ${least} to ${most}`, text);
}

/** Throws `config` for anything but a whole number from `least` to `most`. */
export function wholeWithin(name: string, text: string, most: number, least = 0): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrongOption(name, `a whole number from ${least} to ${most}`, text);
}

export const wrongOption = (name: string, wanted: string, text: string): UnderstudyError =>
  new UnderstudyError('config', `--${name} must be ${wanted}: current value is '${text}'`);
