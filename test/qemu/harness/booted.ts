/**
 * The example guest as it is when its services answer, kept once and gone on from by every test
 * whose point is not the boot: that takes five seconds of a processor, and this one.
 *
 *     build/booted/KEY/{state,ram,disk.raw,facts.json}
 *
 * Never stale: the key is of all that decides what is kept. That is the machine with its kernel,
 * initial RAM disk and firmware, QEMU's version, the disk, and what the sources do to record and to
 * load it.
 */
import { createHash, hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { type Icount, icount } from '../../../src/base/units.ts';
import {
  parseVmConfig,
  type VmConfig,
  vmFingerprint,
  withQemu,
} from '../../../src/hypervisor/config.ts';
import { copySparse } from '../../../src/hypervisor/memory/sparse-copy.ts';
import { qemuVersion } from '../../../src/hypervisor/qemu/version.ts';
import { exampleVm } from '../../../src/lab/stage.ts';
import { PreparedMachine, preparedPaths } from '../../../src/restore/prepared.ts';
import { root } from '../../compiled/program.ts';

/** What scripts/guest/build makes. */
export const guestDir = path.join(root, 'build/guest');
const bootedDir = path.join(root, 'build/booted');

interface Facts {
  readonly vmFingerprint: string;
  readonly qemuVersion: string;
  readonly icount: number;
  readonly memoryBytes: number;
}

/** The example guest as a test of the hypervisor has it: the same machine as that of a pair. */
export async function exampleMachine(): Promise<VmConfig> {
  const text = YAML.stringify(exampleVm(guestDir));
  const described = parseVmConfig(text, { file: 'the example guest', baseDir: guestDir });
  return withQemu(described);
}

export class BootedGuest {
  readonly #dir: string;
  readonly facts: Facts;

  private constructor(dir: string) {
    this.#dir = dir;
    this.facts = JSON.parse(fs.readFileSync(path.join(dir, 'facts.json'), 'utf8')) as Facts;
  }

  /** The one that the start of this run has made or found. */
  static async open(): Promise<BootedGuest> {
    return new BootedGuest(path.join(bootedDir, await key()));
  }

  /**
   * Makes it, unless it is there. `boot` fills the three files, and says where the machine stands.
   */
  static async keep(boot: (to: BootedFiles) => Promise<Icount>): Promise<void> {
    const name = await key();
    const dir = path.join(bootedDir, name);
    if (fs.existsSync(dir)) return;
    const making = `${dir}.${process.pid}`;
    fs.mkdirSync(making, { recursive: true });
    const vm = await exampleMachine();
    const facts: Facts = {
      icount: await boot(filesIn(making)),
      vmFingerprint: await vmFingerprint(vm),
      qemuVersion: (await qemuVersion(vm.qemu)).text,
      memoryBytes: vm.memoryBytes,
    };
    fs.writeFileSync(path.join(making, 'facts.json'), JSON.stringify(facts));
    try {
      fs.renameSync(making, dir);
    } catch {
      fs.rmSync(making, { recursive: true }); // another run was faster
    }
    for (const other of fs.readdirSync(bootedDir)) {
      if (!other.startsWith(name)) fs.rmSync(path.join(bootedDir, other), { recursive: true });
    }
  }

  get files(): BootedFiles {
    return filesIn(this.#dir);
  }

  /**
   * Prepares it for a node, in a new directory. Its disk becomes `image`. RAM and device state are
   * read by the node, and stay where they are.
   */
  async prepare(dir: string, image: string): Promise<void> {
    const [to, from] = [preparedPaths(dir), this.files];
    fs.mkdirSync(dir);
    fs.symlinkSync(from.state, to.state);
    fs.symlinkSync(from.ram, to.ram);
    await copySparse(from.disk, image);
    fs.symlinkSync(image, to.disk('data'));
    const { vmFingerprint, qemuVersion, memoryBytes } = this.facts;
    await PreparedMachine.finish(dir, {
      ...{ snapshot: 'booted', vmFingerprint, qemuVersion, memoryBytes, disks: ['data'] },
      icount: icount(this.facts.icount),
    });
  }
}

export interface BootedFiles {
  readonly state: string;
  readonly ram: string;
  readonly disk: string;
}

const filesIn = (dir: string): BootedFiles => ({
  state: path.join(dir, 'state'),
  ram: path.join(dir, 'ram'),
  disk: path.join(dir, 'disk.raw'),
});

let known: Promise<string> | undefined;

function key(): Promise<string> {
  known ??= findKey();
  return known;
}

async function findKey(): Promise<string> {
  const vm = await exampleMachine();
  const sources = ['src/base', 'src/host', 'src/hypervisor', 'src/rrlog', 'test/qemu/harness'];
  const files = sources.flatMap((dir) =>
    fs
      .readdirSync(path.join(root, dir), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => path.join(root, dir, name)),
  );
  const digest = createHash('sha256');
  digest.update(await vmFingerprint(vm));
  digest.update((await qemuVersion(vm.qemu)).text);
  // The build writes what its image is made of, which is less to read than a disk.
  const others = [path.join(guestDir, 'stamp'), path.join(root, 'test/qemu/booted.setup.ts')];
  for (const file of [...others, ...files.sort()]) {
    digest.update(hash('sha256', fs.readFileSync(file)));
  }
  return digest.digest('hex').slice(0, 16);
}
