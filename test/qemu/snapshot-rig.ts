// A protected machine without nodes and links, whose cuts are kept: a recorder, its copy, a keeper.
import fs from 'node:fs';
import { type Icount, icount, type LogPosition, term } from '../../src/base/units.ts';
import {
  judgementOf,
  parseDeviceState,
  timerSection,
} from '../../src/hypervisor/device-state/device-state.ts';
import { imageBytes } from '../../src/hypervisor/disks/storage.ts';
import { digestRam, type RamDigest } from '../../src/hypervisor/memory/ram.ts';
import { PauseFilter } from '../../src/hypervisor/replay/pause-filter.ts';
import { receivedLogTail } from '../../src/hypervisor/replay/received-log.ts';
import { type KeepResult, SnapshotKeeper } from '../../src/node/keeping/keeper.ts';
import { openLog } from '../../src/node/logger.ts';
import { Replica } from '../../src/node/machine/replica.ts';
import { type NodeEvent, Reporter } from '../../src/node/report.ts';
import type { SnapshotStore } from '../../src/ports/snapshot-store.ts';
import type { LogTail, Segment } from '../../src/rrlog/log-tail.ts';
import type { Lab } from './harness/lab.ts';
import type { Machine } from './harness/machine.ts';
import type { PairUnderTest } from './harness/pair.ts';

export interface KeptCut {
  readonly id: string;
  readonly icount: number;
  readonly position: number;
  /** CRC-32s of the primary's RAM at the cut. */
  readonly ram: RamDigest;
}

interface CutOptions {
  readonly keep: boolean;
  readonly judged?: ((deviceState: Buffer) => Buffer) | undefined;
}

export class KeptPair {
  /** Compares after which the copy took the primary's judgement of the clock. */
  clocksTaken = 0;
  /** For how long the machine stood still at its cuts. */
  pausedMs = 0;
  readonly machine: Machine;
  readonly replica: Replica;
  readonly keeper: SnapshotKeeper;
  readonly events: NodeEvent[];
  readonly failures: string[];
  readonly tail: LogTail;
  readonly #pauses: PauseFilter;
  /** What is to be done right behind the log up to a position. */
  readonly #appointments: { readonly position: LogPosition; readonly act: () => void }[] = [];

  private constructor(parts: {
    machine: Machine;
    replica: Replica;
    keeper: SnapshotKeeper;
    events: NodeEvent[];
    failures: string[];
    tail: LogTail;
    pauses: PauseFilter;
  }) {
    this.machine = parts.machine;
    this.replica = parts.replica;
    this.keeper = parts.keeper;
    this.events = parts.events;
    this.failures = parts.failures;
    this.tail = parts.tail;
    this.#pauses = parts.pauses;
  }

  static async open(lab: Lab, store: SnapshotStore): Promise<KeptPair> {
    const machine = await lab.booted();
    const image = lab.fresh('image');
    const ramFile = lab.fresh('ram');
    const held: Segment[] = [];
    const stopHolding = machine.onSegment((segment) => held.push(segment));
    const cut = await machine.copyTo(image, ramFile);
    const dir = lab.fresh('copy');
    fs.mkdirSync(dir);
    const failures: string[] = [];
    const { vm, layout } = lab;
    const diskImages = { data: image };
    const replica = await Replica.start({
      ...{ vm, layout, dir, pidDir: lab.dir, ramFile, diskImages },
      onFailure: (reason) => failures.push(reason),
      onEpoch: () => undefined,
    });
    lab.onClose(() => replica.destroy());
    const events: NodeEvent[] = [];
    const reporter = new Reporter();
    reporter.events.subscribe((event) => events.push(event));
    const keeper = new SnapshotKeeper({
      facts: {
        ...{ vm: 'kept', run: '1.1', seedId: '1.1', term: term(1) },
        vmFingerprint: 'f'.repeat(64),
        qemuVersion: 'test',
        vmFile: 'name: kept\nmemory: 128M\n',
      },
      bootFiles: [],
      layout,
      openStore: async () => store,
      closeStore: (opened) => opened.close(),
      afterKept: async () => undefined,
      reporter,
      log: openLog('test').log,
    });
    lab.onClose(() => keeper.close());
    const tail = receivedLogTail(layout, {
      position: cut.position,
      icount: icount(cut.replay.icount),
    });
    const pauses = new PauseFilter(layout);
    const pair = new KeptPair({ machine, replica, keeper, events, failures, tail, pauses });
    for (const segment of held) if (segment.from >= cut.position) pair.#take(segment);
    machine.onSegment((segment) => pair.#take(segment));
    stopHolding();
    await replica.load(cut.deviceState);
    const diskBytes = { data: imageBytes(image) };
    const ramBytes = vm.memoryBytes;
    keeper.follow({ storage: replica.storage, ramFile, diskImages, diskBytes, ramBytes });
    return pair;
  }

  #take(segment: Segment): void {
    const taken = this.tail.pushSegment(segment);
    this.keeper.received(taken);
    this.replica.feed(this.#pauses.push(segment.bytes));
    this.#keepAppointments();
  }

  #keepAppointments(): void {
    for (let next = this.#appointments[0]; next !== undefined; next = this.#appointments[0]) {
      if (next.position > this.tail.position) return;
      this.#appointments.shift();
      next.act();
    }
  }

