/** A whole run: which sections, how often, in which order. */
import type { World } from '../../lab/world.ts';
import { type Arrangement, type BenchResults, resultsFormat } from '../results.ts';
import { measureEpochs } from './epochs.ts';
import { kvmProblem } from './kvm.ts';
import { benchLimits } from './limits.ts';
import { describeMachine, describeVersions } from './machine.ts';
import { measureReplay } from './replay-speed.ts';
import { Session } from './session.ts';
import { measureSizes, measureSlowdown } from './slowdown.ts';
import { measureTakeovers, type TakeoverPlan } from './takeovers.ts';
import { measureTimerRate, measureWaits } from './waits.ts';

const mib = 2 ** 20;
const guestMemoryBytes = 128 * mib;

interface Plan {
  /** What it takes on two cores; for the time left. */
  readonly expectedMs: number;
  /** What each job takes plain TCG. */
  readonly jobMs: number;
  readonly slowdownRounds: number;
  readonly replayRounds: number;
  readonly epochRounds: number;
  readonly epochsMs: readonly number[];
  readonly waitSeconds: number;
  readonly takeovers: readonly TakeoverPlan[];
  readonly timerRates: boolean;
}

const plans: Readonly<Record<BenchResults['mode'], Plan>> = {
  quick: {
    expectedMs: 5 * 60_000,
    jobMs: 300,
    slowdownRounds: 2,
    replayRounds: 1,
    epochRounds: 1,
    epochsMs: [5, 200],
    waitSeconds: 3,
    takeovers: [{ memoryBytes: guestMemoryBytes, kills: 3, drills: 1, cuts: 2 }],
    timerRates: false,
  },
  full: {
    expectedMs: 40 * 60_000,
    jobMs: 1000,
    slowdownRounds: 5,
    replayRounds: 3,
    epochRounds: 1,
    epochsMs: [1, 3, 10, 30, 100, 300, 1000],
    waitSeconds: 15,
    takeovers: [
      { memoryBytes: guestMemoryBytes, kills: 30, drills: 5, cuts: 1 },
      { memoryBytes: 512 * mib, kills: 5, drills: 0, cuts: 1 },
      { memoryBytes: 2048 * mib, kills: 5, drills: 0, cuts: 1 },
    ],
    timerRates: true,
  },
};

export interface RunOptions {
  readonly mode: BenchResults['mode'];
  readonly world: World;
  readonly tell: (text: string) => void;
  readonly status: (text: string) => void;
}

/**
 * Measures everything. What could not be measured is in `gaps`; throws only when nothing can be.
 */
export async function runBench({ mode, ...options }: RunOptions): Promise<BenchResults> {
  const plan = plans[mode];
  const startedAt = new Date().toISOString();
  const versions = await describeVersions();
  const session = new Session({
    ...options,
    memoryBytes: guestMemoryBytes,
    expectedMs: plan.expectedMs,
  });
  const problem = await kvmProblem(() =>
    session.withGuest('kvm', { upMs: benchLimits.kvmBootMs }, async () => undefined),
  );
  if (problem !== undefined) session.gap('kvm', problem);
  const machine = describeMachine(problem === undefined);
  await measureAll(session, plan, machine.hasKvm);
  return {
    format: resultsFormat,
    startedAt,
    tookMs: session.tookMs,
    mode,
    machine,
    versions,
    guestMemoryBytes,
    ...session.results,
  };
}

async function measureAll(session: Session, plan: Plan, hasKvm: boolean): Promise<void> {
  const sizes = await measureSizes(session, plan.jobMs);
  const arrangements: Arrangement[] = ['bare', 'icount', 'record', 'pair'];
  if (hasKvm) arrangements.push('kvm');
  for (const arrangement of ['bare', 'pair'] as const) {
    await session.part(`latencies (${arrangement})`, () =>
      measureWaits(session, arrangement, plan.waitSeconds),
    );
  }
  for (let round = 0; round < plan.slowdownRounds; round += 1) {
    await measureSlowdown(session, round, arrangements, sizes);
  }
  for (let round = 0; round < plan.replayRounds; round += 1) {
    await session.part('replay speed', () => measureReplay(session, round, sizes));
  }
  for (const takeovers of plan.takeovers) {
    const size = `${takeovers.memoryBytes / mib} MiB`;
    await session.part(`takeovers, ${size}`, () => measureTakeovers(session, takeovers));
  }
  for (let round = 0; round < plan.epochRounds; round += 1) {
    await session.part('epochs', () => measureEpochs(session, round, plan.epochsMs, sizes));
  }
  if (plan.timerRates) {
    await session.part('guest timer rates', () => measureTimerRate(session, plan.waitSeconds));
  } else session.gap('log by guest timer rate', 'only a full run measures it');
}
