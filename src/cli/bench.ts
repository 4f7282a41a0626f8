/**
 * `understudy bench`: what protection costs on this machine, and every other promise, side by side.
 */
import { Command } from 'commander';
import type { BenchOptions } from './verbs/bench.ts';
import type { CompareOptions, ReportOptions } from './verbs/bench-results.ts';

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure what protection costs on this machine, against bare execution')
    .option('--quick', 'five minutes instead of forty, with fewer runs')
    .option('--out <dir>', 'where results.json and report.html go', 'bench-results')
    .option('--world <kind>', 'auto, netns or passt', 'auto')
    .option('--json', 'print the results and the goals as one JSON object, the last line')
    .action(async (options: BenchOptions) => (await import('./verbs/bench.ts')).bench(options))
    .addCommand(compareCommand())
    .addCommand(reportCommand());
}

function compareCommand(): Command {
  return new Command('compare')
    .description('what got better or worse between two runs, beyond their noise')
    .argument('<before>', 'results.json of a run')
    .argument('<after>', 'results.json of another one')
    .option('--json', 'one JSON object')
    .action(async (before: string, after: string, options: CompareOptions) =>
      (await import('./verbs/bench-results.ts')).compare(before, after, options),
    );
}

function reportCommand(): Command {
  return new Command('report')
    .description('show the results of an earlier run')
    .argument('<results>', 'results.json of a run')
    .option('--html <file>', 'write the report as one HTML file')
    .option('--readme <file>', 'put the table of figures between the markers in this file')
    .action(async (file: string, options: ReportOptions) =>
      (await import('./verbs/bench-results.ts')).report(file, options),
    );
}