  /**
   * A compare; with `keep` a snapshot. Throws when the copy differs or it was not kept. `judged`:
   * what the copy is told to be the primary's state, as if its clock's judge had been re-armed at
   * the cut.
   */
  async cut({ keep, judged }: CutOptions): Promise<KeptCut> {
    const { machine, keeper } = this;
    let comparing: Promise<string> | undefined;
    const cut = await machine.recorder.cut(
      async ({ position, replay, deviceState }) => {
        const ram = await digestRam(machine.ramFile);
        const at = icount(replay.icount);
        const act = (): void => {
          comparing = this.#compare({ position, at, ram, deviceState, keep, judged });
          comparing.catch(() => undefined); // awaited below
        };
        this.#appointments.push({ position, act });
        return ram;
      },
      (position) => {
        const act = (): void => {
          keeper.resumed();
          this.replica.feed(this.#pauses.resumedHere());
        };
        this.#appointments.push({ position, act });
      },
    );
    this.pausedMs += cut.pauseMs;
    this.#keepAppointments();
    await cut.validated;
    const id = await (comparing as Promise<string> | undefined);
    if (id === undefined) throw new Error('the log up to the cut did not come');
    return { id, icount: cut.replay.icount, position: cut.position, ram: cut.done };
  }

  /** Returns the id of the snapshot. */
  async #compare(cut: {
    readonly position: LogPosition;
    readonly at: Icount;
    readonly ram: RamDigest;
    readonly deviceState: Buffer;
    readonly keep: boolean;
    readonly judged: CutOptions['judged'];
  }): Promise<string> {
    const { position, at, ram, deviceState, keep, judged } = cut;
    this.replica.feed(this.#pauses.flush());
    let tell: (result: KeepResult) => void = () => undefined;
    const outcome = new Promise<KeepResult>((resolve) => {
      tell = resolve;
    });
    const primaryState = judged?.(deviceState) ?? deviceState;
    const isJudged = judged !== undefined || this.#pauses.takeRearmed();
    const judgement = isJudged ? judgementOf(parseDeviceState(primaryState)) : undefined;
    const keeping = this.keeper.cut(
      {
        ...{ type: 'cut', cutId: '1', position, icount: at },
        ...(judgement === undefined ? {} : { judgement }),
        deviceStateBytes: deviceState.length,
        digest: { ram },
        ...(keep ? { keep: {} } : {}),
      },
      tell,
    );
    const { differences, clockTaken } = await this.replica.compare({
      icount: at,
      ram,
      primaryState: Promise.resolve(primaryState),
      judgement,
      whileStill: keeping?.whileStill,
    });
    keeping?.settle(differences.length === 0 ? deviceState : undefined);
    if (differences.length > 0) throw new Error(differences.join('; '));
    if (clockTaken) this.clocksTaken += 1;
    if (!keep) return '';
    const result = await outcome;
    if ('problem' in result) throw new Error(result.problem);
    return result.snapshot;
  }
}

/** `last_delta` of another judgement, which the next one in a second makes forgotten. */
export function withDelta(state: Buffer, nanoseconds: bigint): Buffer {
  const at = (timerSection(parseDeviceState(state))?.shiftAt ?? 0) + 2;
  const judged = Buffer.from(state);
  judged.writeBigInt64BE(judged.readBigInt64BE(at) + nanoseconds, at);
  return judged;
}

/**
 * Why cuts of a pair were not kept: but for what the policy leaves out, which depends on how fast
 * disks are.
 */
export function droppedBy(pair: PairUnderTest, name: string): string[] {
  return pair
    .events(name)
    .flatMap((event) => (event.type === 'snapshotDropped' ? [event.reason] : []))
    .filter((reason) => !/not followed yet|the one before is still being stored/.test(reason));
}
