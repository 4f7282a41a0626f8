/** `understudy demo`: a protected guest under load, whose primary is killed while you watch. */
import { Command, InvalidArgumentError } from 'commander';
import type { DemoOptions } from './verbs/demo.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('run a protected guest under load and kill its primary, again and again')
    .option('--rounds <n>', 'how often to kill', wholeRounds, 1)
    .option('--seconds <s>', 'load before each kill', positive, 4)
    .option('--memory <size>', 'the guest’s memory', '128M')
    .option('--world <kind>', 'auto, netns or passt', 'auto')
    .option('--logs <dir>', 'keep the nodes’ logs in this directory')
    .option('--json', 'print the report as one JSON object; the table goes to standard error')
    .option('--keep', 'leave the pair running afterwards until Ctrl-C')
    .action(async (options: DemoOptions) => (await import('./verbs/demo.ts')).demo(options));
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('must be a number above 0');
  return value;
}

function wholeRounds(text: string): number {
  const value = positive(text);
  if (!Number.isInteger(value) || value > 1000) {
    throw new InvalidArgumentError('must be a whole number from 1 to 1000');
  }
  return value;
}
