/**
 * Recorders and their copies inside this process. A lab removes everything it made when it is
 * closed, whatever has happened before.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { VmConfig } from '../../../src/hypervisor/config.ts';
import { Storage } from '../../../src/hypervisor/disks/storage.ts';
import { createRamFile } from '../../../src/hypervisor/memory/ram.ts';
import { copySparse } from '../../../src/hypervisor/memory/sparse-copy.ts';
import { qemuVersion } from '../../../src/hypervisor/qemu/version.ts';
import type { Recorder } from '../../../src/hypervisor/record/recorder.ts';
import {
  recorderLogFile,
  Successor,
  startRecorder,
} from '../../../src/hypervisor/record/successor.ts';
import { Replayer } from '../../../src/hypervisor/replay/replayer.ts';
import { headerBytes, type Layout, layoutFor } from '../../../src/rrlog/layouts.ts';
import type { Segment } from '../../../src/rrlog/log-tail.ts';
import { BootedGuest, exampleMachine, guestDir } from './booted.ts';
import { diskId, Fan, Machine } from './machine.ts';
import { bootMs } from './wait.ts';

/** The first position of an event in a recorder's own log. */
export const logStart = headerBytes;

/** Files and processes of hypervisor-level tests, in one directory on tmpfs. */
export class Lab {
  readonly dir: string;
  readonly vm: VmConfig;
  readonly layout: Layout;
  readonly #closers: (() => Promise<void>)[] = [];
  #nextName = 1;
  readonly #startsAt = new Date().toISOString().slice(0, 19);

  private constructor(vm: VmConfig, layout: Layout) {
    this.dir = fs.mkdtempSync('/dev/shm/understudy-qemu-test-');
    this.vm = vm;
    this.layout = layout;
  }

  static async open(): Promise<Lab> {
    const vm = await exampleMachine();
    return new Lab(vm, layoutFor((await qemuVersion(vm.qemu)).logLayout));
  }

  /** Ends everything that still runs and removes all files. */
  async close(): Promise<void> {
    try {
      for (const close of this.#closers.reverse()) await close().catch(() => undefined);
    } finally {
      fs.rmSync(this.dir, { recursive: true, force: true });
    }
  }

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** A path in the lab that was not given out before. */
  fresh(what: string): string {
    const name = `${this.dir}/${what}${this.#nextName}`;
    this.#nextName += 1;
    return name;
  }

  /** A copy of the guest's disk as it was built. */
  newImage(): string {
    const image = this.fresh('image');
    execFileSync('cp', ['--sparse=always', `${guestDir}/disk.raw`, image]);
    return image;
  }

  async storage(image: string): Promise<Storage> {
    const storage = await Storage.start({
      disks: [{ id: diskId, path: image, readOnly: false }],
      dir: this.fresh('storage'),
      pidDir: this.dir,
    });
    this.onClose(() => storage.stop());
    return storage;
  }

  common(storage: Storage, ramFile: string, what: string) {
    const dir = this.fresh(what);
    return {
      instance: {
        vm: this.vm,
        dir,
        pidDir: this.dir,
        name: path.basename(dir),
        ramFile,
        nbdSocket: storage.nbdSocket,
        startsAt: this.#startsAt,
      },
      layout: this.layout,
      diskIds: [diskId],
    };
  }

  /** Switches a machine on. `onSegment` sees its log from the first event. */
  async powerOn(onSegment: (segment: Segment) => void = () => undefined): Promise<Machine> {
    const files = { image: this.newImage(), ramFile: this.fresh('ram') };
    createRamFile(files.ramFile, this.vm.memoryBytes);
    return this.#machine(files, onSegment, (options) => startRecorder(options));
  }

  /** A machine whose services answer, from power-on. */
  async boot(): Promise<Machine> {
    const machine = await this.powerOn();
    await machine.console.until('understudy-guest ready', bootMs);
    await machine.console.until('guest# ');
    return machine;
  }

  /** The same, gone on from where one that was booted is kept. */
  async booted(): Promise<Machine> {
    const { files: kept, facts } = await BootedGuest.open();
    const files = { image: this.fresh('image'), ramFile: this.fresh('ram') };
    await copySparse(kept.disk, files.image);
    await copySparse(kept.ram, files.ramFile);
    return this.#machine(
      files,
      () => undefined,
      async ({ onSegment, onError, ...options }) => {
        const successor = await Successor.start(options);
        const state = await fs.promises.readFile(kept.state);
        return successor.takeOver(state, facts.icount, { onSegment, onError });
      },
    );
  }

  async #machine(
    { image, ramFile }: { readonly image: string; readonly ramFile: string },
    onSegment: (segment: Segment) => void,
    start: (options: Parameters<typeof startRecorder>[0]) => Promise<Recorder>,
  ): Promise<Machine> {
    const storage = await this.storage(image);
    const fan = new Fan();
    fan.add(onSegment);
    const common = this.common(storage, ramFile, 'recorder');
    const logFile = recorderLogFile(common.instance.dir);
    const recorder = await start({ ...common, ...fan.handlers });
    return new Machine(this, { recorder, storage, image, ramFile, logFile, fan });
  }

  /**
   * A replayer that begins where a machine is switched on. `first`: events that QEMU needs before
   * it connects to anything.
   */
  async replayFromPowerOn(first: Buffer): Promise<{ replayer: Replayer; ramFile: string }> {
    const storage = await this.storage(this.newImage());
    const ramFile = this.fresh('ram');
    createRamFile(ramFile, this.vm.memoryBytes);
    const common = this.common(storage, ramFile, 'replayer');
    const errors: Error[] = [];
    const replayer = await Replayer.start({
      ...common,
      instance: { ...common.instance, incoming: false },
      onError: (error) => errors.push(error),
      first,
    });
    this.onClose(() => replayer.destroy());
    return { replayer, ramFile };
  }
}
