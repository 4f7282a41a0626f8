/** A small port to the log lines of a node: one line a state change. */
import pino from 'pino';

export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Writes JSON lines to stderr. `UNDERSTUDY_LOG` sets the level. @default 'info' */
export function createLogger(node: string): Logger {
  const level = process.env.UNDERSTUDY_LOG ?? 'info';
  return pino({ name: `understudy-${node}`, level }, pino.destination({ fd: 2, sync: true }));
}
