/**
 * Goes back to snapshots and instants of a pair that has lived, and judges each machine of the
 * past.
 *
 * Contract
 *  1. One that cannot be prepared, started or judged counts as wrong.
 *  2. A prepared machine is judged by its disk, as it is; a started one must go on from there.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Distribution } from '../../../src/base/distribution.ts';
import { asError } from '../../../src/base/errors.ts';
import { inRunDir } from '../../../src/cli/verbs/restore.ts';
import { parentDeathSignalWorks } from '../../../src/host/processes.ts';
import { judgeLedger } from '../../../src/lab/judge-ledger.ts';
import type { World } from '../../../src/lab/world.ts';
import { readGuestPage } from '../../../src/lab/world-program.ts';
import type { SnapshotStore } from '../../../src/ports/snapshot-store.ts';
import { type Prepared, prepareMachine } from '../../../src/restore/prepare.ts';
import { preparedPaths } from '../../../src/restore/prepared.ts';
import type { Aim } from './aims.ts';
import { readGuestFiles } from './guest-files.ts';
import { type GuestFiles, type Outside, wholeLines } from './outside.ts';

export interface PastOptions {
  readonly store: SnapshotStore;
  readonly outside: Outside;
  readonly world: World;
  /** Directory of the store, and one for the disks of machines that are started. */
  readonly storeDir: string;
  readonly scratch: string;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
/** A restored machine is loaded in a second; past this something is wrong. */
const answerMs = 60_000;
const pollMs = 200;
/** For some lines of the ledger. */
const goesOnMs = 500;

export class Past {
  readonly #options: PastOptions;
  /** How many numbers the last line could have had, and how long a machine was prepared. */
  readonly possibleLines = new Distribution();
  readonly prepareMs = new Distribution();
  #started = 0;

  constructor(options: PastOptions) {
    this.#options = options;
  }

  /**
   * Returns what is wrong, in words. With `isStarted` the snapshot is also restored by the command.
   */
  async check(aim: Aim, { isStarted = false } = {}): Promise<readonly string[]> {
    try {
      const { files, findings } = await this.#prepared(aim, (prepared) =>
        this.#judge(aim, prepared),
      );
      if (!isStarted) return findings;
      return [...findings, ...(await this.#goesOn(aim, files))];
    } catch (thrown) {
      const { message, cause } = asError(thrown);
      return [cause instanceof Error ? `${message}: ${cause.message}` : message];
    }
  }

  /** Prepares an instant twice. Returns what differs, in words. */
  async twins(aim: Aim): Promise<readonly string[]> {
    try {
      return await this.#prepared(aim, (one) =>
        this.#prepared(aim, async (other) => {
          const [a, b] = [preparedPaths(one.machine.dir), preparedPaths(other.machine.dir)];
          const differing: string[] = [];
          if (!(await areEqual(a.ram, b.ram))) differing.push('RAM differs');
          for (const { id } of one.vm.disks) {
            if (!(await areEqual(a.disk(id), b.disk(id)))) differing.push(`disk ${id} differs`);
          }
          return differing;
        }),
      );
    } catch (thrown) {
      return [asError(thrown).message];
    }
  }

  #prepared<T>(aim: Aim, work: (prepared: Prepared) => Promise<T>): Promise<T> {
    const { store } = this.#options;
    const { snapshot, until } = aim;
    return inRunDir(async (runDir) => {
      const begun = performance.now();
      const dir = path.join(runDir, 'machine');
      const prepared = await prepareMachine({ store, snapshot, until, dir, runDir });
      this.prepareMs.add(performance.now() - begun);
      return work(prepared);
    });
  }

  async #judge(aim: Aim, { machine, vm, icount }: Prepared) {
    const [disk] = vm.disks;
    const image = preparedPaths(machine.dir).disk(disk?.id ?? '');
    const files = await readGuestFiles(image, machine.dir);
    const { least, most, findings } = this.#options.outside.judge(files, aim.horizon);
    if (Number.isFinite(most)) this.possibleLines.add(most - least + 1);
    const away = icount === aim.icount ? [] : [`it stands at icount ${icount}, not ${aim.icount}`];
    return { files, findings: [...away, ...findings] };
  }

  /** Starts the snapshot by the command, and asks the guest for what its disk had. */
  async #goesOn({ snapshot }: Aim, had: GuestFiles): Promise<string[]> {
    const { world, storeDir, scratch } = this.#options;
    this.#started += 1;
    const name = `past${this.#started}`;
    // A soak that is killed takes what it started with it.
    const dying = parentDeathSignalWorks() ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
    const [command = '', ...rest] = [...dying, process.execPath];
    const child = spawn(
      command,
      [
        ...rest,
        ...['--import', import.meta.resolve('tsx'), path.join(root, 'src/cli/main.ts')],
        ...['restore', snapshot.id, '--store', storeDir, '--as', `${name}-${process.pid}`],
        ...['--out', path.join(scratch, name), '--egress', world.egressSpecs[0] ?? 'none'],
      ],
      { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-500);
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    try {
      if (!(await answers(world, child))) return [`started: no guest answers: ${said.trim()}`];
      await sleep(goesOnMs);
      const ledger = await readGuestPage(world, '/ledger');
      const journal = await readGuestPage(world, '/counter.log');
      const judged = judgeLedger(ledger);
      const findings = [...judged.findings];
      if (!ledger.startsWith(wholeLines(had.ledger))) findings.push('the guest has another ledger');
      if (judged.last <= judgeLedger(had.ledger).last) findings.push('the ledger does not go on');
      if (!journal.startsWith(wholeLines(had.journal))) findings.push('and another journal');
      return findings.map((finding) => `started: ${finding}`);
    } finally {
      child.kill('SIGTERM');
      await exited;
    }
  }
}

async function answers(world: World, child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + answerMs;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    if ((await readGuestPage(world, '/read').catch(() => undefined)) !== undefined) return true;
    await sleep(pollMs);
  }
  return false;
}

async function areEqual(a: string, b: string): Promise<boolean> {
  try {
    await run('cmp', ['-s', a, b]);
    return true;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 1) return false;
    throw thrown;
  }
}
