/**
 * Section: slowdown against the length of an epoch, which is the paper's own picture (Bressoud and
 * Schneider 1996, figures 2 to 4). There an epoch's end stops the processor; here it is a marker in
 * the log, and what a longer one may cost is what outputs wait and what a takeover executes again.
 */

import type { Job } from '../results.ts';
import { type JobSizes, runJob } from './jobs.ts';
import { NodeFigures } from './node-figures.ts';
import type { Session } from './session.ts';

const epochJobs = ['cpu', 'diskread', 'diskwrite'] as const satisfies readonly Job[];

/** One round over these epoch lengths, milliseconds; plain TCG first, as what it is against. */
export async function measureEpochs(
  session: Session,
  round: number,
  epochsMs: readonly number[],
  sizes: JobSizes,
): Promise<void> {
  const bareMs = new Map<Job, number>();
  const bare = await session.guest('bare');
  try {
    await warmUp(bare.client, sizes);
    for (const job of epochJobs) bareMs.set(job, await runJob(bare.client, job, sizes));
  } finally {
    await bare.close();
  }
  for (const epochMs of epochsMs) {
    await session.part(`epochs of ${epochMs} ms`, async () => {
      const guest = await session.pair({ pairKeys: { epochMs } });
      const figures = new NodeFigures(guest);
      try {
        await warmUp(guest.client, sizes);
        for (const job of epochJobs) {
          session.status(`round ${round}: ${job} with epochs of ${epochMs} ms`);
          let ms = 0;
          const stretch = await figures.during(job, async () => {
            ms = await runJob(guest.client, job, sizes);
          });
          const { log, epochs } = stretch ?? { log: undefined, epochs: 0 };
          session.results.epochRuns.push({
            epochMs,
            epochInstructions: epochs > 0 && log !== undefined ? log.instructions / epochs : 0,
            job,
            round,
            ms,
            bareMs: bareMs.get(job) ?? 0,
          });
        }
      } finally {
        figures.close();
        await guest.close();
      }
    });
  }
}

/** The disk jobs make their file at their first run. */
async function warmUp(client: Parameters<typeof runJob>[0], sizes: JobSizes): Promise<void> {
  await runJob(client, 'diskread', { ...sizes, diskread: 1 });
}
