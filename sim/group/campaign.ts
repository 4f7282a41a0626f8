/** Many runs of groups, and the hunt for broken ones. */
import { type GroupIncident, runGroupIncident } from './incident.ts';
import { type GroupMutant, groupMutants, soundGroup } from './mutants.ts';

export interface GroupCampaign {
  readonly seeds: number;
  readonly sets: number;
  /** Sets that were given up: a member failed, or a line was held for too long. */
  readonly failedSets: number;
  readonly takeovers: number;
  readonly failures: readonly (GroupIncident & {
    readonly failure: NonNullable<GroupIncident['failure']>;
  })[];
}

/** Runs the real thing, or a mutant of it. */
export function runGroups(seeds: Iterable<number>, mutant?: GroupMutant): GroupCampaign {
  const runs = [...seeds].map((seed) => runGroupIncident(seed, mutant?.seams ?? soundGroup));
  const sum = (of: (run: GroupIncident) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  return {
    seeds: runs.length,
    sets: sum(({ sets }) => sets),
    failedSets: sum(({ failedSets }) => failedSets),
    takeovers: sum(({ takeovers }) => takeovers),
    failures: runs.filter(
      (run): run is GroupIncident & { failure: NonNullable<GroupIncident['failure']> } =>
        !!run.failure,
    ),
  };
}

export interface CaughtGroupMutant {
  readonly rule: string;
  readonly caughtAtSeed: number | undefined;
  readonly by: string | undefined;
}

/** Within so many seeds each broken rule must be noticed. */
export const groupMutantSeeds = 300;

export function huntGroup({ rule, seams }: GroupMutant): CaughtGroupMutant {
  for (let seed = 1; seed <= groupMutantSeeds; seed += 1) {
    const { failure } = runGroupIncident(seed, seams);
    if (failure !== undefined) return { rule, caughtAtSeed: seed, by: failure.message };
  }
  return { rule, caughtAtSeed: undefined, by: undefined };
}

export const huntAllGroups = (): CaughtGroupMutant[] => groupMutants.map(huntGroup);
