/** The guest of the soak: the example guest, with the job on its disk. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { awaitOnConsole, runOnConsole } from '../guest-console.ts';

const source = fileURLToPath(new URL('job.c', import.meta.url));
const header = fileURLToPath(new URL('../../../guest', import.meta.url));

const bootMs = 120_000;

/** One that asks alone, and one of three processes that meet. */
export const jobs = [
  { name: 'alone', processes: 1 },
  { name: 'meeting', processes: 3 },
] as const;
export type Job = (typeof jobs)[number];

/** Compiles the job into `dir`. Throws `environment` without a compiler. */
export function compileJob(dir: string): string {
  const program = path.join(dir, 'job');
  try {
    const flags = ['-O2', '-Wall', '-Wextra', '-static', '-I', header, '-o', program];
    execFileSync('cc', [...flags, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (thrown) {
    throw new UnderstudyError('environment', 'The job cannot be compiled', {
      cause: asError(thrown),
      hint: 'run scripts/setup --tests, which installs a compiler',
    });
  }
  return program;
}

/** Puts a program into the file system of an image that nobody uses. */
export function putInto(image: string, program: string): void {
  const name = path.basename(program);
  const commands = `write ${program} ${name}\nset_inode_field ${name} mode 0100755\n`;
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  execFileSync('debugfs', ['-w', '-f', '-', image], {
    ...{ input: commands, env },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

/** What a run that nobody disturbs writes. */
export function undisturbed(program: string, lines: number): string[] {
  const text = execFileSync(program, ['--plain', String(lines)], { encoding: 'utf8' });
  return text.trimEnd().split('\n');
}

/** Its services answer. Throws when they do not in time. */
export async function guestReady(control: string): Promise<void> {
  await awaitOnConsole(control, 'understudy-guest ready', bootMs);
}

export async function startJobs(control: string, lines: number): Promise<void> {
  for (const { name, processes } of jobs) {
    const log = `/data/${name}.log`;
    await runOnConsole(
      control,
      `/data/job /data ${name} ${processes} ${lines} </dev/null >${log} 2>&1 & true`,
    );
  }
}

/** Lines of a file of the guest, without what the console adds. */
export async function linesOf(control: string, file: string): Promise<string[]> {
  const said = await runOnConsole(control, `cat ${file} 2>/dev/null`);
  return said.split(/\r?\n/).filter((line) => /^\d+ [0-9a-f]+$/.test(line));
}

/** Whether the jobs have written all. */
export async function areDone(control: string): Promise<boolean> {
  const said = await runOnConsole(control, 'ls -1 /data/*.done');
  return jobs.every(({ name }) => new RegExp(`^/data/${name}\\.done\\r?$`, 'm').test(said));
}

/** What the last restart told to each process of a job, by process. */
export async function lastRestart(control: string, { name, processes }: Job): Promise<number[]> {
  const told = await linesOf(control, `/data/${name}.restarts`);
  const last = new Map<number, number>();
  for (const line of told.slice(-processes)) {
    const [process = 0, at = 0] = line.split(' ').map(Number);
    last.set(process, at);
  }
  return [...last.values()];
}
