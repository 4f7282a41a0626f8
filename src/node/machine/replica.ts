/**
 * A backup's copy of the machine: RAM file, disks, a replayer that executes the log, and a
 * successor that waits to take over.
 *
 * Contract
 *  1. Segments are executed in the order given; those given during a compare wait for its end.
 *  2. `compare` leaves an executing copy behind, equal to the one before it.
 *  3. `takeOver` executes everything that was given, proves it, and returns a live recorder; after
 *     that the copy is the machine, and `destroy` touches neither its RAM nor its disks.
 */
import { reasonOf } from '../../base/errors.ts';
import type { Epoch } from '../../base/units.ts';
import { withResolvers } from '../../base/with-resolvers.ts';
import {
  compareDeviceStates,
  describeDifferences,
  parseDeviceState,
  withJudgement,
} from '../../hypervisor/device-state/device-state.ts';
import type { Storage } from '../../hypervisor/disks/storage.ts';
import { Heartbeat } from '../../hypervisor/heartbeat.ts';
import { MachineParts, type MachinePlace } from '../../hypervisor/machine-parts.ts';
import { differingBlocks, digestRam, type RamDigest } from '../../hypervisor/memory/ram.ts';
import type { Recorder, RecorderHandlers } from '../../hypervisor/record/recorder.ts';
import type { Successor } from '../../hypervisor/record/successor.ts';
import type { Halted } from '../../hypervisor/replay/at-rest.ts';
import type { Replayer } from '../../hypervisor/replay/replayer.ts';

export interface ReplicaOptions extends MachinePlace {
  readonly onFailure: (reason: string) => void;
  /** All that is before the marker of this epoch was executed. */
  readonly onEpoch: (epoch: Epoch) => void;
  /** What its guest says on its console, which nobody hears. */
  readonly onConsole?: ((bytes: Buffer) => void) | undefined;
}

/** Where a copy is compared, and with what. */
export interface ComparedCut {
  readonly icount: number;
  /** Of the primary's RAM; blocks that are `null` are not compared. */
  readonly ram: RamDigest;
  /** It may arrive later than the cut. */
  readonly primaryState: Promise<Buffer>;
  /**
   * The primary's judgement of its clock (device-state/clock-judgement.ts), when the log shows that
   * the judge was re-armed while it stood still (pause-filter.ts): the copy takes it.
   */
  readonly judgement: string | undefined;
  /**
   * Called while RAM and disks stand still at the cut; a takeover waits for it, and it must not
   * reject. When it made a copy of RAM it returns its path: that is compared then, and the machine
   * goes on sooner.
   */
  readonly whileStill?: (() => Promise<string | undefined>) | undefined;
}

export interface Compared {
  /** What differs from the primary, a line each; empty if equal. */
  readonly differences: readonly string[];
  /** The copy took the primary's judgement of the clock (device-state/clock-judgement.ts). */
  readonly clockTaken: boolean;
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
  readonly #parts: MachineParts;
  readonly #successor: Successor;
  readonly #beats: readonly Heartbeat[];
  #replayer: Replayer;
  #nextReplayer = 1;
  #isComparing = false;
  #comparing: Promise<unknown> = Promise.resolve();
  /** Resolves when the copy is to take over. */
  readonly #wanted = withResolvers<undefined>();
  #gone = false;

