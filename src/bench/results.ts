/**
 * What a benchmark run measured, in the shape of its JSON file: raw samples, and nothing that can
 * be computed from them. Scripts and committed results depend on the names; a change that an older
 * reader would misread raises `resultsFormat`.
 *
 * Times are milliseconds of the host's monotonic clock, sizes bytes, rates bytes a second, if a
 * name does not say otherwise.
 */

export const resultsFormat = 1;

/**
 * How the same guest is run. `bare`: plain TCG. `icount`: TCG that counts instructions. `record`:
 * a node alone, which records and has no backup. `pair`: protected. `kvm`: what a user gives up.
 */
export const arrangements = ['bare', 'icount', 'record', 'pair', 'kvm'] as const;
export type Arrangement = (typeof arrangements)[number];

/** What the guest is given to do; `mixed`: CPU, disk and HTTP at once. */
export const jobs = ['cpu', 'fork', 'diskread', 'diskwrite', 'syncwrite', 'http', 'mixed'] as const;
export type Job = (typeof jobs)[number];

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly hasKvm: boolean;
  /** Whether nodes get the real-time priority that they ask for. */
  readonly realTime: boolean;
}

export interface Versions {
  readonly understudy: string;
  /** `unknown` outside a checkout; `-dirty` behind it when files were changed. */
  readonly commit: string;
  readonly node: string;
  readonly qemu: string;
  readonly guestKernel: string;
}

/** One job, once. All arrangements do it in every round, in an order that turns. */
export interface JobRun {
  readonly arrangement: Arrangement;
  readonly job: Job;
  readonly round: number;
  readonly ms: number;
}

/** A job in a pair whose epochs are of one length. */
interface EpochRun {
  readonly epochMs: number;
  /** Instructions an epoch had, measured. */
  readonly epochInstructions: number;
  readonly job: Job;
  readonly round: number;
  readonly ms: number;
  /** The same job in the same round by plain TCG. */
  readonly bareMs: number;
}

export interface TakeoverRun {
  readonly cause: 'kill' | 'drill';
  readonly memoryBytes: number;
  /** The last lag that the backup told before. */
  readonly lagMs: number;
  /** From the kill, or the command, to the won term. */
  readonly detectMs: number;
  readonly drainMs: number;
  readonly loadMs: number;
  /** From the running successor to the first output that the outside got. */
  readonly firstOutputMs: number;
}

/** How long outputs of a pair waited for their acknowledgement. */
interface HoldRun {
  readonly load: 'idle' | 'http';
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outputs: number;
}

/** What a client outside saw. */
interface LatencyRun {
  readonly arrangement: Arrangement;
  readonly what: 'ping' | 'http';
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
}

/** The log of a pair during a job, or of an idle guest whose timer has a rate. */
export interface LogRun {
  readonly during: Job | 'idle';
  /** Interrupts of the guest's timer a second when it is idle; 0: it has none then. */
  readonly guestTimerHz: number;
  readonly seconds: number;
  readonly rawBytes: number;
  readonly wireBytes: number;
  readonly instructions: number;
  /** Processor time that the node processes used, both of them, seconds; machines not included. */
  readonly nodeCpuSeconds: { readonly primary: number; readonly backup: number };
}

/** Replay speed against record speed: the same log, recorded alone and then replayed alone. */
export interface ReplayRun {
  readonly during: Job | 'boot';
  readonly round: number;
  readonly recordMs: number;
  readonly replayMs: number;
}

/** How far the backup was behind while the guest did a job. */
export interface LagRun {
  readonly during: Job | 'idle';
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
}

export interface CutRun {
  /** From `stop` to `cont`, without the compare of RAM. */
  readonly pauseMs: number;
  readonly ramMs: number;
  /** From the command to the verdict. */
  readonly compareMs: number;
  readonly equal: boolean;
}

interface SeedRun {
  readonly memoryBytes: number;
  /** Data on the guest's disk. */
  readonly diskBytes: number;
  /** From the backup's start until it protects. */
  readonly ms: number;
  /** That the guest stood still, and the part of it that compared RAM. */
  readonly stoppedMs: number;
  readonly ramMs: number;
  readonly sentBytes: number;
}

export interface MemoryRun {
  /** Largest resident size of a node process, without its machines. */
  readonly role: 'primary' | 'backup';
  readonly rssBytes: number;
}

/** Bytes a second through one part of the program, on one core. */
export interface ThroughputRun {
  readonly part: 'parser' | 'tail' | 'packer' | 'wire';
  readonly input: string;
  readonly bytesPerSecond: number;
}

/** What a benchmark could not measure, and why: it is shown, not left out. */
interface Gap {
  readonly what: string;
  readonly why: string;
}

export interface BenchResults {
  readonly format: typeof resultsFormat;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tookMs: number;
  readonly mode: 'quick' | 'full';
  readonly machine: Machine;
  readonly versions: Versions;
  readonly guestMemoryBytes: number;
  readonly jobRuns: readonly JobRun[];
  readonly epochRuns: readonly EpochRun[];
  readonly takeovers: readonly TakeoverRun[];
  readonly holds: readonly HoldRun[];
  readonly latencies: readonly LatencyRun[];
  readonly logs: readonly LogRun[];
  readonly replays: readonly ReplayRun[];
  readonly lags: readonly LagRun[];
  readonly cuts: readonly CutRun[];
  readonly seeds: readonly SeedRun[];
  readonly memory: readonly MemoryRun[];
  readonly throughput: readonly ThroughputRun[];
  readonly gaps: readonly Gap[];
}

/** The samples of a run while they are gathered. */
export type Samples = {
  -readonly [Key in keyof BenchResults as BenchResults[Key] extends readonly unknown[]
    ? Key
    : never]: BenchResults[Key] extends readonly (infer Item)[] ? Item[] : never;
};

export const noSamples = (): Samples => ({
  jobRuns: [],
  epochRuns: [],
  takeovers: [],
  holds: [],
  latencies: [],
  logs: [],
  replays: [],
  lags: [],
  cuts: [],
  seeds: [],
  memory: [],
  throughput: [],
  gaps: [],
});

/** One promise about the figures, and whether this run kept it. */
export interface Goal {
  readonly name: string;
  /** `null`: not measured in this run. */
  readonly value: number | null;
  readonly unit: 'ratio' | 'ms' | 'bytes/s' | 'share of a core';
  readonly goal: { readonly atMost: number } | { readonly atLeast: number };
  /** `null`: not measured, too noisy to tell, or the machine is not one that the goal is for. */
  readonly pass: boolean | null;
  /** Why `pass` is `null`, as a sentence without its full stop. */
  readonly note?: string;
}
