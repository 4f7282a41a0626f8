/**
 * Section: slowdown against the length of an epoch, which is the paper's own picture (Bressoud and
 * Schneider 1996, figures 2 to 4). There an epoch's end stops the processor; here it is a marker in
 * the log, and what a longer one may cost is what outputs wait and what a takeover executes again.
 */

import type { Job } from '../results.ts';
import { type JobSizes, runJob, warmUp } from './jobs.ts';
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
  await session.withGuest('bare', {}, async ({ client }) => {
    await warmUp(client, sizes);
    for (const job of epochJobs) bareMs.set(job, await runJob(client, job, sizes));
  });
  for (const epochMs of epochsMs) {
    await session.part(`epochs of ${epochMs} ms`, () =>
      session.withPair({ pairKeys: { epochMs } }, async ({ client }, figures) => {
        await warmUp(client, sizes);
        for (const job of epochJobs) {
          session.status(`round ${round}: ${job} with epochs of ${epochMs} ms`);
          let ms = 0;
          const stretch = await figures.during(job, async () => {
            ms = await runJob(client, job, sizes);
          });
          const { log, epochs } = stretch ?? { log: undefined, epochs: 0 };
          const epochInstructions = epochs > 0 && log !== undefined ? log.instructions / epochs : 0;
          session.results.epochRuns.push({
            ...{ epochMs, epochInstructions, job, round, ms },
            bareMs: bareMs.get(job) ?? 0,
          });
        }
      }),
    );
  }
}
