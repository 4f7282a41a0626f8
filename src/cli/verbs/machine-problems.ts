/** What is wrong with a machine, in the words of the options that describe it. */
import { UnderstudyError } from '../../base/errors.ts';
import type { Problem } from '../../hypervisor/vm-file/read.ts';

/** `wordFor`: a place in a VM file, as who wrote no VM file knows it. */
export function machineProblems(
  problems: readonly Problem[],
  words: {
    readonly what: string;
    readonly verb: string;
    readonly wordFor: (place: string) => string;
  },
): UnderstudyError {
  const { what, verb, wordFor } = words;
  const lines = problems.map(({ place, message }) => `${wordFor(place)}: ${message}`);
  return new UnderstudyError('config', `${what}:\n  ${lines.join('\n  ')}`, {
    hint: `see \`understudy ${verb} --help\``,
  });
}
