/** `understudy restore`: a machine as it was, running again. */
import fs from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { requireRoom } from '../node/run-dir.ts';
import { findSnapshot, type Prepared, prepareMachine } from '../node/snapshots/prepare.ts';
import { type InstantOptions, instantOf, withInstant } from './instant-option.ts';
import { checkPairName, firstNode, goOnLines, writePairFile } from './new-pair.ts';
import { runNode } from './node.ts';
import { type StoreOption, usingStore, withStore } from './store-option.ts';

interface Options extends StoreOption, InstantOptions {
  readonly as: string;
  readonly out: string;
  readonly vm?: string;
  readonly egress: string;
  readonly start: boolean;
  readonly json?: boolean;
}

export function restoreCommand(): Command {
  const command = new Command('restore')
    .description('start a machine as it was at a snapshot, or at any instant that was kept')
    .argument('[snapshot]', 'its id; left out: the newest one, or the one before the instant')
    .requiredOption('--as <name>', 'name of the pair that it becomes')
    .requiredOption('--out <directory>', 'where its disks and its pair file go; must be empty')
    .option('--vm <name>', 'of the snapshots of this pair, when the store has several')
    .option('--egress <egress>', 'where its network cards lead', 'none')
    .option('--no-start', 'prepare it only')
    .option('--json', 'one JSON object before it starts');
  withStore(withInstant(command)).addHelpText(
    'after',
    '\nIt runs in the foreground, alone, as node a of a new pair: the pair file in --out has a node b,\n' +
      'which protects it when it is started. See docs/restore.md.',
  );
  return command.action((id: string | undefined, options: Options) => restore(id, options));
}

async function restore(id: string | undefined, options: Options): Promise<void> {
  const { as, out, egress, start } = options;
  checkPairName(as);
  const dir = path.resolve(out);
  const prepared = await usingStore(options, 'read', async (store) => {
    const until = instantOf(options);
    const { vm } = options;
    const snapshot = await findSnapshot(store, {
      ...(id === undefined ? {} : { id }),
      ...(vm === undefined ? {} : { vm }),
      ...(until === undefined ? {} : { until }),
    });
    return inRunDir((runDir) => {
      const bytes = snapshot.images.find(({ name }) => name === 'ram')?.bytes ?? 0;
      if (until !== undefined) requireRoom(runDir, bytes);
      return prepareMachine({ store, snapshot, until, dir, runDir });
    });
  });
  const disks = prepared.vm.disks.map(({ id }) => id);
  const pairFile = await writePairFile(dir, { name: as, disks, egress });
  tell(prepared, { pairFile, ...options });
  if (!start) return;
  const { machine } = prepared;
  await runNode({ pair: pairFile, name: firstNode, startAnew: false, prepared: machine });
}

/** A directory on a tmpfs for machines of the past. */
export async function inRunDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = fs.mkdtempSync('/dev/shm/understudy-past-');
  try {
    return await work(dir);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

function tell(
  { machine, icount, completions }: Prepared,
  { pairFile, start, json }: Options & { readonly pairFile: string },
): void {
  const { snapshot } = machine.facts;
  if (json === true) {
    const dir = machine.dir;
    process.stdout.write(
      `${JSON.stringify({ snapshot, icount, completions, dir, pair: pairFile })}\n`,
    );
    return;
  }
  const lines = [
    `prepared from ${snapshot}, at icount ${icount}`,
    ...goOnLines(pairFile, { startsBy: start ? undefined : `--from ${machine.dir}` }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
