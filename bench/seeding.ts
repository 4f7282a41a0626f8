/**
 * What a seed costs: a real pair is seeded, and then its backup is killed and comes back with its
 * older disk. One row for each.
 *
 *   npm run bench -- seeding [--memory 128M,512M] [--disk 0,256] [--idle] [--json]
 *
 * `--disk`: MiB of data on the guest's disk besides its own; `--idle`: without the demo's load. The
 * last line of `--json` is an array of rows; times are milliseconds, the stopped part from `stop`
 * to `cont`.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LoadProcess } from '../src/lab/load-process.ts';
import { openWorld } from '../src/lab/open-world.ts';
import { Stage } from '../src/lab/stage.ts';
import { readGuestPage } from '../src/lab/world-program.ts';
import type { WatchEvent } from '../src/observe/control-client.ts';

const { values } = parseArgs({
  options: {
    memory: { type: 'string', default: '128M,512M' },
    disk: { type: 'string', default: '0,256' },
    idle: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const mib = 1024 * 1024;

interface Row {
  readonly memory: string;
  readonly diskMiB: number;
  readonly seed: 'first' | 'rejoin';
  /** The machine stood still, and how much of that compared RAM. */
  readonly stoppedMs: number;
  readonly ramMs: number;
  /** Then it waited for the storage daemon. */
  readonly disksMs: number;
  /** RAM by round, the stopped one last. */
  readonly bytesPerRound: readonly number[];
  readonly ramBytes: number;
  readonly diskBytes: number;
  readonly haveBytes: number;
  /** From the backup's hello until all was sent, and until it protects. */
  readonly sentMs: number;
  readonly protectedMs: number;
}

type World = Awaited<ReturnType<typeof openWorld>>;
type EventOf<Type extends WatchEvent['type']> = Extract<WatchEvent, { type: Type }>;

async function waitForGuest(world: World): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    const page = await readGuestPage(world, '/read').catch(() => undefined);
    if (page !== undefined) return;
    await sleep(200);
  }
  throw new Error('the guest did not answer after its boot');
}

async function measure(memory: string, diskMiB: number): Promise<Row[]> {
  const world = await openWorld();
  let stage: Stage | undefined;
  const rows: Row[] = [];
  try {
    stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs: world.egressSpecs, memory });
    const image = path.join(stage.dir, 'data-a.raw');
    for (let i = 0; i < diskMiB; i += 1) fs.appendFileSync(image, randomBytes(mib));
    const primary = stage.start('a');
    const events: WatchEvent[] = [];
    const times = new Map<string, number>();
    primary.events.subscribe((event) => {
      events.push(event);
      if (event.type === 'state') times.set(event.state, performance.now());
    });
    await waitForGuest(world);
    const load = values.idle ? undefined : new LoadProcess(world, { runName: 'bench' });
    for (const seed of ['first', 'rejoin'] as const) {
      await sleep(2_000); // the load's own beginning, or the end of a backup, is not measured
      events.length = 0;
      const backup = stage.start('b');
      await backup.until('protecting', 120_000);
      await primary.until('protected', 30_000);
      const cut = found(events, 'cut');
      const sent = found(events, 'seeded');
      rows.push({
        memory,
        diskMiB,
        seed,
        stoppedMs: cut.pauseMs,
        ramMs: cut.ramMs,
        disksMs: cut.disksMs ?? 0,
        bytesPerRound: cut.bytesPerRound ?? [],
        ramBytes: sent.ramBytes,
        diskBytes: sent.diskBytes,
        haveBytes: sent.haveBytes,
        sentMs: sent.ms,
        protectedMs: (times.get('protected') ?? 0) - (times.get('seeding') ?? 0),
      });
      await backup.killWithMachine();
      await primary.until('alone', 30_000);
    }
    await load?.stop();
    return rows;
  } finally {
    await stage?.close();
    await world.close();
  }
}

function found<Type extends WatchEvent['type']>(events: WatchEvent[], type: Type): EventOf<Type> {
  const event = events.find((one): one is EventOf<Type> => one.type === type);
  if (event === undefined) throw new Error(`the primary told of no '${type}'`);
  return event;
}

const inMiB = (bytes: number): string => (bytes / mib).toFixed(1);

function line(row: Row): string {
  const rounds = row.bytesPerRound.map(inMiB).join(' ');
  return (
    `${row.memory} +${row.diskMiB}M ${row.seed}: stopped ${row.stoppedMs.toFixed(1)} ms ` +
    `(RAM ${row.ramMs.toFixed(1)}, disks ${row.disksMs.toFixed(1)}), RAM ${inMiB(row.ramBytes)} MiB (rounds ${rounds}), ` +
    `disk ${inMiB(row.diskBytes)} MiB (had ${inMiB(row.haveBytes)}), ` +
    `sent in ${Math.round(row.sentMs)} ms, protected after ${Math.round(row.protectedMs)} ms`
  );
}

const rows: Row[] = [];
for (const memory of values.memory.split(',')) {
  for (const disk of values.disk.split(',')) {
    const measured = await measure(memory, Number(disk));
    for (const row of measured) process.stdout.write(`${line(row)}\n`);
    rows.push(...measured);
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
