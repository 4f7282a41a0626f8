/** A machine as it was, running again. */
import fs from 'node:fs';
import path from 'node:path';
import { requireRoom } from '../../node/run-dir.ts';
import { findSnapshot, type Prepared, prepareMachine } from '../../restore/prepare.ts';
import { type InstantOptions, instantOf } from '../instant-option.ts';
import type { StoreOption } from '../store-option.ts';
import { checkPairName, firstNode, goOnLines, writePairFile } from './new-pair.ts';
import { runNode } from './node.ts';
import { usingStore } from './using-store.ts';

export interface RestoreOptions extends StoreOption, InstantOptions {
  readonly as: string;
  readonly out: string;
  readonly vm?: string;
  readonly egress: string;
  readonly start: boolean;
  readonly json?: boolean;
}

/** Runs the machine in the foreground, when it is to be started. */
export async function restore(id: string | undefined, options: RestoreOptions): Promise<void> {
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
  { pairFile, start, json }: RestoreOptions & { readonly pairFile: string },
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
