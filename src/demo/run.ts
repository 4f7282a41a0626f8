/**
 * The demo itself: a pair under load, the primary killed again and again, and what the outside saw.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Distribution } from '../base/distribution.ts';
import { asError, reasonOf, UnderstudyError } from '../base/errors.ts';
import { type Evidence, judge } from '../lab/judge.ts';
import { demoLimits } from '../lab/limits.ts';
import { LoadProcess } from '../lab/load-process.ts';
import type { LoadStats } from '../lab/load-record.ts';
import type { NodeProcess } from '../lab/node-process.ts';
import type { DemoReport, TakeoverTimes } from '../lab/report.ts';
import type { Stage } from '../lab/stage.ts';
import { killAndWatch } from '../lab/takeover.ts';
import type { World } from '../lab/world.ts';
import { readGuestPage } from '../lab/world-program.ts';
import type { Comparison } from '../node/report.ts';
import { askNode, type WatchEvent } from '../observe/control-client.ts';
import { formatMs } from '../text/units.ts';

export interface DemoOptions {
  readonly rounds: number;
  /** Load before each kill, milliseconds. */
  readonly roundMs: number;
  readonly stage: Stage;
  readonly world: World;
  /** Something happened: a line for people. */
  readonly tell: (text: string) => void;
  /** How things stand. */
  readonly status: (text: string) => void;
}

type EventOf<T extends WatchEvent['type']> = Extract<WatchEvent, { type: T }>;

/** What the nodes told, over all rounds. */
class Figures {
  readonly lagMs = new Distribution();
  readonly cutPauseMs = new Distribution();
  readonly holdMs = new Distribution();
  readonly takeovers: TakeoverTimes[] = [];
  readonly problems: string[] = [];
  cutsCompared = 0;
  cutsUnequal = 0;
  logBytes = 0;
  logMs = 0;
  nodeRssBytes = 0;
  #lastLog: EventOf<'log'> | undefined;

  /** Listens to a node until it ends. */
  follow(node: NodeProcess): void {
    this.#lastLog = undefined;
    node.events.subscribe((event) => this.#take(node.name, event));
  }

  #take(node: string, event: WatchEvent): void {
    switch (event.type) {
      case 'lag':
        this.lagMs.add(event.ms);
        return;
      case 'cut':
        this.cutPauseMs.add(event.pauseMs - event.ramMs);
        return;
      case 'memory':
        this.nodeRssBytes = Math.max(this.nodeRssBytes, event.rssBytes);
        return;
      case 'log':
        this.#takeLog(event);
        return;
      case 'replicaDiscarded':
        this.problems.push(`node ${node} discarded its copy: ${event.reason}`);
        return;
      default:
        return;
    }
  }

  #takeLog(event: EventOf<'log'>): void {
    const before = this.#lastLog;
    this.#lastLog = event;
    if (before === undefined || event.rawBytes < before.rawBytes || event.ms <= before.ms) return;
    this.logBytes += event.rawBytes - before.rawBytes;
    this.logMs += event.ms - before.ms;
  }
}

