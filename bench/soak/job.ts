/**
 * Soaks what programs in a guest ask for (docs/guest-port.md): two numeric jobs checkpoint
 * themselves with guest/understudy.h, one of them in three processes that meet. Again and again
 * both nodes are lost with their machines, and the pair goes on from the newest checkpoint of the
 * one job or the other. At the end every line that they wrote must be that of a run that nobody
 * disturbed.
 *
 *   npm run soak -- job [--kills 40] [--lines 20] [--json]
 *
 * `--kills`: of everything, in turns for the two jobs; `--lines`: how many each job writes for each
 * of them. The last line of `--json`: {kills, equalResults, lostLines, doubledLines, syncRestores,
 * syncUnequal}.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../../src/base/errors.ts';
import { exitCodes, runCommand } from '../../src/cli/exit.ts';
import { inRunDir } from '../../src/cli/verbs/restore.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { Stage } from '../../src/lab/stage.ts';
import type { SnapshotManifest } from '../../src/ports/snapshot-store.ts';
import { prepareMachine } from '../../src/restore/prepare.ts';
import { preparedPaths } from '../../src/restore/prepared.ts';
import { whileOpen } from '../../src/store/while-open.ts';
import { Progress } from '../../src/text/progress.ts';
import {
  areDone,
  compileJob,
  guestReady,
  type Job,
  jobs,
  lastRestart,
  linesOf,
  putInto,
  startJobs,
  undisturbed,
} from './job/guest.ts';
import { parsedOr, wholeWithin } from './options.ts';

/** The last line of `--json`. Scripts may depend on the names. */
interface Summary {
  readonly kills: number;
  /** Every line of each job is that of a run that nobody disturbed. */
  readonly equalResults: boolean;
  readonly lostLines: number;
  readonly doubledLines: number;
  /** Restores of the job of three processes, and those after which they were not at one line. */
  readonly syncRestores: number;
  readonly syncUnequal: number;
}

const usage = 'npm run soak -- job [--kills N] [--lines N] [--json]';
const checkpointMs = 60_000;
const doneMs = 600_000;
const progress = new Progress(process.stderr);

function readArguments(args: readonly string[]) {
  const { values } = parsedOr(usage, () =>
    parseArgs({
      args: [...args],
      options: {
        kills: { type: 'string', default: '40' },
        lines: { type: 'string', default: '20' },
        json: { type: 'boolean', default: false },
      },
    }),
  );
  return {
    kills: wholeWithin('kills', values.kills, 10_000, 1),
    linesEach: wholeWithin('lines', values.lines, 1_000, 1),
    json: values.json,
  };
}

class JobSoak {
  readonly #stage: Stage;
  readonly #store: string;
  #primary: NodeProcess;
  #backup: NodeProcess | undefined;
  #nextMachine = 1;

  constructor(stage: Stage, store: string) {
    this.#stage = stage;
    this.#store = store;
    this.#primary = stage.start('a');
  }

  get control(): string {
    return this.#primary.control;
  }

  async booted(): Promise<void> {
    await this.#primary.until('alone');
    await guestReady(this.control);
  }

  async protect(): Promise<void> {
    this.#backup = this.#stage.start('b');
    await this.#primary.until('protected');
  }

