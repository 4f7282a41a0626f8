/**
 * What a machine is made of: its disks' daemon, and the QEMUs that record, replay or wait over
 * them.
 *
 * All of them share one RAM file and one daemon, so that a successor goes on with what a replayer
 * leaves. Each has a directory of its own below the machine's, named like the part.
 */
import path from 'node:path';
import type { Layout } from '../rrlog/layouts.ts';
import type { VmConfig } from './config.ts';
import { Storage } from './disks/storage.ts';
import { createRamFile, reserveRam } from './memory/ram.ts';
import { copySparse } from './memory/sparse-copy.ts';
import type { NewerQemu } from './qemu/upgrade.ts';
import type { Recorder, RecorderHandlers } from './record/recorder.ts';
import { Successor, type SuccessorOptions, startRecorder } from './record/successor.ts';
import { Replayer, type ReplayerOptions } from './replay/replayer.ts';

/** A machine, and where it lies. */
export interface MachinePlace {
  readonly vm: VmConfig;
  readonly layout: Layout;
  /** The QEMU that takes over, where it is a newer one than the one that replays. */
  readonly newer?: NewerQemu | undefined;
  /** Directory of this machine alone, on a tmpfs, its path short enough for sockets in it. */
  readonly dir: string;
  readonly pidDir: string;
  readonly ramFile: string;
  /** By the disks' ids. */
  readonly diskImages: Readonly<Record<string, string>>;
}

/** A machine that runs and is recorded. */
export interface LiveMachine {
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
}

/** What a machine goes on from; its disks are those of the place. */
export interface StateToGoOnFrom {
  readonly ramFile: string;
  readonly facts: { readonly icount: number };
  /**
   * Called when all else is ready: nobody can go on from it afterwards. Returns its device state.
   */
  claim(): Promise<Buffer>;
}

export class MachineParts {
  readonly storage: Storage;
  readonly #place: MachinePlace;

  private constructor(place: MachinePlace, storage: Storage) {
    this.#place = place;
    this.storage = storage;
  }

  /** Starts the disks' daemon. Who opens them stops it, by `storage`, after all that uses it. */
  static async open(place: MachinePlace): Promise<MachineParts> {
    const { vm, dir, pidDir, diskImages, ramFile } = place;
    await reserveRam(ramFile);
    const storage = await Storage.start({
      disks: vm.disks.map((disk) => ({ ...disk, path: diskImages[disk.id] ?? '' })),
      dir: `${dir}/storage`,
      pidDir,
    });
    return new MachineParts(place, storage);
  }

  /** From power-on. */
  recorder(handlers: RecorderHandlers): Promise<Recorder> {
    return startRecorder({ ...this.#optionsOf('recorder'), ...handlers });
  }

  successor(part: 'successor' | 'recorder' = 'successor'): Promise<Successor> {
    return Successor.start(this.#successorOptions(part));
  }

  /**
   * Whether a newer QEMU can go on from the state, while nothing runs here: another one tries, with
   * a view of RAM of its own, and goes. Throws `qemu` when it cannot.
   */
  async rehearse(deviceState: Buffer): Promise<void> {
    if (this.#place.newer === undefined) return;
    const options = this.#successorOptions('rehearsal');
    const instance = { ...options.instance, isRamPrivate: true };
    const successor = await Successor.start({ ...options, instance });
    try {
      await successor.load(deviceState);
    } finally {
      await successor.destroy();
    }
  }

  /** A machine may have several, one after the other: each has a number. */
  replayer(
    number: number,
    options: Omit<ReplayerOptions, keyof SuccessorOptions> & { readonly incoming: boolean },
  ): Promise<Replayer> {
    const { incoming, ...rest } = options;
    const common = this.#optionsOf(`replayer${number}`);
    return Replayer.start({ ...common, ...rest, instance: { ...common.instance, incoming } });
  }

  #successorOptions(part: string): SuccessorOptions {
    const options = this.#optionsOf(part);
    const { newer } = this.#place;
    if (newer === undefined) return options;
    const { program, layout, rewritesState } = newer;
    const instance = { ...options.instance, vm: { ...options.instance.vm, qemu: program } };
    return { ...options, instance, layout, rewritesState };
  }

  #optionsOf(part: string): SuccessorOptions {
    const { vm, layout, dir, pidDir, ramFile } = this.#place;
    const { nbdSocket } = this.storage;
    const name = `${path.basename(dir)}-${part}`;
    return {
      instance: { vm, dir: `${dir}/${part}`, pidDir, name, ramFile, nbdSocket },
      layout,
      diskIds: vm.disks.map(({ id }) => id),
    };
  }
}

/** Switches a machine on. */
export function bootFromPowerOn(
  place: MachinePlace,
  handlers: RecorderHandlers,
): Promise<LiveMachine> {
  createRamFile(place.ramFile, place.vm.memoryBytes);
  return live(place, (parts) => parts.recorder(handlers));
}

/** Lets a machine go on from a state. */
export async function bootFromState(
  place: MachinePlace,
  state: StateToGoOnFrom,
  handlers: RecorderHandlers,
): Promise<LiveMachine> {
  await copySparse(state.ramFile, place.ramFile);
  return live(place, async (parts) => {
    const successor = await parts.successor('recorder');
    try {
      return await successor.takeOver(await state.claim(), state.facts.icount, handlers);
    } catch (error) {
      await successor.destroy();
      throw error;
    }
  });
}

async function live(
  place: MachinePlace,
  start: (parts: MachineParts) => Promise<Recorder>,
): Promise<LiveMachine> {
  const parts = await MachineParts.open(place);
  try {
    const recorder = await start(parts);
    return { recorder, storage: parts.storage, ramFile: place.ramFile };
  } catch (error) {
    await parts.storage.stop();
    throw error;
  }
}
