/** `understudy demo`: a protected guest under load, whose primary is killed while you watch. */
import { Command, InvalidArgumentError } from 'commander';
import { openWorld } from '../demo/open-world.ts';
import { Progress } from '../demo/progress.ts';
import { allKept } from '../demo/promises.ts';
import { runDemo } from '../demo/run.ts';
import { Stage } from '../demo/stage.ts';
import { wantsColour } from '../demo/style.ts';
import { reportTable } from '../demo/table.ts';
import { exitCodes } from './exit.ts';

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly memory: string;
  readonly world: 'auto' | 'netns' | 'passt';
  readonly logs?: string;
  readonly json?: boolean;
  readonly keep?: boolean;
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

export function demoCommand(): Command {
  return new Command('demo')
    .description('run a protected guest under load and kill its primary, again and again')
    .option('--rounds <n>', 'how often to kill', wholeRounds, 1)
    .option('--seconds <s>', 'load before each kill', positive, 4)
    .option('--memory <size>', 'the guest’s memory', '128M')
    .option('--world <kind>', 'auto, netns or passt', 'auto')
    .option('--logs <dir>', 'keep the nodes’ logs in this directory')
    .option('--json', 'print the report as one JSON object, the last line')
    .option('--keep', 'leave the pair running afterwards until Ctrl-C')
    .action(async (options: Options) => {
      process.exitCode = (await demo(options)) ? exitCodes.ok : exitCodes.failed;
    });
}

async function demo(options: Options): Promise<boolean> {
  const progress = new Progress(process.stderr);
  const nodes = ['a', 'b'];
  const world = await openWorld({ nodes, kind: options.world });
  let stage: Stage | undefined;
  const cleanUp = async (): Promise<void> => {
    progress.end();
    await stage?.close();
    await world.close();
  };
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve('interrupted'));
    }
  });
  try {
    const { egressSpecs } = world;
    const { memory, logs } = options;
    stage = await Stage.open({
      nodes,
      egressSpecs,
      memory,
      ...(logs === undefined ? {} : { logDir: logs }),
    });
    progress.event(`the outside world is ${describeWorld(world.kind)}`);
    const running = runDemo({
      rounds: options.rounds,
      roundMs: options.seconds * 1000,
      stage,
      world,
      tell: (text) => progress.event(text),
      status: (text) => progress.status(text),
    });
    const report = await Promise.race([running, interrupted]);
    if (report === 'interrupted') {
      running.catch(() => undefined); // it ends with its nodes
      return false;
    }
    progress.end();
    process.stdout.write(`\n${reportTable(report, { coloured: wantsColour(process.stdout) })}`);
    if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
    if (options.keep === true) {
      process.stderr.write(keepText(stage, world.http));
      await interrupted;
    }
    return allKept(report);
  } finally {
    await cleanUp();
  }
}

function describeWorld(kind: 'netns' | 'passt'): string {
  return kind === 'netns' ? 'a network namespace with a bridge' : 'passt, on a unix socket';
}

function keepText(stage: Stage, http: { host: string; port: number }): string {
  return (
    `\nThe guest goes on. Its page: http://${http.host}:${http.port}/\n` +
    `Its console: understudy console --pair ${stage.pairFile} --name a (or b)\n` +
    'Ctrl-C ends it.\n'
  );
}
