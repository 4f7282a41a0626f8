/**
 * Soaks lockstep with a guest that nobody of this project wrote: a Debian with systemd, PostgreSQL
 * and sshd. It forks, sends, writes, runs out of memory, reads its logs and reboots, a phase at a
 * time; it is compared all along, and at the end of each phase its primary is killed. Every copy
 * that is given up is a finding.
 *
 *   npm run soak -- distribution [--minutes 60] [--every 3] [--round 50] [--memory 512]
 *                               [--seed N] [--only PHASE]... [--no-boot] [--json]
 *
 * `--every`: seconds between two compares; `--round`: seconds from a machine that is protected to
 * the kill; `--memory`: the guest's, in MiB; `--only`: that phase alone, or those
 * (distribution/phases.ts); `--no-boot`: it is not booted on plain TCG to compare with. Root is
 * needed. What it judges: docs/operations.md.
 */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UnderstudyError } from '../../src/base/errors.ts';
import { exitCodes, runCommand } from '../../src/cli/exit.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { Stage } from '../../src/lab/stage.ts';
import { Progress } from '../../src/text/progress.ts';
import { readArguments, type SoakArguments } from './distribution/arguments.ts';
import { bareBootMs, bootMs } from './distribution/boot-time.ts';
import { Evidence } from './distribution/evidence.ts';
import { Findings } from './distribution/findings.ts';
import { DebianGuest, distributionDir, makeDistribution } from './distribution/guest.ts';
import { SoakedPair } from './distribution/pair.ts';
import { phasesInTurn } from './distribution/phases.ts';
import { Soak } from './distribution/soak.ts';
import { type SoakResult, soakPromises, summaryOf, summaryTable } from './distribution/summary.ts';

/** A stall is looked at again from the last one on. */
const keepEvery = '30s';
const snapshotsKept = 6;
const progress = new Progress(process.stderr);

/** A QEMU of ours, a namespace and files are made: the first Ctrl-C undoes all that. */
const end = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort());
end.signal.addEventListener('abort', () =>
  progress.event('it ends with this round; a second Ctrl-C ends it at once'),
);

async function soak(args: SoakArguments, logs: string): Promise<SoakResult> {
  const { seed, memoryMebibytes, timesBoot } = args;
  const world = await openWorld();
  const findings = new Findings();
  const store = path.join(logs, 'store');
  const evidence = new Evidence(store);
  let stage: Stage | undefined;
  try {
    if (world.kind !== 'netns') {
      throw new UnderstudyError('rights', 'The guest is reached in a network namespace', {
        hint: 'run the soak as root',
      });
    }
    stage = await Stage.open({
      ...{ nodes: ['a', 'b'], egressSpecs: world.egressSpecs, guestDir: distributionDir },
      ...{ memory: `${memoryMebibytes}M`, logDir: logs },
      pairKeys: { snapshots: { store, every: keepEvery, keep: { last: snapshotsKept } } },
    });
    const guest = new DebianGuest(world, path.join(distributionDir, 'key'));
    const bare = timesBoot
      ? await bareBootMs(stage, world.egressSpecs[0] ?? 'none', guest)
      : undefined;
    const begun = performance.now();
    const pair = await SoakedPair.start(stage, (node, event) => {
      evidence.take(node, event);
      const reason = findings.take(node, event, (stall) => evidence.look(stall));
      if (reason !== undefined) progress.event(`node ${node} gave its copy up: ${reason}`);
    });
    await guest.untilUp(bootMs);
    const bootTook = performance.now() - begun;
    const boot = bare === undefined ? undefined : { bare, protected: bootTook };
    const running = new Soak({
      ...{ world, pair, guest, findings, progress, signal: end.signal },
      phases: phasesInTurn(args.only, seed),
      soakMs: args.minutes * 60_000,
      roundMs: args.roundMs,
      everyMs: args.everyMs,
    });
    const ledger = await running.run();
    await evidence.done();
    return { seed, findings, ledger, boot };
  } finally {
    await stage?.close();
    await world.close();
  }
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2), randomInt(2 ** 32));
  progress.event(`seed ${args.seed}`);
  progress.event('making the guest: some minutes the first time');
  makeDistribution();
  const logs = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-soak-'));
  let isGood = false;
  try {
    const result = await soak(args, logs);
    isGood = tell(result, args);
    process.exitCode = isGood ? exitCodes.ok : exitCodes.failed;
  } finally {
    if (isGood) fs.rmSync(logs, { recursive: true, force: true });
    else progress.event(`logs, and snapshots of the last minutes, are kept in ${logs}`);
    progress.end();
  }
}

/** Returns whether all promises were kept. */
function tell(result: SoakResult, { seed, json }: SoakArguments): boolean {
  progress.end();
  const promised = soakPromises(result);
  if (json) {
    const { stalls, others, refused } = result.findings;
    const said = { seed, promises: promised, stalls, others, refused: Object.fromEntries(refused) };
    process.stdout.write(`${JSON.stringify(said)}\n`);
    process.stdout.write(`${JSON.stringify(summaryOf(result))}\n`);
  } else {
    process.stdout.write(summaryTable(result));
  }
  return promised.every(({ kept }) => kept);
}

await runCommand(main);
