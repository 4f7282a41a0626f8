/** What a QEMU that has ended said of it, for who only finds that its monitor does not answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { QemuInstance } from './instance.ts';

/** The error to throw instead of `thrown`: `what` ended, and why, if that is the reason. */
export async function whyEnded(
  what: string,
  { exited }: Pick<QemuInstance, 'exited'>,
  thrown: unknown,
): Promise<Error> {
  const error = asError(thrown);
  if (!(error instanceof UnderstudyError) || error.code !== 'monitor') return error;
  const info = await Promise.race([exited, sleep(limits.haltAnswerMs)]);
  if (info === undefined) return error;
  const said = info.stderr.trim() || 'it printed nothing';
  return new UnderstudyError('stall', `${what} ended (${info.reason}): ${said}`, { cause: error });
}
