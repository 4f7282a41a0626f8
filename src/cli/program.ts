/**
 * All verbs of the `understudy` command.
 *
 * A file here says what a verb is called with; the file of the same name in `verbs/` is what it
 * does. That is loaded when the verb is asked for: most of what a start takes is the loading of
 * modules.
 */
import { Command } from 'commander';
import { benchCommand } from './bench.ts';
import { consoleCommand } from './console.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { drillCommand } from './drill.ts';
import { execCommand } from './exec.ts';
import { throwUsageErrors } from './exit.ts';
import { groupCommand } from './group.ts';
import { hostCommand } from './host.ts';
import { importCommand } from './import.ts';
import { initCommand } from './init.ts';
import { logCommand } from './log.ts';
import { nodeCommand } from './node.ts';
import { ownVersion } from './own-version.ts';
import { replayCommand } from './replay.ts';
import { restoreCommand } from './restore.ts';
import { runImageCommand } from './run.ts';
import { secretCommand } from './secret.ts';
import { snapshotCommand } from './snapshot.ts';
import { statusCommand } from './status.ts';
import { stopCommand } from './stop.ts';
import { upgradeCommand } from './upgrade.ts';
import { witnessCommand } from './witness.ts';

/** To be run within `runCommand`: usage errors are thrown. */
export function understudyProgram(): Command {
  const program = new Command('understudy')
    .description('Fault tolerance for QEMU virtual machines: a backup in lockstep takes over')
    .version(ownVersion(), '--version', 'print the version')
    .addCommand(initCommand())
    .addCommand(nodeCommand())
    .addCommand(hostCommand())
    .addCommand(statusCommand())
    .addCommand(drillCommand())
    .addCommand(upgradeCommand())
    .addCommand(stopCommand())
    .addCommand(consoleCommand())
    .addCommand(snapshotCommand())
    .addCommand(restoreCommand())
    .addCommand(groupCommand())
    .addCommand(replayCommand())
    .addCommand(importCommand())
    .addCommand(runImageCommand())
    .addCommand(execCommand())
    .addCommand(witnessCommand())
    .addCommand(secretCommand())
    .addCommand(demoCommand())
    .addCommand(benchCommand())
    .addCommand(doctorCommand())
    .addCommand(logCommand());
  return throwUsageErrors(program);
}
