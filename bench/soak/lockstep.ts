/**
 * Soaks lockstep: a real pair under load is compared at cut after cut, and its backup is made to
 * seed anew every so often. Every copy that was given up is a finding.
 *
 *   npm run soak -- lockstep [--minutes 2] [--every 500] [--reseed 20] [--hogs 0] [--disk]
 *                           [--typing] [--json]
 *
 * `--every`: milliseconds between two compares; `--reseed`: seconds between two restarts of the
 * backup; `--disk`: the guest writes and reads directly all the time, so cuts meet requests;
 * `--typing`: somebody types on its console all the time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Distribution } from '../../src/base/distribution.ts';
import { LoadProcess } from '../../src/lab/load-process.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { Stage } from '../../src/lab/stage.ts';
import { readGuestPage } from '../../src/lab/world-program.ts';
import { askNode, connectControl, type WatchEvent } from '../../src/observe/control-client.ts';
import { Progress } from '../../src/text/progress.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    every: { type: 'string', default: '500' },
    reseed: { type: 'string', default: '20' },
    hogs: { type: 'string', default: '0' },
    disk: { type: 'boolean', default: false },
    typing: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const everyMs = Number(values.every);
const reseedMs = Number(values.reseed) * 1000;
const progress = new Progress(process.stderr);
const soakMs = Number(values.minutes) * 60_000;
const keyMs = 30;

/** What the nodes told. */
class Findings {
  readonly lagMs = new Distribution();
  readonly cutPauseMs = new Distribution();
  readonly cutRoundTripMs = new Distribution();
  readonly discards: string[] = [];
  seeds = 0;
  cuts = 0;
  takenBack = 0;
  compared = 0;
  unequal = 0;
  /** Compares whose copy took the primary's judgement of the clock. */
  clocksTaken = 0;
  /** Cuts that could not be made, by reason. */
  readonly refused = new Map<string, number>();

  take(node: string, event: WatchEvent): void {
    switch (event.type) {
      case 'lag':
        this.lagMs.add(event.ms);
        return;
      case 'cut':
        this.cuts += 1;
        this.takenBack += event.discarded;
        this.cutPauseMs.add(event.pauseMs - event.ramMs);
        this.cutRoundTripMs.add(event.roundTripMs - event.ramMs);
        return;
      case 'seeded':
        this.seeds += 1;
        return;
      case 'cutCompared':
        if (event.clockTaken === true) this.clocksTaken += 1;
        return;
      case 'replicaDiscarded':
        this.discards.push(`${node}: ${event.reason}`);
        progress.event(`node ${node} gave its copy up: ${event.reason}`);
        return;
      default:
        return;
    }
  }

  /** The primary is told of each compare, and so is counted once. */
  takeCompare(equal: boolean): void {
    this.compared += 1;
    if (!equal) this.unequal += 1;
  }

  line(): string {
    return (
      `${this.seeds} seeds, ${this.compared} compares (${this.unequal} unequal, ${this.clocksTaken} clocks taken), ` +
      `${this.takenBack} cuts taken back, ${this.discards.length} copies given up, ` +
      `lag p50 ${Math.round(this.lagMs.p(0.5))} p99 ${Math.round(this.lagMs.p(0.99))} ms, ` +
      `cut pause p50 ${this.cutPauseMs.p(0.5).toFixed(1)} ms, as its node saw it ${this.cutRoundTripMs.p(0.5).toFixed(1)} ms`
    );
  }
}

async function waitForGuest(world: Awaited<ReturnType<typeof openWorld>>): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const page = await readGuestPage(world, '/read').catch(() => undefined);
    if (page !== undefined) return;
    await sleep(200);
  }
  throw new Error('the guest did not answer after its boot');
}

/** Types until `until`; a serial port takes keys no faster than its guest. */
async function typeOn(control: string, until: number): Promise<void> {
  const socket = await connectControl(control);
  socket.resume();
  socket.write('{"command":"console"}\n');
  const line = 'echo the quick brown fox jumps over the lazy dog\n';
  for (let at = 0; performance.now() < until; at = (at + 1) % line.length) {
    await sleep(keyMs);
    socket.write(line.charAt(at));
  }
  socket.destroy();
}

async function soak(findings: Findings): Promise<void> {
  const world = await openWorld();
  const hogs: ChildProcess[] = [];
  let stage: Stage | undefined;
  try {
    stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs: world.egressSpecs });
    const primary = stage.start('a');
    primary.events.subscribe((event) => {
      findings.take('a', event);
      if (event.type === 'cutCompared') findings.takeCompare(event.equal);
    });
    await waitForGuest(world);
    for (let hog = 0; hog < Number(values.hogs); hog += 1) {
      hogs.push(spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }));
    }
    const load = new LoadProcess(world, { runName: `soak${process.pid}` });
    const until = performance.now() + soakMs;
    if (values.disk) {
      const seconds = Math.ceil(soakMs / 1000);
      readGuestPage(world, `/work?kind=directio&n=${seconds}`).catch(() => undefined);
    }
    const typing = values.typing ? typeOn(primary.control, until) : undefined;
    while (performance.now() < until) {
      const backup = stage.start('b');
      const watching = backup.events.subscribe((event) => findings.take('b', event));
      await backup.until('protecting', 60_000);
      await compareFor(primary, findings, Math.min(reseedMs, until - performance.now()));
      watching.unsubscribe(); // what it says while it is stopped is not of interest
      await backup.stop();
      await primary.until('alone', 30_000);
    }
    await typing;
    await load.stop();
  } finally {
    for (const hog of hogs) hog.kill('SIGKILL');
    await stage?.close();
    await world.close();
  }
}

async function compareFor(primary: NodeProcess, findings: Findings, ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    const answer = await askNode<{ ok: boolean; error?: string }>(primary.control, 'verify');
    if (!answer.ok) {
      const reason = answer.error ?? 'no reason';
      findings.refused.set(reason, (findings.refused.get(reason) ?? 0) + 1);
    }
    progress.status(findings.line());
    await sleep(everyMs);
  }
}

const findings = new Findings();
await soak(findings);
progress.end();
process.stdout.write(`${findings.line()}\n`);
if (values.json) {
  const { lagMs, cutPauseMs, discards, refused, ...counts } = findings;
  const figures = {
    ...counts,
    lagMs: { p50: lagMs.p(0.5), p99: lagMs.p(0.99), max: lagMs.p(1) },
    cutPauseMs: { p50: cutPauseMs.p(0.5), p99: cutPauseMs.p(0.99), max: cutPauseMs.p(1) },
    copiesGivenUp: discards,
    refused: Object.fromEntries(refused),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
process.exitCode = findings.discards.length + findings.unequal > 0 ? 1 : 0;
