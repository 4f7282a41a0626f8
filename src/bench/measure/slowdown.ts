/**
 * Section: every job in every arrangement, round by round; and what the pair's nodes told
 * meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arrangement, type Job, jobs } from '../results.ts';
import type { Guest, PairGuest } from './guest.ts';
import { type JobSizes, runJob, sizeJobs } from './jobs.ts';
import { benchLimits } from './limits.ts';
import { NodeFigures } from './node-figures.ts';
import type { Session } from './session.ts';

/** Sizes the jobs on plain TCG, so that each takes it `ms`. */
export async function measureSizes(session: Session, ms: number): Promise<JobSizes> {
  const guest = await session.guest('bare');
  try {
    session.status('sizing the jobs');
    return await sizeJobs(guest.client, ms);
  } finally {
    await guest.close();
  }
}

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
  for (const arrangement of turned(arrangements, round)) {
    await session.part(`all jobs (${arrangement})`, async () => {
      await allJobs(session, await session.guest(arrangement), round, sizes);
    });
  }
}

async function allJobs(
  session: Session,
  guest: Guest,
  round: number,
  sizes: JobSizes,
): Promise<void> {
  const { arrangement } = guest;
  const figures = isPair(guest) ? new NodeFigures(guest) : undefined;
  try {
    await runJob(guest.client, 'diskread', { ...sizes, diskread: 1 }); // makes its file
    await sleep(benchLimits.settleMs);
    for (const job of jobs) {
      session.status(`round ${round}: ${job} in arrangement ${arrangement}`);
      await session.part(`${job} (${arrangement})`, () =>
        oneJob(session, guest, figures, { job, round, sizes }),
      );
    }
  } finally {
    figures?.close();
    await guest.close();
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

const isPair = (guest: Guest): guest is PairGuest => guest.arrangement === 'pair';

function turned<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
