import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/qemu/**'],
          testTimeout: 20_000,
        },
      },
      {
        // Real QEMU: one file at a time, two cores are all there is.
        test: {
          name: 'qemu',
          include: ['test/qemu/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
