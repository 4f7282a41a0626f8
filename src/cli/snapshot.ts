/** `understudy snapshot`: keep a cut of a protected machine, and look after what was kept. */
import { Command } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import { askNode } from '../observe/control-client.ts';
import type { SnapshotManifest, VerifyReport } from '../ports/snapshot-store.ts';
import { exitCodes } from './exit.ts';
import { primaryNode } from './pair-nodes.ts';
import { type StoreOption, usingStore, withStore } from './store-option.ts';

interface Options extends StoreOption {
  readonly json?: boolean;
  readonly vm?: string;
  readonly label?: string;
}

/** The command group, to be added to the program. */
export function snapshotCommand(): Command {
  const snapshot = new Command('snapshot').description('keep states of a protected machine');
  snapshot
    .command('take')
    .description('keep the machine as it is now; it stays protected')
    .requiredOption('--pair <file>', 'the pair file; the primary must run on this host')
    .option('--label <text>', 'what it is; retention does not remove one with a label')
    .option('--json', 'one JSON object')
    .action((options: Options & { readonly pair: string }) => take(options));
  verb(snapshot, 'ls', 'list snapshots, oldest first')
    .option('--vm <name>', 'of this pair only')
    .action((options: Options) => list(options));
  verb(snapshot, 'show', 'all that is known about a snapshot')
    .argument('<snapshot>', 'its id')
    .action((id: string, options: Options) => show(id, options));
  verb(snapshot, 'rm', 'remove snapshots and give their room back')
    .argument('<snapshots...>', 'their ids')
    .action((ids: string[], options: Options) => remove(ids, options));
  verb(snapshot, 'verify', 'read and check everything in the store').action((options: Options) =>
    verify(options),
  );
  verb(snapshot, 'diff', 'where two snapshots of a machine differ')
    .argument('<older>', 'id of one')
    .argument('<newer>', 'id of the other')
    .action((older: string, newer: string, options: Options) => diff(older, newer, options));
  return snapshot;
}

function verb(group: Command, name: string, description: string): Command {
  const command = group.command(name).description(description);
  return withStore(command).option('--json', 'machine-readable');
}

async function take({ pair, label, json }: Options & { readonly pair: string }): Promise<void> {
  const primary = await primaryNode(pair);
  const more = label === undefined ? {} : { label };
  const answer = await askNode<{ ok: boolean; error?: string; snapshot?: string }>(
    primary.control,
    'snapshot',
    more,
  );
  if (!answer.ok) {
    throw new UnderstudyError('store', answer.error ?? 'The snapshot was refused', {
      hint: 'a snapshot is taken by the backup: see `understudy status` and the log of that node',
    });
  }
  print(json, { snapshot: answer.snapshot }, `${answer.snapshot}`);
}

async function list(options: Options): Promise<void> {
  const { vm, json } = options;
  const found = await usingStore(options, 'read', (store) =>
    store.list(vm === undefined ? {} : { vm }),
  );
  for (const manifest of found) print(json, withoutFile(manifest), line(manifest));
}

async function show(id: string, options: Options): Promise<void> {
  const manifest = await usingStore(
    options,
    'read',
    async (store) => (await store.open(id)).manifest,
  );
  print(options.json, manifest, description(manifest));
}

async function remove(ids: readonly string[], options: Options): Promise<void> {
  const { freedBytes } = await usingStore(options, 'write', async (store) => {
    for (const id of ids) await store.remove(id);
    return store.collect();
  });
  print(
    options.json,
    { removed: ids, freedBytes },
    `removed ${ids.length}, ${freedBytes} bytes are free again`,
  );
}

async function verify(options: Options): Promise<void> {
  const report = await usingStore(options, 'read', (store) => store.verify());
  print(options.json, report, verdict(report));
  if (report.damaged.length > 0) process.exitCode = exitCodes.failed;
}

async function diff(older: string, newer: string, options: Options): Promise<void> {
  const images = await usingStore(options, 'read', async (store) => {
    const [before, after] = [await store.open(older), await store.open(newer)];
    const found: { image: string; bytes: number; ranges: readonly object[] }[] = [];
    for (const { name } of after.manifest.images) {
      const ranges = await after.changes(name, before);
      const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
      found.push({ image: name, bytes, ranges });
    }
    return found;
  });
  const lines = images.map(
    ({ image, bytes, ranges }) => `${image}: ${bytes} bytes differ, in ${ranges.length} ranges`,
  );
  print(options.json, { older, newer, images }, lines.join('\n'));
}

function print(json: boolean | undefined, value: unknown, text: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(value) : text}\n`);
}

const withoutFile = ({ vmFile: _, ...rest }: SnapshotManifest) => rest;

const timeText = (ms: number): string => new Date(ms).toISOString();

function line({ id, vm, takenAtMs, icount, addedBytes, label }: SnapshotManifest): string {
  const what = label === undefined ? '' : `  "${label}"`;
  return `${id}  ${vm}  ${timeText(takenAtMs)}  icount ${icount}  +${addedBytes} bytes${what}`;
}

function description(manifest: SnapshotManifest): string {
  const { id, vm, run, term, epoch, icount, position, takenAtMs, qemuVersion } = manifest;
  return [
    `${id}${manifest.label === undefined ? '' : `: ${manifest.label}`}`,
    `  of ${vm}, run ${run}, term ${term}, taken at ${timeText(takenAtMs)}`,
    `  icount ${icount}, epoch ${epoch}, log position ${position}`,
    `  QEMU ${qemuVersion}`,
    `  added ${manifest.addedBytes} bytes; parent ${manifest.parent ?? 'none'}`,
    ...manifest.images.map(({ name, bytes }) => `  ${name}: ${bytes} bytes`),
    '  VM file:',
    ...manifest.vmFile
      .trimEnd()
      .split('\n')
      .map((text) => `    ${text}`),
  ].join('\n');
}

function verdict({ snapshots, chunks, logPieces, bytes, damaged }: VerifyReport): string {
  const all = `${snapshots} snapshots, ${chunks} chunks, ${logPieces} pieces of log, ${bytes} bytes`;
  if (damaged.length === 0) return `${all}: all is well`;
  const lines = damaged.map(({ what, snapshots: ids }) => {
    return `  ${what}: ${ids.length === 0 ? 'no snapshot needs it' : `needed by ${ids.join(', ')}`}`;
  });
  return [`${all}: ${damaged.length} damaged`, ...lines].join('\n');
}
