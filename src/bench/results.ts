/**
 * What a benchmark run measured, in the shape of its JSON file: raw samples, and nothing that can
 * be computed from them. Scripts and committed results depend on the names; a change that an older
 * reader would misread raises `resultsFormat`. Fields that are not known are let through: a newer
 * version may add some without another format.
 *
 * Times are milliseconds of the host's monotonic clock, sizes bytes, rates bytes a second, if a
 * name does not say otherwise.
 */
import { z } from 'zod';

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

/**
 * A file may come from anywhere: control characters would move the cursor of the reader's terminal.
 */
const text = z.string().overwrite((value) => value.replace(/\p{Cc}+/gu, ' '));
const amount = z.number().nonnegative();
const count = z.int().nonnegative();
const positive = z.number().positive();
const job = z.enum(jobs);
const jobOrIdle = z.enum([...jobs, 'idle']);
const arrangement = z.enum(arrangements);
const percentiles = { p50Ms: amount, p99Ms: amount };

const list = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.array(z.object(shape).readonly()).readonly();

const machine = z.object({
  cpu: text,
  cores: z.int().positive(),
  memoryBytes: positive,
  kernel: text,
  hasKvm: z.boolean(),
  /** Whether nodes get the real-time priority that they ask for. */
  realTime: z.boolean(),
});

const versions = z.object({
  understudy: text,
  /** `unknown` outside a checkout; `-dirty` behind it when files were changed. */
  commit: text,
  node: text,
  qemu: text,
  guestKernel: text,
});

const samples = {
  /** One job, once. All arrangements do it in every round, in an order that turns. */
  jobRuns: list({ arrangement, job, round: count, ms: amount }),
  /** A job in a pair whose epochs are of one length. */
  epochRuns: list({
    epochMs: positive,
    /** Instructions an epoch had, measured. */
    epochInstructions: amount,
    job,
    round: count,
    ms: amount,
    /** The same job in the same round by plain TCG. */
    bareMs: amount,
  }),
  takeovers: list({
    cause: z.enum(['kill', 'drill']),
    memoryBytes: positive,
    /** The last lag that the backup told before. */
    lagMs: amount,
    /** From the kill, or the command, to the won term. */
    detectMs: amount,
    drainMs: amount,
    loadMs: amount,
    /** From the running successor to the first output that the outside got. */
    firstOutputMs: amount,
  }),
  /** How long outputs of a pair waited for their acknowledgement. */
  holds: list({ load: z.enum(['idle', 'http']), ...percentiles, outputs: count }),
  /** What a client outside saw. */
  latencies: list({ arrangement, what: z.enum(['ping', 'http']), ...percentiles, count }),
  /** The log of a pair during a job, or of an idle guest whose timer has a rate. */
  logs: list({
    during: jobOrIdle,
    /** Interrupts of the guest's timer a second when it is idle; 0: it has none then. */
    guestTimerHz: amount,
    seconds: amount,
    rawBytes: amount,
    wireBytes: amount,
    instructions: amount,
    /** Processor time of the node processes, both of them, seconds; machines not included. */
    nodeCpuSeconds: z.object({ primary: amount, backup: amount }).readonly(),
  }),
  /** Replay speed against record speed: the same log, recorded alone and then replayed alone. */
  replays: list({
    during: z.enum([...jobs, 'boot']),
    round: count,
    recordMs: amount,
    replayMs: amount,
  }),
  /** How far the backup was behind while the guest did a job. */
  lags: list({ during: jobOrIdle, ...percentiles, samples: count }),
  cuts: list({
    /** From `stop` to `cont`, without the compare of RAM. */
    pauseMs: amount,
    ramMs: amount,
    /** From the command to the verdict. */
    compareMs: amount,
    equal: z.boolean(),
  }),
  seeds: list({
    memoryBytes: positive,
    /** Data on the guest's disk. */
    diskBytes: amount,
    /** From the backup's start until it protects. */
    ms: amount,
    /** That the guest stood still, and the part of it that compared RAM. */
    stoppedMs: amount,
    ramMs: amount,
    sentBytes: amount,
  }),
  /** Largest resident size of a node process, without its machines. */
  memory: list({ role: z.enum(['primary', 'backup']), rssBytes: amount }),
  /** Bytes a second through one part of the program, on one core. */
  throughput: list({
    part: z.enum(['parser', 'tail', 'packer', 'wire']),
    input: text,
    bytesPerSecond: amount,
  }),
  /** What a benchmark could not measure, and why: it is shown, not left out. */
  gaps: list({ what: text, why: text }),
};

export const resultsSchema = z
  .object({
    format: z.literal(resultsFormat),
    /** ISO 8601. */
    startedAt: z.iso.datetime({ offset: true }),
    tookMs: amount,
    mode: z.enum(['quick', 'full']),
    machine: machine.readonly(),
    versions: versions.readonly(),
    guestMemoryBytes: positive,
    ...samples,
  })
  .readonly();

export type BenchResults = z.infer<typeof resultsSchema>;
export type Machine = BenchResults['machine'];
export type Versions = BenchResults['versions'];
export type JobRun = BenchResults['jobRuns'][number];
export type TakeoverRun = BenchResults['takeovers'][number];
export type LogRun = BenchResults['logs'][number];
export type ReplayRun = BenchResults['replays'][number];
export type LagRun = BenchResults['lags'][number];
export type MemoryRun = BenchResults['memory'][number];
export type ThroughputRun = BenchResults['throughput'][number];

/** The samples of a run while they are gathered. */
export type Samples = { [Kind in keyof typeof samples]: BenchResults[Kind][number][] };

export const noSamples = (): Samples =>
  Object.fromEntries(Object.keys(samples).map((kind) => [kind, []])) as unknown as Samples;

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
