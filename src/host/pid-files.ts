/**
 * Pid files: what a node that was killed leaves for its next start to clear up.
 *
 * One JSON file a process, removed when the process ends. A process is identified by pid, start
 * time (field 22 of /proc/PID/stat, clock ticks since boot; unchanged by exec) and boot id.
 * The node that started it is recorded as well: while that one lives, nothing here is stale.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { hasEnded, type ProcStat, parseProcStat } from '../base/proc-stat.ts';
import { hostLimits } from './limits.ts';

const suffix = '.pid.json';

const identity = { pid: z.int().min(2), startTime: z.string() };
const pidFileSchema = z.object({
  name: z.string(),
  command: z.string(),
  ...identity,
  bootId: z.string(),
  node: z.object(identity),
});

export type PidFile = z.infer<typeof pidFileSchema>;

/** A process that was ended, or that had ended already and only left its file. */
export interface StaleProcess {
  readonly name: string;
  readonly pid: number;
  readonly command: string;
}

let currentBootId: string | undefined;

/** Changes with every boot of the machine: start times of different boots do not compare. */
export function bootId(): string {
  currentBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return currentBootId;
}

/** Start time of a process in clock ticks since boot; `undefined` when it is gone or a zombie. */
export function processStartTime(pid: number): string | undefined {
  const stat = readProcStat(pid);
  return stat === undefined || hasEnded(stat) ? undefined : stat.startTime;
}

/** `undefined`: it is gone. */
export function readProcStat(pid: number): ProcStat | undefined {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Records a child of this node; returns the file's path, to be removed when it has ended. */
export function writePidFile(runDir: string, name: string, pid: number, command: string): string {
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const content: PidFile = {
    name,
    command,
    pid,
    // A child that ended at once is a zombie now; its start time is still its own.
    startTime: readProcStat(pid)?.startTime ?? 'gone',
    bootId: bootId(),
    node: { pid: process.pid, startTime: readProcStat(process.pid)?.startTime ?? 'gone' },
  };
  const file = path.join(runDir, `${name.replaceAll('/', '_')}-${pid}${suffix}`);
  // Whole or not at all: the node may be killed here.
  writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return file;
}

/**
 * Ends every process that an earlier node left in `runDir` (SIGKILL, and waits until it is gone),
 * removes all their pid files, and returns those that were still running. For the start of a node.
 *
 * @throws UnderstudyError `resources` when another living node uses the directory, or a process
 * does not go; `rights` when a process belongs to somebody else.
 */
export async function endStale(runDir: string): Promise<StaleProcess[]> {
  const found = readPidFiles(runDir);
  const usedBy = found.find(({ content }) => content !== undefined && hasOtherLivingNode(content));
  if (usedBy?.content !== undefined) {
    throw new UnderstudyError(
      'resources',
      `Cannot use run directory '${runDir}': node process ${usedBy.content.node.pid} uses it`,
      { hint: 'stop that node, or give this one a run directory of its own' },
    );
  }
  const ended: StaleProcess[] = [];
  for (const { file, content } of found) {
    if (content?.node.pid === process.pid && isAlive(content.node, content.bootId)) continue;
    if (content !== undefined && isAlive(content, content.bootId)) {
      await end(content);
      ended.push({ name: content.name, pid: content.pid, command: content.command });
    }
    rmSync(file, { force: true });
  }
  return ended;
}

/** The living child processes recorded in `runDir`, for status and tests. */
export function livingOwned(runDir: string): PidFile[] {
  return readPidFiles(runDir)
    .map(({ content }) => content)
    .filter((content) => content !== undefined)
    .filter((content) => isAlive(content, content.bootId));
}

function readPidFiles(runDir: string): { file: string; content: PidFile | undefined }[] {
  let names: string[];
  try {
    names = readdirSync(runDir);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UnderstudyError('rights', `Cannot read run directory '${runDir}'`, {
      cause: asError(thrown),
    });
  }
  return names
    .filter((name) => name.endsWith(suffix) || name.endsWith(`${suffix}.new`))
    .map((name) => {
      const file = path.join(runDir, name);
      return { file, content: parse(file) };
    });
}

function parse(file: string): PidFile | undefined {
  try {
    return pidFileSchema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined; // cut short: the process in it had just been started by a dying node
  }
}

function isAlive(process: { pid: number; startTime: string }, boot: string): boolean {
  return boot === bootId() && processStartTime(process.pid) === process.startTime;
}

function hasOtherLivingNode({ node, bootId: boot }: PidFile): boolean {
  return node.pid !== process.pid && isAlive(node, boot);
}

async function end(stale: PidFile): Promise<void> {
  const until = performance.now() + hostLimits.killMs;
  try {
    process.kill(stale.pid, 'SIGKILL');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code !== 'ESRCH') {
      const what = `Cannot end process ${stale.pid} ('${stale.name}') of an earlier run`;
      throw new UnderstudyError('rights', what, {
        cause: asError(thrown),
        hint: 'run as the user who ran the node before, or end that process yourself',
      });
    }
  }
  while (isAlive(stale, stale.bootId)) {
    if (performance.now() > until) {
      throw new UnderstudyError(
        'resources',
        `Process ${stale.pid} ('${stale.name}') of an earlier run does not end`,
        { hint: 'it waits for the operating system: look for a disk or file system that hangs' },
      );
    }
    await sleep(hostLimits.killPollMs);
  }
}