  /** Waits for a checkpoint that the job asks for from now on. */
  async untilCheckpoint(job: Job): Promise<void> {
    const before = (await this.#newest(job))?.id;
    const deadline = performance.now() + checkpointMs;
    while ((await this.#newest(job))?.id === before) {
      if (performance.now() > deadline) {
        throw new UnderstudyError('stall', `No checkpoint of '${job.name}' in ${checkpointMs} ms`);
      }
      await sleep(100);
    }
  }

  /** Kills all there is, and goes on from the newest checkpoint of a job: returns its line. */
  async lose(job: Job): Promise<number> {
    await Promise.all([this.#primary.killWithMachine(), this.#backup?.killWithMachine()]);
    const snapshot = await this.#newest(job);
    if (snapshot === undefined) throw new Error(`there is no checkpoint of ${job.name}`);
    const dir = path.join(this.#stage.dir, `machine${this.#nextMachine}`);
    this.#nextMachine += 1;
    await whileOpen(this.#store, 'read', (store) =>
      inRunDir((runDir) => prepareMachine({ store, snapshot, until: undefined, dir, runDir })),
    );
    const image = path.join(this.#stage.dir, 'data-a.raw');
    const before = fs.existsSync(image) ? fs.realpathSync(image) : undefined;
    fs.rmSync(image, { force: true });
    if (before !== undefined && before !== image) {
      fs.rmSync(path.dirname(before), { recursive: true, force: true });
    }
    fs.symlinkSync(preparedPaths(dir).disk('data'), image);
    this.#primary = this.#stage.start('a', dir);
    await this.#primary.until('alone');
    return Number(/ at (\d+)$/.exec(snapshot.guest ?? '')?.[1]);
  }

  async #newest({ name }: Job): Promise<SnapshotManifest | undefined> {
    // The first copy makes it.
    if (!fs.existsSync(path.join(this.#store, 'snapshots'))) return undefined;
    const all = await whileOpen(this.#store, 'read', (store) => store.list());
    return all.findLast(({ guest }) => guest?.includes(` ${name} at `) === true);
  }
}

async function soak(kills: number, linesEach: number): Promise<Summary> {
  const stage = await Stage.open({
    nodes: ['a', 'b'],
    egressSpecs: ['none', 'none'],
    pairKeys: { snapshots: { store: 'store', keep: { last: 20 } } },
  });
  try {
    const program = compileJob(stage.dir);
    putInto(path.join(stage.dir, 'data-a.raw'), program);
    const run = new JobSoak(stage, path.join(stage.dir, 'store'));
    const lines = linesEach * kills;
    progress.event('the guest boots');
    await run.booted();
    await run.protect();
    progress.event('protected; the jobs begin');
    await startJobs(run.control, lines);
    let [syncRestores, syncUnequal] = [0, 0];
    for (let kill = 0; kill < kills; kill += 1) {
      const job = jobs[kill % jobs.length] as Job;
      await run.untilCheckpoint(job);
      await sleep(Math.random() * 1_500);
      const line = await run.lose(job);
      const told = await restartOf(run.control, job, line);
      if (job.processes > 1) {
        syncRestores += 1;
        if (told.length !== job.processes || told.some((at) => at !== line)) syncUnequal += 1;
      } else if (told[0] !== line) throw new Error(`'${job.name}' was told ${told}, not ${line}`);
      progress.event(`kill ${kill + 1}: '${job.name}' went on from line ${line}: ${told}`);
      await run.protect();
    }
    return {
      kills,
      ...(await judged(run.control, undisturbed(program, lines))),
      ...{ syncRestores, syncUnequal },
    };
  } finally {
    await stage.close();
  }
}

/** What each process of the job says that it goes on from, as soon as all have said it. */
async function restartOf(control: string, job: Job, line: number): Promise<number[]> {
  const deadline = performance.now() + checkpointMs;
  for (;;) {
    const told = await lastRestart(control, job);
    const isAll = told.length === job.processes && told.every((at) => at === line);
    if (isAll || performance.now() > deadline) return told;
    await sleep(200);
  }
}

async function judged(control: string, expected: readonly string[]) {
  const deadline = performance.now() + doneMs;
  while (!(await areDone(control))) {
    if (performance.now() > deadline) throw new Error(`the jobs were not done in ${doneMs} ms`);
    const counts = await Promise.all(
      jobs.map(async ({ name }) => (await linesOf(control, `/data/${name}.out`)).length),
    );
    progress.status(`${counts.join(' and ')} of ${expected.length} lines`);
    await sleep(2_000);
  }
  let [lostLines, doubledLines, equalResults] = [0, 0, true];
  for (const { name } of jobs) {
    const written = await linesOf(control, `/data/${name}.out`);
    const seen = new Set(written);
    doubledLines += written.length - seen.size;
    lostLines += expected.filter((line) => !seen.has(line)).length;
    if (written.join('\n') !== expected.join('\n')) equalResults = false;
  }
  return { equalResults, lostLines, doubledLines };
}

await runCommand(async () => {
  const { kills, linesEach, json } = readArguments(process.argv.slice(2));
  const summary = await soak(kills, linesEach);
  progress.end();
  const { equalResults, lostLines, doubledLines, syncRestores, syncUnequal } = summary;
  process.stdout.write(
    `${kills} kills: results ${equalResults ? 'equal' : 'NOT equal'}, ${lostLines} lines lost, ` +
      `${doubledLines} doubled; ${syncRestores} restores of the meeting, ${syncUnequal} unequal\n`,
  );
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  const isGood = equalResults && lostLines + doubledLines + syncUnequal === 0;
  process.exitCode = isGood ? 0 : exitCodes.failed;
});
