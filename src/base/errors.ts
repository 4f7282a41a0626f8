/**
 * One class for every operating error: what went wrong, why, and what to do next.
 *
 * Bugs are not `UnderstudyError`s: they assert and stop. A divergence of a backup is neither; it
 * is reported as data and healed.
 */
import { oneLine } from './text.ts';

/** Stable, documented in docs/errors.md; scripts may depend on them. */
export type ErrorCode =
  | 'config' // a file or option the operator wrote is wrong
  | 'log-format' // the event log is damaged or of an unknown version
  | 'state-format' // a device-state file is damaged or of an unknown version
  | 'qemu' // QEMU did not start, died, or refused a command
  | 'monitor' // the QMP connection failed or timed out
  | 'disk' // the storage daemon or an image failed
  | 'cut' // no valid cut could be made
  | 'takeover' // the takeover could not be proven complete
  | 'stall' // a replayer makes no progress although log is waiting
  | 'link' // the connection between the nodes failed or broke protocol
  | 'arbiter' // the arbiter did not answer or refused
  | 'rights' // the operating system refused; says which right is missing
  | 'store' // a snapshot is unknown, damaged or incomplete, or its store cannot be used
  | 'resources' // memory, disk space or a port is missing
  | 'environment'; // a program or feature that is needed is not there

export interface ErrorDetails {
  /** What the operator can do about it, as one imperative sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /**
   * It may pass by itself: the same may succeed later, with nothing changed here. @default false
   */
  readonly mayPass?: boolean;
}

export class UnderstudyError extends Error {
  override readonly name = 'UnderstudyError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly mayPass: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.mayPass = details.mayPass ?? false;
  }

  /** The message, the causes below it and the hint, one line each, for a terminal. */
  describe(): string {
    const lines = [this.message];
    for (let cause: unknown = this.cause; cause instanceof Error; cause = cause.cause) {
      lines.push(`  because: ${cause.message}`);
    }
    if (this.hint !== undefined) lines.push(`  try: ${this.hint}`);
    return lines.join('\n');
  }
}

/** An `Error` for anything that was thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Why, in one line, with all causes: for a log, a status, and the other node. */
export function reasonOf(thrown: unknown): string {
  const reasons: string[] = [];
  for (let error: unknown = asError(thrown); error instanceof Error; error = error.cause) {
    reasons.push(oneLine(error.message.trim()));
  }
  return reasons.join(': ');
}
