/**
 * Section: replay speed against record speed. Below 1 a backup cannot keep up with its primary,
 * which then has to be slowed down.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../base/limits.ts';
import { type Job, jobs } from '../results.ts';
import { openStage } from './guest.ts';
import { type JobSizes, runJob } from './jobs.ts';
import { benchLimits } from './limits.ts';
import type { Session } from './session.ts';
import { Solo } from './solo.ts';
import { measureThroughput } from './throughput.ts';

/** A stretch of the log, by the epochs at its ends. */
interface Phase {
  readonly during: Job | 'boot';
  readonly from: number;
  readonly to: number;
}

/** Records a boot and every job once, and replays that log. */
export async function measureReplay(
  session: Session,
  round: number,
  sizes: JobSizes,
): Promise<void> {
  const { world, memoryBytes, results } = session;
  const [egressSpec = 'none'] = world.egressSpecs;
  const { stage, client, close } = await openStage({ world, memoryBytes });
  const solo = await Solo.open(stage);
  try {
    session.status('recording alone');
    const recording = await solo.record(egressSpec);
    const phases: Phase[] = [];
    try {
      await client.untilUp();
      phases.push({ during: 'boot', from: 1, to: recording.lastEpoch });
      for (const job of jobs) {
        await sleep(benchLimits.settleMs);
        const from = recording.lastEpoch;
        session.status(`recording alone: ${job}`);
        await runJob(client, job, sizes);
        phases.push({ during: job, from, to: recording.lastEpoch });
      }
    } finally {
      await recording.stop();
    }
    if (round === 0) {
      await session.part('throughput', () =>
        measureThroughput(session, recording.segments, solo.layout),
      );
    }
    session.status('replaying alone');
    const replayedAt = await solo.replay(recording, limits.stallMs * 3);
    const between = (at: readonly number[], { from, to }: Phase): number =>
      (at[to] ?? Number.NaN) - (at[from] ?? Number.NaN);
    for (const phase of phases) {
      const recordMs = between(recording.recordedAt, phase);
      const replayMs = between(replayedAt, phase);
      if (recordMs > 0 && replayMs > 0) {
        results.replays.push({ during: phase.during, round, recordMs, replayMs });
      }
    }
  } finally {
    solo.close();
    await close();
  }
}
