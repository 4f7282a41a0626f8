/** A benchmark's results with plausible figures, the same in every run. */
import { type BenchResults, type Job, noSamples } from '../../src/bench/results.ts';

const MiB = 2 ** 20;

/** Small results with nothing measured; what a test is about is given. */
export function emptyResults(given: Partial<BenchResults> = {}): BenchResults {
  return {
    format: 1,
    startedAt: '2024-05-06T07:08:09.000Z',
    tookMs: 1_234_000,
    mode: 'full',
    machine: {
      cpu: 'Example CPU @ 2.60GHz',
      cores: 4,
      memoryBytes: 8 * 1024 * MiB,
      kernel: '6.1.0',
      hasKvm: false,
      realTime: true,
    },
    versions: {
      understudy: '0.1.0',
      commit: '0123456789abcdef0123456789abcdef01234567',
      node: '20.20.0',
      qemu: '7.2.22',
      guestKernel: '6.1.0-guest',
    },
    guestMemoryBytes: 512 * MiB,
    ...noSamples(),
    ...given,
  };
}

const jobBaseMs: Readonly<Record<Job, number>> = {
  cpu: 4200,
  fork: 3100,
  diskread: 1800,
  diskwrite: 2300,
  syncwrite: 1500,
  http: 2700,
  mixed: 6400,
};
const jobList = Object.keys(jobBaseMs) as Job[];
const factors = { bare: 1, icount: 1.22, record: 1.29, pair: 1.36, kvm: 0.09 };

/** Everything measured, as on a good day. */
export function fullResults(given: Partial<BenchResults> = {}): BenchResults {
  const { near, up } = noise();
  const rounds = [0, 1, 2, 3, 4];
  return emptyResults({
    jobRuns: rounds.flatMap((round) =>
      jobList.flatMap((job, index) =>
        (['bare', 'icount', 'record', 'pair', 'kvm'] as const).map((arrangement) => {
          const extra = arrangement === 'pair' ? index * 0.06 : 0;
          const ms = near(jobBaseMs[job] * (factors[arrangement] + extra), 0.03);
          return { arrangement, job, round, ms };
        }),
      ),
    ),
    epochRuns: [1, 3, 10, 30, 100, 300, 1000].flatMap((epochMs) =>
      (['cpu', 'diskwrite', 'http'] as const).flatMap((job, index) =>
        [0, 1, 2].map((round) => {
          const bareMs = near(jobBaseMs[job], 0.02);
          const held = job === 'http' ? epochMs / 400 : 0;
          const slowdown = 1.3 + index * 0.12 + 1.6 / epochMs + held;
          return {
            epochMs,
            epochInstructions: near(epochMs * 180_000, 0.1),
            job,
            round,
            ms: near(bareMs * slowdown, 0.03),
            bareMs,
          };
        }),
      ),
    ),
    takeovers: [
      ...Array.from({ length: 24 }, () => ({ cause: 'kill' as const, memoryBytes: 512 * MiB })),
      ...Array.from({ length: 8 }, () => ({ cause: 'kill' as const, memoryBytes: 128 * MiB })),
      ...Array.from({ length: 8 }, () => ({ cause: 'kill' as const, memoryBytes: 2048 * MiB })),
      ...Array.from({ length: 8 }, () => ({ cause: 'drill' as const, memoryBytes: 512 * MiB })),
    ].map(({ cause, memoryBytes }) => {
      const lagMs = up(6, 60);
      return {
        cause,
        memoryBytes,
        lagMs,
        detectMs: cause === 'kill' ? up(24, 12) : up(2, 1),
        drainMs: 4 + lagMs * 0.7 + up(2, 4),
        loadMs: up(14, 6) + memoryBytes / (1024 * MiB),
        firstOutputMs: up(3, 9),
      };
    }),
    holds: [
      { load: 'idle', p50Ms: 0.8, p99Ms: 2.6, outputs: 610 },
      { load: 'http', p50Ms: 1.3, p99Ms: 7.9, outputs: 14_210 },
    ],
    latencies: (['bare', 'icount', 'record', 'pair'] as const).flatMap((arrangement, index) =>
      (['ping', 'http'] as const).map((what) => ({
        arrangement,
        what,
        p50Ms: (what === 'ping' ? 0.6 : 4.1) * (1 + index * 0.35),
        p99Ms: (what === 'ping' ? 2.2 : 12) * (1 + index * 0.5),
        count: 2000,
      })),
    ),
    logs: [
      ...[0, 100, 250, 1000].map((guestTimerHz) => ({
        during: 'idle' as const,
        guestTimerHz,
        seconds: 30,
        rawBytes: 30 * (2600 + guestTimerHz * 24),
        wireBytes: 30 * (900 + guestTimerHz * 6),
        instructions: 4e7,
        nodeCpuSeconds: { primary: 1.4 + guestTimerHz / 500, backup: 1.3 + guestTimerHz / 600 },
      })),
      ...jobList.map((during, index) => ({
        during,
        guestTimerHz: 250,
        seconds: 20,
        rawBytes: 20 * 180_000 * (index + 1),
        wireBytes: 20 * 52_000 * (index + 1),
        instructions: 3e9,
        nodeCpuSeconds: { primary: 2.2 + index * 0.3, backup: 2 + index * 0.3 },
      })),
    ],
    replays: (['boot', ...jobList] as const).flatMap((during, index) =>
      [0, 1, 2].map((round) => {
        const recordMs = during === 'boot' ? 5200 : jobBaseMs[during] * 1.3;
        const speed = during === 'boot' ? 0.45 : 0.94 + index * 0.07;
        return {
          during,
          round,
          recordMs: near(recordMs, 0.02),
          replayMs: near(recordMs, 0.02) / speed,
        };
      }),
    ),
    lags: (['idle', ...jobList] as const).map((during, index) => ({
      during,
      p50Ms: 6 + index * 5,
      p99Ms: 18 + index * 17,
      samples: 400,
    })),
    cuts: Array.from({ length: 14 }, () => ({
      pauseMs: up(6, 6),
      ramMs: up(80, 40),
      compareMs: up(300, 200),
      equal: true,
    })),
    seeds: [128, 512, 2048].flatMap((size) =>
      [0, 256].map((disk) => ({
        memoryBytes: size * MiB,
        diskBytes: disk * MiB,
        ms: 1400 + size * 2.1 + disk * 5,
        stoppedMs: 40 + size * 0.11,
        ramMs: 20 + size * 0.1,
        sentBytes: size * 0.2 * MiB + disk * MiB,
      })),
    ),
    memory: [
      { role: 'primary', rssBytes: 171e6 },
      { role: 'backup', rssBytes: 193e6 },
    ],
    throughput: [
      { part: 'parser', input: 'boot', bytesPerSecond: 81e6 },
      { part: 'tail', input: 'boot', bytesPerSecond: 240e6 },
      { part: 'packer', input: 'http', bytesPerSecond: 34e6 },
      { part: 'wire', input: 'loopback', bytesPerSecond: 160e6 },
    ],
    gaps: [{ what: 'KVM', why: 'this machine has no /dev/kvm' }],
    ...given,
  });
}

/** Chance that is the same in every run (mulberry32). */
function noise(): {
  readonly near: (value: number, share: number) => number;
  readonly up: (least: number, more: number) => number;
} {
  let state = 0x1234567;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const rounded = (value: number): number => Number(value.toFixed(2));
  return {
    near: (value, share) => rounded(value * (1 + (next() * 2 - 1) * share)),
    up: (least, more) => rounded(least + next() ** 3 * more),
  };
}
