/**
 * A backup's copy of the machine: RAM file, disks, a replayer that executes the log, a successor
 * that waits to take over, and a spare replayer for the next compare.
 *
 * Contract
 *  1. Segments are executed in the order given; those given during a compare wait for its end.
 *  2. `compare` leaves an executing copy behind, equal to the one before it.
 *  3. `takeOver` executes everything that was given, proves it, and returns a live recorder; after
 *     that the copy is the machine, and `destroy` touches neither its RAM nor its disks.
 */
import path from 'node:path';
import type { Epoch } from '../base/units.ts';
import type { VmConfig } from '../hypervisor/config.ts';
import {
  compareDeviceStates,
  describeDifferences,
  parseDeviceState,
  releaseHalt,
} from '../hypervisor/device-state.ts';
import { differingBlocks, digestRam, type RamDigest } from '../hypervisor/ram.ts';
import type { Recorder, RecorderOptions } from '../hypervisor/recorder.ts';
import { type Halted, Replayer } from '../hypervisor/replayer.ts';
import { Storage } from '../hypervisor/storage.ts';
import { Successor } from '../hypervisor/successor.ts';
import type { Layout } from '../rrlog/layouts.ts';

export interface ReplicaOptions {
  readonly vm: VmConfig;
  readonly layout: Layout;
  /** Directory of this copy alone. */
  readonly dir: string;
  readonly pidDir: string;
  readonly ramFile: string;
  readonly diskImages: Readonly<Record<string, string>>;
  readonly onFailure: (reason: string) => void;
  /** All that is before the marker of this epoch was executed. */
  readonly onEpoch: (epoch: Epoch) => void;
}

/** A copy that has become the machine. */
export interface TakenOver {
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
  readonly halted: Halted;
  readonly drainMs: number;
  readonly loadMs: number;
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #storage: Storage;
  readonly #successor: Successor;
  #replayer: Replayer;
  #spare: Promise<Replayer> | undefined;
  /** Segments that wait for a compare to end. */
  #waiting: Buffer[] | undefined;
  #comparing: Promise<unknown> = Promise.resolve();
  #nextReplayer = 1;
  #gone = false;

