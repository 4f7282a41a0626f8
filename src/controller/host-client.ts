/** Asks a host at its control socket. */
import { UnderstudyError } from '../base/errors.ts';
import { errorOf, type Refusal } from '../node/refusal.ts';
import { askNode } from '../observe/control-client.ts';

/** Throws `link` when none answers, and what the host refuses with. */
export async function askHost<T extends object>(
  control: string,
  command: string,
  more: Readonly<Record<string, string>> = {},
): Promise<T> {
  const answer = await askNode<T | Refusal>(control, command, more).catch((thrown: unknown) => {
    throw new UnderstudyError('link', `No host answers on '${control}'`, {
      cause: thrown instanceof UnderstudyError ? thrown.cause : thrown,
      hint: 'start one with `understudy host`, and ask as the same user, with its --dir or --run-dir',
    });
  });
  if ('ok' in answer && answer.ok === false) throw errorOf(answer);
  return answer as T;
}