/** Runs the demo and judges it. Throws only when it could not be carried out. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const { stage, world, tell } = options;
  const figures = new Figures();
  const names = ['a', 'b'] as const;
  const begun = performance.now();
  let primary = stage.start(names[0]);
  figures.follow(primary);
  await waitForGuest(primary, options);
  tell(`the guest is up on node ${primary.name} after ${formatMs(performance.now() - begun)}`);
  let backup = await startBackup(stage, names[1], figures, options);
  const load = new LoadProcess(world, {
    runName: `demo${process.pid}`,
    onStats: (stats) => options.status(loadLine(stats)),
    onFailure: ({ client, reason }) => tell(`a request failed: ${client}: ${reason}`),
  });
  let seenText = '';
  try {
    for (let round = 1; round <= options.rounds; round += 1) {
      await sleep(options.roundMs / 2);
      await compareStates(primary, figures, tell);
      await sleep(options.roundMs / 2);
      seenText = await readGuestPage(world, '/ledger');
      const times = await killAndWatch(primary, backup);
      figures.takeovers.push(times);
      tell(roundLine(round, primary.name, backup.name, times));
      const killed: string = primary.name;
      primary = backup;
      await sleep(demoLimits.settleMs);
      if (round < options.rounds) backup = await startBackup(stage, killed, figures, options);
    }
  } catch (thrown) {
    figures.problems.push(reasonOf(thrown));
    tell(`the demo stops here: ${reasonOf(thrown)}`);
  }
  const record = await load.stop();
  const evidence: Evidence = {
    ledger: await readGuestPage(world, '/ledger').catch(() => ''),
    journal: await readGuestPage(world, '/counter.log').catch(() => ''),
    load: record,
    seen: { seenText },
  };
  return report(options, figures, evidence);
}

async function waitForGuest(node: NodeProcess, { world, status }: DemoOptions): Promise<void> {
  const deadline = performance.now() + demoLimits.guestBootMs;
  for (;;) {
    status(`the guest is booting on node ${node.name}`);
    const answer = await readGuestPage(world, '/read').catch(asError);
    if (typeof answer === 'string') return;
    if (!node.isRunning || performance.now() > deadline) {
      throw new UnderstudyError('environment', 'The guest did not answer after its boot', {
        cause: answer,
        hint: `see ${node.name}.log`,
      });
    }
    await sleep(demoLimits.nodePollMs);
  }
}

async function startBackup(
  stage: Stage,
  name: string,
  figures: Figures,
  { tell, status }: DemoOptions,
): Promise<NodeProcess> {
  const begun = performance.now();
  status(`node ${name} is being seeded`);
  const node = stage.start(name);
  figures.follow(node);
  await node.until('protecting');
  tell(`node ${name} protects it, ${formatMs(performance.now() - begun)} after its start`);
  return node;
}

/** The proof of lockstep: both states at one cut. */
async function compareStates(
  primary: NodeProcess,
  figures: Figures,
  tell: (text: string) => void,
): Promise<void> {
  const { control } = primary;
  const answer = await askNode<{ ok: boolean; error?: string } & Comparison>(control, 'verify');
  if (!answer.ok) throw new UnderstudyError('cut', answer.error ?? 'no cut was made');
  const { equal, differences } = answer;
  figures.cutsCompared += 1;
  if (equal) return;
  figures.cutsUnequal += 1;
  tell(`the states differ: ${differences.join('; ')}`);
}

const totalMs = (times: TakeoverTimes): number =>
  times.detectMs + times.drainMs + times.loadMs + times.firstOutputMs;

function roundLine(round: number, killed: string, heir: string, times: TakeoverTimes): string {
  return (
    `round ${round}: node ${killed} killed, node ${heir} spoke ${formatMs(totalMs(times))} later` +
    ` (detect ${formatMs(times.detectMs)}, drain ${formatMs(times.drainMs)},` +
    ` load ${formatMs(times.loadMs)}, first output ${formatMs(times.firstOutputMs)})`
  );
}

function loadLine(stats: LoadStats): string {
  return (
    `${stats.requestsOk} requests, ${stats.requestsFailed} failed, ` +
    `${stats.countersAcknowledged} counted, ${stats.echoLines} echoes, ` +
    `longest gap ${formatMs(stats.longestGapMs)}`
  );
}

function report(options: DemoOptions, figures: Figures, evidence: Evidence): DemoReport {
  const outside = judge(evidence);
  const totals = new Distribution();
  for (const times of figures.takeovers) totals.add(totalMs(times));
  return {
    rounds: options.rounds,
    takeovers: figures.takeovers.length,
    ...outside,
    findings: [...figures.problems, ...outside.findings],
    cutsCompared: figures.cutsCompared,
    cutsUnequal: figures.cutsUnequal,
    takeoverMs: {
      p50: totals.p(0.5),
      max: totals.count > 0 ? totals.max : 0,
      samples: figures.takeovers.map(totalMs),
    },
    takeoverSteps: figures.takeovers,
    cutPauseMs: { p50: figures.cutPauseMs.p(0.5), max: figures.cutPauseMs.p(1) },
    lagMs: { p50: figures.lagMs.p(0.5), p99: figures.lagMs.p(0.99) },
    logBytesPerSecond: figures.logMs > 0 ? (figures.logBytes * 1000) / figures.logMs : 0,
    nodeRssBytes: figures.nodeRssBytes,
  };
}
