/**
 * Section: every job in every arrangement, round by round; and what the pair's nodes told
 * meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arrangement, type Job, jobs } from '../results.ts';
import type { Guest } from './guest.ts';
import { type JobSizes, runJob, sizeJobs, warmUp } from './jobs.ts';
import { benchLimits } from './limits.ts';
import type { NodeFigures } from './node-figures.ts';
import type { Session } from './session.ts';

/** Sizes the jobs on plain TCG, so that each takes it `ms`. */
export const measureSizes = (session: Session, ms: number): Promise<JobSizes> =>
  session.withGuest('bare', {}, ({ client }) => {
    session.status('sizing the jobs');
    return sizeJobs(client, ms);
  });

/**
 * One round: each arrangement once, in an order that turns from round to round. One whose guest
 * does not start is a gap.
 */
export async function measureSlowdown(
  session: Session,
  round: number,
  arrangements: readonly Arrangement[],
  sizes: JobSizes,
): Promise<void> {
  const all = async (guest: Guest, figures?: NodeFigures): Promise<void> => {
    await warmUp(guest.client, sizes);
    await sleep(benchLimits.settleMs);
    for (const job of jobs) {
      session.status(`round ${round}: ${job} in arrangement ${guest.arrangement}`);
      await session.part(`${job} (${guest.arrangement})`, () =>
        oneJob(session, guest, figures, { job, round, sizes }),
      );
    }
  };
  for (const arrangement of turned(arrangements, round)) {
    await session.part(`all jobs (${arrangement})`, () =>
      arrangement === 'pair' ? session.withPair({}, all) : session.withGuest(arrangement, {}, all),
    );
  }
}

async function oneJob(
  session: Session,
  guest: Guest,
  figures: NodeFigures | undefined,
  { job, round, sizes }: { job: Job; round: number; sizes: JobSizes },
): Promise<void> {
  let ms = 0;
  const work = async (): Promise<void> => {
    ms = await runJob(guest.client, job, sizes);
  };
  const stretch = await (figures?.during(job, work) ?? work());
  session.results.jobRuns.push({ arrangement: guest.arrangement, job, round, ms });
  if (stretch === undefined) return; // no pair, or over too soon
  session.results.logs.push(stretch.log);
  session.results.lags.push(stretch.lag);
}

function turned<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
