/** Many runs: sums them up, and says how to see a failure again. */
import { type IncidentOptions, type IncidentResult, runIncident } from './incident.ts';
import { type Mutant, mutants } from './mutants.ts';
import { soundSeams } from './seams.ts';

export interface Failure {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
  readonly timeline: string;
}

export interface CampaignResult {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly takeovers: number;
  readonly takeoversPerMinute: number;
  readonly boots: number;
  readonly words: number;
  /** Outputs whose acknowledgement the network delivered after a takeover. */
  readonly lateWords: number;
  readonly simulatedSeconds: number;
  readonly wallSeconds: number;
  /** The longest way back to protection after the last fault. */
  readonly protectedAgainMsMax: number;
  readonly faults: Readonly<Record<string, number>>;
}

/** Runs the real thing, or a mutant of it. */
export function runCampaign(seeds: Iterable<number>, mutant?: Mutant): CampaignResult {
  const startedAt = performance.now();
  const results: Omit<IncidentResult, 'timeline'>[] = [];
  const failures: Failure[] = [];
  const faults: Record<string, number> = {};
  for (const seed of seeds) {
    const { timeline, ...result } = runIncident({ seed, ...brokenBy(mutant) });
    results.push(result);
    for (const [name, count] of Object.entries(result.faults)) {
      faults[name] = (faults[name] ?? 0) + count;
    }
    if (result.failure !== undefined) failures.push({ seed, ...result.failure, timeline });
  }
  const wallSeconds = (performance.now() - startedAt) / 1000;
  const sum = (of: (result: (typeof results)[number]) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const takeovers = sum((result) => result.takeovers);
  return {
    seeds: results.length,
    failures,
    takeovers,
    takeoversPerMinute: Math.round((takeovers * 60) / wallSeconds),
    boots: sum((result) => result.boots),
    words: sum((result) => result.words),
    lateWords: sum((result) => result.late),
    simulatedSeconds: Math.round(sum((result) => result.simulatedMs) / 1000),
    wallSeconds: Math.round(wallSeconds * 10) / 10,
    protectedAgainMsMax: Math.round(Math.max(0, ...results.map(({ healedMs }) => healedMs))),
    faults: Object.fromEntries(Object.entries(faults).sort()),
  };
}

const brokenBy = ({ seams, surely = [] }: Partial<Mutant> = {}): Omit<IncidentOptions, 'seed'> => ({
  seams: { ...soundSeams, ...seams },
  surely,
});

export interface CaughtMutant {
  readonly rule: string;
  /** The first seed at which a checker noticed; `undefined`: none did. */
  readonly caughtAtSeed: number | undefined;
  readonly by: string | undefined;
}

/** Within so many seeds each broken rule must be noticed. */
export const mutantSeeds = 200;

export function hunt(mutant: Mutant): CaughtMutant {
  for (let seed = 1; seed <= mutantSeeds; seed += 1) {
    const { failure } = runIncident({ seed, ...brokenBy(mutant) });
    if (failure !== undefined) {
      return { rule: mutant.rule, caughtAtSeed: seed, by: failure.message.split('\n')[0] };
    }
  }
  return { rule: mutant.rule, caughtAtSeed: undefined, by: undefined };
}

export const huntAll = (): CaughtMutant[] => mutants.map(hunt);
