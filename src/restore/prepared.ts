/**
 * A prepared machine: a directory from which a machine goes on at an instant of its past.
 *
 *     machine.json      what it is, and where it stands
 *     state             device state
 *     ram               the guest's memory, sparse
 *     disk.ID.raw       image of each disk, sparse
 *     vm.yaml           the VM file
 *
 * Contract
 *  1. machine.json is written last: a directory without it is not prepared.
 *  2. A machine is started from it once. `claim` takes machine.json away before the first write to
 *     a disk, because RAM and disks do not belong together any more afterwards.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { icount } from '../base/units.ts';
import { flushPath } from '../host/durable-files.ts';

const schema = z.strictObject({
  understudy: z.literal('prepared-machine'),
  version: z.literal(1),
  snapshot: z.string(),
  vmFingerprint: z.string(),
  /** As QEMU prints it. */
  qemuVersion: z.string(),
  icount: z.number().int().transform(icount),
  memoryBytes: z.number().int(),
  disks: z.array(z.string()),
  /** The request of its guest that the cut was kept for, where it goes on from exactly that cut. */
  guest: z.string().optional(),
});

/** Where a prepared machine stands, and what it needs. */
export type PreparedFacts = Omit<z.infer<typeof schema>, 'understudy' | 'version'>;

const factsFile = 'machine.json';
const startedFile = 'machine.started.json';

/** Paths in the directory of a prepared machine. */
export const preparedPaths = (dir: string) => ({
  facts: path.join(dir, factsFile),
  state: path.join(dir, 'state'),
  ram: path.join(dir, 'ram'),
  disk: (id: string): string => path.join(dir, `disk.${id}.raw`),
  vmFile: path.join(dir, 'vm.yaml'),
});

export class PreparedMachine {
  readonly dir: string;
  readonly facts: PreparedFacts;

  private constructor(dir: string, facts: PreparedFacts) {
    this.dir = dir;
    this.facts = facts;
  }

  /** All other files are there already. Throws `resources`. */
  static async finish(dir: string, facts: PreparedFacts): Promise<PreparedMachine> {
    const text = JSON.stringify({ understudy: 'prepared-machine', version: 1, ...facts }, null, 2);
    try {
      await fs.promises.writeFile(preparedPaths(dir).facts, `${text}\n`, {
        flag: 'wx',
        mode: 0o600,
      });
      await flushPath(dir);
    } catch (thrown) {
      throw new UnderstudyError('resources', `Cannot write '${preparedPaths(dir).facts}'`, {
        cause: asError(thrown),
      });
    }
    return new PreparedMachine(dir, facts);
  }

  /** Throws `config` when nothing was prepared there, or it was started already. */
  static open(dir: string): PreparedMachine {
    let text: string;
    try {
      text = fs.readFileSync(preparedPaths(dir).facts, 'utf8');
    } catch (thrown) {
      const wasStarted = fs.existsSync(path.join(dir, startedFile));
      throw new UnderstudyError(
        'config',
        wasStarted
          ? `The machine in '${dir}' was started already: its disks have gone on without its memory`
          : `There is no prepared machine in '${dir}'`,
        {
          cause: asError(thrown),
          hint: wasStarted
            ? 'start it without --from to boot it, or restore the snapshot again into another directory'
            : 'prepare one with `understudy restore`',
        },
      );
    }
    try {
      const { understudy: _, version: __, ...facts } = schema.parse(JSON.parse(text));
      return new PreparedMachine(dir, facts);
    } catch (thrown) {
      throw new UnderstudyError('config', `'${preparedPaths(dir).facts}' is damaged`, {
        cause: asError(thrown),
        hint: 'restore the snapshot again',
      });
    }
  }

  get ramFile(): string {
    return preparedPaths(this.dir).ram;
  }

  /** Throws `config` when it is not of this machine, this QEMU or these images. */
  check(machine: {
    readonly vmFingerprint: string;
    readonly qemuVersion: string;
    readonly diskImages: Readonly<Record<string, string>>;
  }): void {
    const { facts, dir } = this;
    const refuse = (what: string, hint: string): never => {
      throw new UnderstudyError('config', `Cannot go on from '${dir}': ${what}`, { hint });
    };
    if (facts.qemuVersion !== machine.qemuVersion) {
      refuse(
        `it was recorded by QEMU ${facts.qemuVersion}, this is ${machine.qemuVersion}`,
        'install the version that recorded it: a device state belongs to one',
      );
    }
    if (facts.vmFingerprint !== machine.vmFingerprint) {
      refuse(
        'the VM file, or a file that it names, is not that of the snapshot',
        'use the vm.yaml beside it, with the kernel and the firmware of that time',
      );
    }
    for (const id of facts.disks) {
      const image = preparedPaths(dir).disk(id);
      const given = machine.diskImages[id];
      if (given !== undefined && fs.existsSync(given) && isSameFile(given, image)) continue;
      refuse(
        `the image of disk '${id}' is '${given}' in the pair file`,
        `give '${image}' for it: memory and disks of a machine belong together`,
      );
    }
  }

  /** It is going to run: returns its device state, and nobody can start it again from here. */
  async claim(): Promise<Buffer> {
    const state = await fs.promises.readFile(preparedPaths(this.dir).state);
    await fs.promises.rename(preparedPaths(this.dir).facts, path.join(this.dir, startedFile));
    await flushPath(this.dir);
    return state;
  }
}

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [fs.statSync(a), fs.statSync(b, { throwIfNoEntry: false })];
  return one.ino === other?.ino && one.dev === other.dev;
}
