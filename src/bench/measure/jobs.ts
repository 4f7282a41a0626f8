/**
 * What the guest is given to do, and how much of it: as much as takes plain TCG the same time for
 * each job, so that none drowns in the noise of starting it.
 */

import { type Job, jobs } from '../results.ts';
import type { Client } from './client.ts';
import { benchLimits } from './limits.ts';

/** Units of each job. */
export type JobSizes = Readonly<Record<Job, number>>;

type Disk = 'diskread' | 'diskwrite' | 'syncwrite';

/** Does a job once. Returns milliseconds, measured outside of the guest. */
export async function runJob(client: Client, job: Job, sizes: JobSizes): Promise<number> {
  if (job === 'http') return askPages(client, sizes.http);
  if (job !== 'mixed') return work(client, job, sizes[job]);
  // A third of each: they share one processor.
  const third = (units: number): number => Math.max(1, Math.round(units / 3));
  const begun = performance.now();
  await Promise.all([
    work(client, 'cpu', third(sizes.cpu)),
    work(client, 'diskwrite', third(sizes.diskwrite)),
    askPages(client, third(sizes.http)),
  ]);
  return performance.now() - begun;
}

/** The disk jobs make their file at their first run. */
export const warmUp = (client: Client, sizes: JobSizes): Promise<number> =>
  runJob(client, 'diskread', { ...sizes, diskread: 1 });

/**
 * How much of each job takes this guest `ms`. Begins with one unit and asks for more until it
 * counts.
 */
export async function sizeJobs(client: Client, ms: number): Promise<JobSizes> {
  const sizes: Record<Job, number> = {
    cpu: 1,
    fork: 1,
    diskread: 1,
    diskwrite: 1,
    syncwrite: 1,
    http: 1,
    mixed: 1,
  };
  for (const job of jobs) {
    if (job === 'mixed') continue;
    await runJob(client, job, sizes); // the first time makes files and fills caches
    let took = await runJob(client, job, sizes);
    while (took < Math.min(benchLimits.jobProbeMs, ms / 2)) {
      sizes[job] *= 4;
      took = await runJob(client, job, sizes);
    }
    // Twice: what it takes to start a job is the same for any size.
    for (let times = 0; times < 2; times += 1) {
      sizes[job] = Math.max(1, Math.round((sizes[job] * ms) / took));
      took = await runJob(client, job, sizes);
    }
  }
  return sizes;
}

async function work(client: Client, kind: 'cpu' | 'fork' | Disk, units: number): Promise<number> {
  const { ms } = await client.ask(`/work?kind=${kind}&n=${units}`);
  return ms;
}

async function askPages(client: Client, count: number): Promise<number> {
  const connections = benchLimits.httpConnections;
  const { ms } = await client.ask('/read', { count, connections });
  return ms;
}
