/** A protected guest under load, whose primary is killed while you watch. */

import { runDemo } from '../../demo/run.ts';
import { reportTable } from '../../demo/table.ts';
import { openWorld } from '../../lab/open-world.ts';
import { allKept } from '../../lab/promises.ts';
import type { DemoReport } from '../../lab/report.ts';
import { Stage } from '../../lab/stage.ts';
import { Progress } from '../../text/progress.ts';
import { wantsColour } from '../../text/style.ts';
import { exitCodes } from '../exit.ts';

export interface DemoOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly memory: string;
  readonly world: 'auto' | 'netns' | 'passt';
  readonly logs?: string;
  readonly json?: boolean;
  readonly keep?: boolean;
}

/** Exit 0 when all that is promised was kept. */
export async function demo(options: DemoOptions): Promise<void> {
  process.exitCode = (await show(options)) ? exitCodes.ok : exitCodes.failed;
}

async function show(options: DemoOptions): Promise<boolean> {
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
    printReport(report, options.json === true);
    if (options.keep === true) {
      process.stderr.write(keepText(stage, world.http));
      await interrupted;
    }
    return allKept(report);
  } finally {
    await cleanUp();
  }
}

/** With `json` standard output is that one object, and the table is for whoever watches. */
export function printReport(report: DemoReport, json: boolean): void {
  const people = json ? process.stderr : process.stdout;
  people.write(`\n${reportTable(report, { coloured: wantsColour(people) })}`);
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
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
