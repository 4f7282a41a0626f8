/** The signal with which an image wants to be stopped. */
import os from 'node:os';
import { UnderstudyError } from '../base/errors.ts';

/** Of Linux: what a program may use of those in real time begins and ends here. */
const realTime = { MIN: 34, MAX: 64 } as const;

/** Its number: of `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3`. Throws `config` for what is none. */
export function signalNumber(wanted: string): number {
  const name = wanted.toUpperCase().replace(/^SIG/, '');
  const [, end, sign, steps] = /^RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(name) ?? [];
  const number =
    end === undefined
      ? ((os.constants.signals as Record<string, number>)[`SIG${name}`] ?? Number(name))
      : realTime[end as keyof typeof realTime] + Number(`${sign ?? ''}${steps ?? 0}`);
  if (Number.isInteger(number) && number >= 1 && number <= realTime.MAX) return number;
  throw new UnderstudyError(
    'config',
    `The image has '${wanted}' as StopSignal, which is no signal`,
  );
}