  private constructor(
    options: ReplicaOptions,
    storage: Storage,
    successor: Successor,
    replayer: Replayer,
  ) {
    this.#options = options;
    this.#storage = storage;
    this.#successor = successor;
    this.#replayer = replayer;
    this.#watch(replayer);
    void successor.instance.exited.then((info) => {
      if (!this.#gone) options.onFailure(`the waiting successor ended (${info.reason})`);
    });
  }

  /** Starts what a copy needs, from files that a seed has filled; then feed the log, and `load`. */
  static async start(options: ReplicaOptions): Promise<Replica> {
    const { vm, dir, pidDir, diskImages } = options;
    const storage = await Storage.start({
      disks: vm.disks.map((disk) => ({ ...disk, path: diskImages[disk.id] ?? '' })),
      dir: `${dir}/storage`,
      pidDir,
    });
    const common = instanceOptions(options, storage);
    const starting = [
      startReplayer(options, storage, 0),
      Successor.start({
        instance: { ...common, dir: `${dir}/successor`, name: `${path.basename(dir)}-successor` },
        layout: options.layout,
        diskIds: vm.disks.map(({ id }) => id),
      }),
    ] as const;
    try {
      const [replayer, successor] = await Promise.all(starting);
      return new Replica(options, storage, successor, replayer);
    } catch (error) {
      const settled = await Promise.allSettled(starting);
      for (const part of settled) if (part.status === 'fulfilled') await part.value.destroy();
      await storage.stop();
      throw error;
    }
  }

  /** Takes the state of the cut and executes; resolves when the first log after it has arrived. */
  load(deviceState: Buffer): Promise<void> {
    return this.#replayer.load(deviceState);
  }

  /** Bytes given and not yet read by QEMU. */
  get pendingBytes(): number {
    const waiting = this.#waiting?.reduce((sum, { length }) => sum + length, 0) ?? 0;
    return this.#replayer.pendingBytes + waiting;
  }

  /** Bytes that the present replayer has read. */
  get readBytes(): number {
    return this.#replayer.readBytes;
  }

  /** The disks, for who copies them while they are used. */
  get storage(): Storage {
    return this.#storage;
  }

  get comparing(): boolean {
    return this.#waiting !== undefined;
  }

  feed(bytes: Buffer): void {
    if (this.#waiting !== undefined) this.#waiting.push(bytes);
    else this.#replayer.feed(bytes);
  }

  /** All that was fed is known to be executed. */
  rest(): void {
    this.#replayer.rest();
  }

  /** Why a copy that has stalled does not go on; it is of no use afterwards. */
  diagnose(): Promise<string> {
    return this.#replayer.diagnose();
  }

  /** Starts what the next compare needs, so that it is short. */
  prepareSpare(): void {
    if (this.#gone || this.#spare !== undefined) return;
    const number = this.#nextReplayer;
    this.#nextReplayer += 1;
    this.#spare = startReplayer(this.#options, this.#storage, number);
    this.#spare.catch(() => undefined); // whoever needs it finds out
  }

  /**
   * Halts the copy after everything given so far, at `icount`, and goes on in a fresh replayer
   * (R9). Returns what differs from the primary's state, which may arrive later; empty if equal.
   * `whileStill` is called while RAM and disks stand still at the cut; a takeover waits for it, and it
   * must not reject. When it made a copy of RAM it returns its path: that is compared then, and the
   * machine goes on sooner.
   */
  async compare(
    icount: number,
    ram: RamDigest,
    primaryState: Promise<Buffer>,
    whileStill: () => Promise<string | undefined> = () => Promise.resolve(undefined),
  ): Promise<readonly string[]> {
    this.#waiting = [];
    const halting = this.#haltAndGoOn(icount, ram, whileStill);
    this.#comparing = halting.catch(() => undefined);
    const { deviceState, digest } = await halting;
    const found = await digest();
    const differences = compareDeviceStates(
      parseDeviceState(await primaryState),
      parseDeviceState(deviceState),
    );
    const blocks = differingBlocks(ram, found);
    return [
      ...(differences.length > 0 ? describeDifferences(differences).split('\n') : []),
      ...(blocks.length > 0 ? [`RAM differs in ${blocks.length} blocks: ${blocks.join(' ')}`] : []),
    ];
  }

  async #haltAndGoOn(
    icount: number,
    wanted: RamDigest,
    whileStill: () => Promise<string | undefined>,
  ): Promise<{ deviceState: Buffer; digest: () => Promise<RamDigest> }> {
    this.prepareSpare();
    const old = this.#replayer;
    const { deviceState } = await old.halt(icount, () => []);
    const copy = await whileStill();
    const isWanted = (block: number): boolean => wanted[block] !== null;
    const digest =
      copy === undefined ? await digestRam(this.#options.ramFile, isWanted) : undefined;
    const next = await (this.#spare as Promise<Replayer>);
    this.#spare = undefined;
    this.#replayer = next;
    this.#watch(next);
    const ended = old.destroy();
    // The load waits for a first event; what was held back holds one, or the next segment does.
    for (const bytes of this.#waiting ?? []) next.feed(bytes);
    this.#waiting = undefined;
    await next.load(releaseHalt(deviceState));
    await ended;
    const ofCopy = async (): Promise<RamDigest> => digest ?? digestRam(copy ?? '', isWanted);
    return { deviceState, digest: ofCopy };
  }

  /** Executes all that was given, proves it, and lets the successor go on from there (R8). */
  async takeOver(
    icount: number,
    uncompleted: () => Iterable<number>,
    handlers: Pick<RecorderOptions, 'onSegment' | 'onError'>,
  ): Promise<TakenOver> {
    await this.#comparing;
    const begun = performance.now();
    const halted = await this.#replayer.halt(icount, uncompleted);
    const drained = performance.now();
    this.#gone = true;
    const recorder = await this.#successor.takeOver(halted.deviceState, icount, handlers);
    const loaded = performance.now();
    void this.#replayer.destroy();
    void this.#spare?.then((spare) => spare.destroy());
    return {
      recorder,
      storage: this.#storage,
      ramFile: this.#options.ramFile,
      halted,
      drainMs: drained - begun,
      loadMs: loaded - drained,
    };
  }

  /** Resolves when the replayer has ended by itself, as it does when the guest powers off. */
  async ended(deadlineMs: number): Promise<boolean> {
    const deadline = new Promise<false>((resolve) => setTimeout(resolve, deadlineMs, false));
    return Promise.race([this.#replayer.instance.exited.then(() => true), deadline]);
  }

  async destroy(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    const spare = await this.#spare?.catch(() => undefined);
    await Promise.all([this.#replayer.destroy(), this.#successor.destroy(), spare?.destroy()]);
    await this.#storage.stop();
  }

  #watch(replayer: Replayer): void {
    void replayer.instance.exited.then((info) => {
      if (this.#gone || this.#replayer !== replayer) return;
      this.#options.onFailure(`the replayer ended (${info.reason}): ${info.stderr.trim()}`);
    });
  }
}

function instanceOptions({ vm, pidDir, ramFile }: ReplicaOptions, storage: Storage) {
  return { vm, pidDir, ramFile, nbdSocket: storage.nbdSocket };
}

function startReplayer(
  options: ReplicaOptions,
  storage: Storage,
  number: number,
): Promise<Replayer> {
  const { dir, layout, vm } = options;
  return Replayer.start({
    instance: {
      ...instanceOptions(options, storage),
      dir: `${dir}/replayer${number}`,
      name: `${path.basename(dir)}-replayer${number}`,
      incoming: true,
    },
    layout,
    diskIds: vm.disks.map(({ id }) => id),
    onError: (error) => options.onFailure(`feeding the replayer failed: ${error.message}`),
    onEpoch: options.onEpoch,
  });
}