  private constructor(
    options: ReplicaOptions,
    parts: MachineParts,
    successor: Successor,
    replayer: Replayer,
  ) {
    this.#options = options;
    this.#parts = parts;
    this.#successor = successor;
    this.#replayer = replayer;
    this.#watch(replayer);
    this.#beats = [
      this.#beat('the waiting successor', successor.instance.process.pid, () =>
        successor.instance.answer(),
      ),
      this.#beat('the storage daemon', parts.storage.pid, () => parts.storage.answer()),
    ];
    void parts.storage.exited.then((info) => {
      if (!this.#gone) options.onFailure(`the storage daemon ended (${info.reason})`);
    });
    void successor.instance.exited.then((info) => {
      if (this.#gone) return;
      options.onFailure(`the waiting successor ended (${info.reason}): ${info.stderr.trim()}`);
    });
  }

  /** Starts what a copy needs, from files that a seed has filled; then feed the log, and `load`. */
  static async start(options: ReplicaOptions): Promise<Replica> {
    const parts = await MachineParts.open(options);
    const starting = [startReplayer(options, parts, 0), parts.successor()] as const;
    try {
      const [replayer, successor] = await Promise.all(starting);
      return new Replica(options, parts, successor, replayer);
    } catch (error) {
      const settled = await Promise.allSettled(starting);
      for (const part of settled) if (part.status === 'fulfilled') await part.value.destroy();
      await parts.storage.stop();
      throw error;
    }
  }

  /**
   * Takes the state of the cut and executes; resolves when the first log after it has arrived.
   * Throws `qemu` when a newer QEMU is to take over, and could not go on from that state.
   */
  async load(deviceState: Buffer): Promise<void> {
    await this.#parts.rehearse(deviceState);
    await this.#replayer.load(deviceState);
  }

  /** Bytes given and not yet read by QEMU. */
  get pendingBytes(): number {
    return this.#replayer.pendingBytes;
  }

  /** Bytes that QEMU has read. */
  get readBytes(): number {
    return this.#replayer.readBytes;
  }

  /** The disks, for who copies them while they are used. */
  get storage(): Storage {
    return this.#parts.storage;
  }

  get comparing(): boolean {
    return this.#isComparing;
  }

  feed(bytes: Buffer): void {
    this.#replayer.feed(bytes);
  }

  /** It stands still although log waits. Invisible to what is executed. */
  release(): void {
    this.#replayer.release();
  }

  /** All that was fed is known to be executed. */
  rest(): void {
    this.#replayer.rest();
  }

  /** Why a copy that has stalled does not go on; it is of no use afterwards. */
  diagnose(): Promise<string> {
    return this.#replayer.diagnose();
  }

  /**
   * Halts the copy after everything given so far, at the cut, compares it with the primary, and
   * lets it go on (R9). A copy that differs does not go on.
   */
  async compare(cut: ComparedCut): Promise<Compared> {
    const comparing = this.#compareAndGoOn(cut);
    this.#comparing = comparing.catch(() => undefined);
    const { state, clockTaken, verdict, digest } = await comparing;
    const found = verdict ?? compareStates(await cut.primaryState, state);
    const blocks = differingBlocks(cut.ram, await digest());
    const differences = [
      ...(found.length > 0 ? describeDifferences(found).split('\n') : []),
      ...(blocks.length > 0 ? [`RAM differs in ${blocks.length} blocks: ${blocks.join(' ')}`] : []),
    ];
    return { differences, clockTaken: clockTaken && differences.length === 0 };
  }

  /** Without a verdict when the copy is to take over and the primary's state did not come. */
  async #compareAndGoOn({ icount, ram, primaryState, judgement, whileStill }: ComparedCut) {
    this.#isComparing = true;
    const { deviceState: own } = await this.#replayer.standStill(icount);
    const judged =
      judgement === undefined ? undefined : withJudgement(parseDeviceState(own), judgement);
    const state = judged ?? own;
    const copy = await whileStill?.();
    const isWanted = (block: number): boolean => ram[block] !== null;
    const digested =
      copy === undefined ? await digestRam(this.#options.ramFile, isWanted) : undefined;
    const primary = await Promise.race([primaryState, this.#wanted.promise]);
    const verdict = primary && compareStates(primary, state);
    if (verdict === undefined || verdict.length === 0) {
      if (judged === undefined) await this.#replayer.goOn();
      else await this.#goOnWith(judged);
      this.#isComparing = false;
    }
    const digest = async (): Promise<RamDigest> => digested ?? digestRam(copy ?? '', isWanted);
    return { state, clockTaken: judged !== undefined, verdict, digest };
  }

  /** Lets a fresh replayer go on, with a state that differs from the present one's. */
  async #goOnWith(deviceState: Buffer): Promise<void> {
    const old = this.#replayer;
    const next = await startReplayer(this.#options, this.#parts, this.#nextReplayer);
    this.#nextReplayer += 1;
    if (this.#gone) {
      await next.destroy();
      return;
    }
    this.#replayer = next;
    this.#watch(next);
    await old.replaceBy(next, deviceState);
    next.letGo();
  }

  /** Executes all that was given, proves it, and lets the successor go on from there (R8). */
  async takeOver(
    icount: number,
    uncompleted: () => Iterable<number>,
    handlers: RecorderHandlers,
  ): Promise<TakenOver> {
    this.#wanted.resolve(undefined);
    await this.#comparing;
    const begun = performance.now();
    const halted = await this.#replayer.halt(icount, uncompleted);
    const { deviceState, replay } = halted;
    const drained = performance.now();
    this.#leave();
    const recorder = await this.#successor.takeOver(deviceState, replay.icount, handlers);
    const loaded = performance.now();
    void this.#replayer.destroy();
    return {
      recorder,
      storage: this.#parts.storage,
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
    this.#leave();
    await Promise.all([this.#replayer.destroy(), this.#successor.destroy()]);
    await this.#parts.storage.stop();
  }

  #leave(): void {
    this.#gone = true;
    for (const beat of this.#beats) beat.close();
  }

  #beat(part: string, pid: number, ask: () => Promise<unknown>): Heartbeat {
    const onSilent = (seconds: number): void =>
      this.#options.onFailure(`${part} has not answered for ${seconds} s`);
    return new Heartbeat({ pid, ask, onSilent });
  }

  /** One that does not read its log is found out by that: it answers only while log flows (R1). */
  #watch(replayer: Replayer): void {
    replayer.instance.monitor.onEvent(({ event, data }) => {
      if (event !== 'BLOCK_IO_ERROR' || this.#gone) return;
      this.#options.onFailure(this.#parts.storage.describeError(data ?? {}));
    });
    void replayer.instance.exited.then((info) => {
      if (this.#gone || this.#replayer !== replayer) return;
      this.#options.onFailure(`the replayer ended (${info.reason}): ${info.stderr.trim()}`);
    });
  }
}

const compareStates = (primary: Buffer, own: Buffer) =>
  compareDeviceStates(parseDeviceState(primary), parseDeviceState(own));

function startReplayer(
  { onFailure, onEpoch, onConsole }: ReplicaOptions,
  parts: MachineParts,
  number: number,
): Promise<Replayer> {
  return parts.replayer(number, {
    incoming: true,
    onError: (error) => onFailure(`feeding the replayer failed: ${reasonOf(error)}`),
    onEpoch,
    onConsole,
  });
}
