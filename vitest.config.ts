import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const setup = ['test/compiled/programs.setup.ts', 'test/buffers.setup.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          globalSetup: 'test/compiled/global-setup.ts',
          setupFiles: setup,
          include: ['test/**/*.test.ts'],
          exclude: ['test/qemu/**'],
          // Only what hangs comes so far.
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // More than there are processors: many tests wait for a disk or a child.
          maxWorkers: availableParallelism() + 1,
          // More at once in one file would only take time from each other's deadlines.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'qemu',
          globalSetup: ['test/compiled/global-setup.ts', 'test/qemu/booted.setup.ts'],
          setupFiles: setup,
          include: ['test/qemu/**/*.test.ts'],
          // Real QEMU. A file uses seven to ten tenths of a processor, as measured: it waits, too.
          maxWorkers: Math.max(2, availableParallelism() >> 1),
          // Only what hangs comes so far: a test waits for what was promised, however slow a machine is.
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
