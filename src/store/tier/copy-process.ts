/** The copying process as its node sees it. */
import { errorFrom } from '../../base/error-parts.ts';
import { UnderstudyError } from '../../base/errors.ts';
import { ownProgram } from '../../host/own-program.ts';
import { type OwnedProcess, spawnOwned } from '../../host/processes.ts';
import { storeLimits } from '../limits.ts';
import type { CopyMessage, CopyOrder, CopyWord } from './news.ts';

export interface CopyProcessOptions {
  readonly order: CopyOrder;
  /**
   * Directory of its pid file. None of those that a start of the node waits for: one that hangs in
   * a system call does not go when it is killed.
   */
  readonly pidDir: string;
  readonly onMessage: (message: CopyMessage) => void;
  /** `isExpected`: it was ended, or ended itself when it was done. */
  readonly onExit: (isExpected: boolean) => void;
}

export interface CopyProcess {
  say(word: CopyWord): void;
  /** It may finish the step that it does; it is not waited for longer than that takes. */
  end(): Promise<void>;
}

/** Throws as `spawnOwned`. */
export function startCopying({ onExit, ...options }: CopyProcessOptions): CopyProcess {
  const child = start(options, [], (code, expected) => onExit(expected || code === 0));
  return { say: (word) => child.send(word), end: () => end(child) };
}

/**
 * Has a process look whether the other store's directory will do. Throws `config` when it never
 * will. One that is away, or does not answer in time, may be there later: then it is told by who
 * copies.
 */
export async function checkPlace(
  order: CopyOrder,
  pidDir: string,
  { ms = storeLimits.copyCheckMs }: { readonly ms?: number } = {},
): Promise<void> {
  let refusal: Error | undefined;
  const onMessage = (message: CopyMessage): void => {
    if (message.type === 'failed') refusal = errorFrom(message.error);
  };
  const child = start({ order, pidDir, onMessage }, ['check']);
  const ended = await child.exitedWithin(ms);
  if (ended === undefined) void end(child);
  if (refusal instanceof UnderstudyError && refusal.code === 'config') throw refusal;
}

function start(
  { order, pidDir, onMessage }: Omit<CopyProcessOptions, 'onExit'>,
  more: readonly string[],
  onExit: (code: number | null, expected: boolean) => void = () => undefined,
): OwnedProcess {
  const program = ownProgram(import.meta.url, './copy-main');
  const niceness = String(storeLimits.copyNiceness);
  return spawnOwned({
    name: 'copier',
    command: 'nice',
    args: ['-n', niceness, process.execPath, ...program, JSON.stringify(order), ...more],
    runDir: pidDir,
    errorCode: 'store',
    onMessage: (message) => onMessage(message as CopyMessage),
    onExit: ({ code, expected }) => onExit(code, expected),
  });
}

/** It lets the other store go when it can; one that hangs is killed, and left to the kernel. */
async function end(child: OwnedProcess): Promise<void> {
  const { copyEndMs, copyKillMs } = storeLimits;
  const ending = child.kill('SIGTERM', { terminateMs: copyEndMs }).catch(() => undefined);
  await Promise.race([ending, child.exitedWithin(copyEndMs + copyKillMs)]);
}
