/** Runs `ip` (iproute2) with a batch of commands: one process for several changes. */
import { spawn } from 'node:child_process';
import { asError, UnderstudyError } from '../base/errors.ts';
import { egressLimits } from './limits.ts';

export interface IpOptions {
  /** Network namespace the commands work in. @default that of this process */
  readonly netns?: string | undefined;
}

/** Runs the lines in order; stops at the first that fails and says which. */
export function runIp(lines: readonly string[], options: IpOptions = {}): Promise<void> {
  const args = [...(options.netns === undefined ? [] : ['-n', options.netns]), '-batch', '-'];
  return new Promise((resolve, reject) => {
    const child = spawn('ip', args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      timeout: egressLimits.ipCommandMs,
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(0, 2000);
    });
    child.stdin.on('error', () => {}); // a failed start or an early end; `close` tells
    child.on('error', (error) => reject(notStarted(error)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(refused(lines, said));
    });
    child.stdin.end(`${lines.join('\n')}\n`);
  });
}

function notStarted(error: unknown): UnderstudyError {
  return new UnderstudyError('environment', "Cannot run 'ip' to set up the network", {
    cause: asError(error),
    hint: 'install iproute2',
  });
}

function refused(lines: readonly string[], said: string): UnderstudyError {
  const failed = Number(/Command failed -:(\d+)/.exec(said)?.[1] ?? 1);
  const denied = said.includes('Operation not permitted');
  const reason = said
    .split('\n')
    .find((line) => line !== '' && !line.startsWith('Command failed'))
    ?.trim();
  return new UnderstudyError(
    denied ? 'rights' : 'environment',
    `'ip ${lines[failed - 1] ?? lines.join('; ')}' failed: ${reason ?? 'no reason given'}`,
    denied ? { hint: 'run as root (CAP_NET_ADMIN)' } : {},
  );
}
