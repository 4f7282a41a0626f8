/**
 * The shape of a results file, for checking one that was read. Fields that are not known are let
 * through: a newer version may add some without another format.
 */
import { z } from 'zod';
import { arrangements, type BenchResults, jobs, resultsFormat } from '../results.ts';

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

const machine = z.object({
  cpu: text,
  cores: z.int().positive(),
  memoryBytes: positive,
  kernel: text,
  hasKvm: z.boolean(),
  realTime: z.boolean(),
});

const versions = z.object({
  understudy: text,
  commit: text,
  node: text,
  qemu: text,
  guestKernel: text,
});

const epochRun = z.object({
  epochMs: positive,
  epochInstructions: amount,
  job,
  round: count,
  ms: amount,
  bareMs: amount,
});

const takeoverRun = z.object({
  cause: z.enum(['kill', 'drill']),
  memoryBytes: positive,
  lagMs: amount,
  detectMs: amount,
  drainMs: amount,
  loadMs: amount,
  firstOutputMs: amount,
});

const logRun = z.object({
  during: jobOrIdle,
  guestTimerHz: amount,
  seconds: amount,
  rawBytes: amount,
  wireBytes: amount,
  instructions: amount,
  nodeCpuSeconds: z.object({ primary: amount, backup: amount }),
});

const cutRun = z.object({
  pauseMs: amount,
  ramMs: amount,
  compareMs: amount,
  equal: z.boolean(),
});

const seedRun = z.object({
  memoryBytes: positive,
  diskBytes: amount,
  ms: amount,
  stoppedMs: amount,
  ramMs: amount,
  sentBytes: amount,
});

const percentiles = { p50Ms: amount, p99Ms: amount };

export const resultsSchema = z.object({
  format: z.literal(resultsFormat),
  startedAt: z.iso.datetime({ offset: true }),
  tookMs: amount,
  mode: z.enum(['quick', 'full']),
  machine,
  versions,
  guestMemoryBytes: positive,
  jobRuns: z.array(z.object({ arrangement, job, round: count, ms: amount })),
  epochRuns: z.array(epochRun),
  takeovers: z.array(takeoverRun),
  holds: z.array(z.object({ load: z.enum(['idle', 'http']), ...percentiles, outputs: count })),
  latencies: z.array(
    z.object({ arrangement, what: z.enum(['ping', 'http']), ...percentiles, count }),
  ),
  logs: z.array(logRun),
  replays: z.array(
    z.object({
      during: z.enum([...jobs, 'boot']),
      round: count,
      recordMs: amount,
      replayMs: amount,
    }),
  ),
  lags: z.array(z.object({ during: jobOrIdle, ...percentiles, samples: count })),
  cuts: z.array(cutRun),
  seeds: z.array(seedRun),
  memory: z.array(z.object({ role: z.enum(['primary', 'backup']), rssBytes: amount })),
  throughput: z.array(
    z.object({
      part: z.enum(['parser', 'tail', 'packer', 'wire']),
      input: text,
      bytesPerSecond: amount,
    }),
  ),
  gaps: z.array(z.object({ what: text, why: text })),
}) satisfies z.ZodType<BenchResults>;
