/** Reads a results file, and refuses what it would misread. */
import { z } from 'zod';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { readOperatorFile } from '../../host/operator-file.ts';
import { type BenchResults, resultsFormat, resultsSchema } from '../results.ts';

/** A full run has some thousand samples, under 1 MB. */
const fileBytesMax = 64 * 2 ** 20;

const hint = 'give a file that `understudy bench` wrote';

/**
 * Throws `config` when the file is missing, is not JSON, has another format, or has a wrong field
 * (the first one is named); `rights` when this user may not read it.
 */
export function loadResults(file: string): BenchResults {
  const content = readOperatorFile({
    what: 'benchmark results',
    path: file,
    maxBytes: fileBytesMax,
    secret: false,
    hint,
  });
  return parseResults(content.toString('utf8'), file);
}

/** Of a text; `name` is for the messages. Throws like `loadResults`. */
export function parseResults(text: string, name: string): BenchResults {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (thrown) {
    throw unusable(name, 'it is not JSON', asError(thrown));
  }
  const format = formatOf(data);
  if (format === undefined) throw unusable(name, 'it has no `format`');
  if (format !== resultsFormat) {
    throw new UnderstudyError(
      'config',
      `Cannot use benchmark results '${name}': their format is ${JSON.stringify(format)}, and ` +
        `this version reads ${resultsFormat}`,
      { hint: 'read them with the version that wrote them, or measure again' },
    );
  }
  const checked = resultsSchema.safeParse(data);
  if (checked.success) return checked.data;
  const [first] = checked.error.issues;
  const where = z.core.toDotPath(first?.path ?? []);
  throw unusable(name, `${where}: ${first?.message ?? 'has the wrong shape'}`);
}

function formatOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'format' in data ? data.format : undefined;
}

function unusable(name: string, why: string, cause?: Error): UnderstudyError {
  return new UnderstudyError('config', `Cannot use benchmark results '${name}': ${why}`, {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
