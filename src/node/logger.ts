/**
 * A small port to the log lines of a node: one line a state change.
 *
 * The log is on the path of the machine: a node that waited for it would keep its outputs waiting.
 * So nothing waits for it (unwaiting-output.ts).
 */
import pino from 'pino';
import { UnwaitingOutput } from '../host/unwaiting-output.ts';

export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log, and where it goes. */
export interface OpenLog {
  readonly log: Logger;
  readonly output: UnwaitingOutput;
}

/** Writes JSON lines to stderr. `UNDERSTUDY_LOG` sets the level. @default 'info' */
export function openLog(node: string): OpenLog {
  const level = process.env.UNDERSTUDY_LOG ?? 'info';
  const name = `understudy-${node}`;
  const output = new UnwaitingOutput(2, {
    dropNotice: (lines) => {
      const notice: string[] = [];
      const once = pino({ name, level }, { write: (line: string) => void notice.push(line) });
      once.warn({ lines }, 'lines of this log are missing here: it was not taken');
      return notice.join('');
    },
  });
  return { log: pino({ name, level }, { write: (line: string) => output.write(line) }), output };
}
