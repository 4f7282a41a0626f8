/**
 * Executes a machine from a kept cut, by the log behind it, to an exact instant of its past.
 *
 * Intuition: this is a backup whose primary has long been gone. It executes what was received, makes
 * what was in flight certain, and proves that it stands where it should (R8).
 *
 * Contract
 *  1. RAM file and images are those of the instant when it resolves, and the state that it returns
 *     belongs to them. The same snapshot, log and instant give the same RAM and disks, byte for byte.
 *  2. Cuts between the snapshot and the instant are mirrored: the machine is halted there and goes on,
 *     as the primary's and its backup's were.
 *  3. It ends every process that it started, whatever happens. RAM and images are of no use when it
 *     rejects.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Icount, type LogPosition, icount as toIcount } from '../../base/units.ts';
import { padNetId } from '../../hypervisor/command-line.ts';
import type { VmConfig } from '../../hypervisor/config.ts';
import type { QemuInstance } from '../../hypervisor/instance.ts';
import { PauseFilter } from '../../hypervisor/pause-filter.ts';
import { Replayer } from '../../hypervisor/replayer.ts';
import { Storage } from '../../hypervisor/storage.ts';
import type { LogPiece } from '../../ports/snapshot-store.ts';
import { RequestTracker } from '../../rrlog/inflight.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { LogTail } from '../../rrlog/log-tail.ts';
import { describeInstant, type Instant, upTo } from './instant.ts';
import { snapshotLimits } from './limits.ts';
import { decodeLogPayload, type LogMark } from './log-payload.ts';

export interface RollForwardOptions {
  readonly vm: VmConfig;
  readonly layout: Layout;
  /** Of the cut; changed in place. */
  readonly ramFile: string;
  readonly diskImages: Readonly<Record<string, string>>;
  readonly deviceState: Buffer;
  readonly cut: {
    readonly position: LogPosition;
    readonly icount: Icount;
    readonly blockRequestId: number;
  };
  /** The log behind the cut, contiguous; the first piece may begin before it. */
  readonly pieces: AsyncIterable<LogPiece>;
  readonly until: Instant;
  /** Directory for sockets, on a tmpfs; created. */
  readonly dir: string;
  readonly pidDir: string;
  /** The replayer before it loads its state: who wants to see what the guest does. */
  readonly onReplayer?: (instance: QemuInstance) => Promise<void>;
  readonly guide?: Guide;
}

/** Who lets the machine go on and stops it on the way: a debugger. */
export interface Guide {
  /** It has stopped the machine: nothing is late then. */
  readonly held: () => boolean;
  /** The machine has its state and stands still; it is for the guide to let it go. */
  readonly loaded: (replayer: Replayer) => Promise<void>;
  /** All was executed. The machine is ended when this resolves. */
  readonly atEnd: (icount: Icount) => Promise<void>;
}

/** A machine at rest at an instant of its past. */
export interface RolledForward {
  readonly deviceState: Buffer;
  readonly icount: Icount;
  /** Disk requests in flight whose completion was made certain. */
  readonly completions: number;
}

/**
 * Throws `store` when the kept log does not go so far, `log-format` when it is damaged, `stall` and
 * `takeover` like a takeover.
 */
export async function rollForward(options: RollForwardOptions): Promise<RolledForward> {
  const { vm, dir, pidDir, diskImages } = options;
  const storage = await Storage.start({
    disks: vm.disks.map((disk) => ({ ...disk, path: diskImages[disk.id] ?? '' })),
    dir: `${dir}/storage`,
    pidDir,
  });
  const run = new Run(options, storage);
  try {
    await run.begin();
    return await run.toInstant();
  } finally {
    await run.end();
    await storage.stop();
  }
}

class Run {
  readonly #options: RollForwardOptions;
  readonly #storage: Storage;
  readonly #requests: RequestTracker;
  readonly #tail: LogTail;
  readonly #pauses: PauseFilter;
  #replayer: Replayer | undefined;
  #failure: Error | undefined;

  constructor(options: RollForwardOptions, storage: Storage) {
    const { layout, cut } = options;
    this.#options = options;
    this.#storage = storage;
    this.#requests = new RequestTracker(cut.blockRequestId);
    this.#pauses = new PauseFilter(layout);
    this.#tail = new LogTail({
      layout,
      input: 'stripped',
      expectHeader: false,
      start: { position: cut.position, icount: cut.icount },
      markerNetId: padNetId,
      requests: this.#requests,
    });
  }

  async begin(): Promise<void> {
    const { vm, layout, dir, pidDir, ramFile, deviceState, onReplayer, guide } = this.#options;
    const name = 'past';
    const replayer = await Replayer.start({
      instance: {
        ...{ vm, pidDir, ramFile, name, incoming: true },
        dir: `${dir}/${name}`,
        nbdSocket: this.#storage.nbdSocket,
      },
      layout,
      diskIds: vm.disks.map(({ id }) => id),
      onError: (error) => {
        this.#failure ??= error;
      },
      ...(guide === undefined ? {} : { held: guide.held }),
    });
    this.#replayer = replayer;
    void replayer.instance.exited.then(({ reason, stderr }) => {
      const why = stderr.trim();
      this.#failure ??= new UnderstudyError('qemu', `The replayer ended (${reason}): ${why}`);
    });
    await onReplayer?.(replayer.instance);
    await replayer.loadToStand(deviceState);
    if (guide === undefined) replayer.letGo();
    else await guide.loaded(replayer);
  }

  async toInstant(): Promise<RolledForward> {
    const { pieces, until } = this.#options;
    let lastTimeMs: number | undefined;
    for await (const piece of pieces) {
      lastTimeMs = piece.toTimeMs;
      if (await this.#takePiece(piece)) return this.#halt();
    }
    if (until.kind === 'end') return this.#halt();
    throw endsBefore(until, this.#tail.icount, lastTimeMs);
  }

  async end(): Promise<void> {
    await this.#replayer?.destroy();
  }

  /** Returns whether the instant was reached. */
  async #takePiece(piece: LogPiece): Promise<boolean> {
    const { layout, until } = this.#options;
    if (piece.to <= this.#tail.position) return false; // known already
    const { events, marks } = decodeLogPayload(layout, piece.payload);
    let at = startIn(piece, marks, this.#tail.position);
    const end =
      until.kind === 'time' ? timeOffset(piece, marks, until.ms, events.length) : undefined;
    for (const mark of marks) {
      if (mark.offset < at || mark.kind === 'time') continue;
      if (mark.position === this.#options.cut.position && mark.kind === 'cut') continue;
      if (end !== undefined && mark.offset >= end) break;
      if (await this.#take(events.subarray(at, mark.offset))) return true;
      at = mark.offset;
      if (mark.kind === 'resumed') this.#feed(this.#pauses.resumedHere());
      else await this.#mirrorCut(mark);
    }
    if (end === undefined) return this.#take(events.subarray(at));
    if (end > at) await this.#take(events.subarray(at, end));
    return true;
  }

  /** Executes a stretch. Returns whether the instant lies in it. */
  async #take(events: Buffer): Promise<boolean> {
    if (events.length === 0) return this.#isThere();
    const { layout, until } = this.#options;
    const { position, icount } = this.#tail;
    const shortened = upTo(layout, { events, position, icount }, until);
    const taken = shortened ?? events;
    if (taken.length > 0) this.#tail.push(taken);
    this.#feed(this.#pauses.push(taken));
    await this.#untilTaken();
    return shortened !== undefined;
  }

  #isThere(): boolean {
    const { until } = this.#options;
    return until.kind === 'icount' && this.#tail.icount >= until.icount;
  }

  /** Halts the machine as its backup was, and lets it go on (R9). */
  async #mirrorCut({ value, position }: LogMark): Promise<void> {
    if (value !== this.#tail.icount) {
      throw new UnderstudyError(
        'log-format',
        `The kept log has a cut at icount ${value} where ${this.#tail.icount} instructions were executed, at position ${position}`,
      );
    }
    this.#feed(this.#pauses.flush());
    const replayer = this.#replayer as Replayer;
    if (this.#options.guide !== undefined) {
      await replayer.passCut(value);
      return;
    }
    await replayer.standStill(value);
    await replayer.goOn();
  }

  async #halt(): Promise<RolledForward> {
    this.#feed(this.#pauses.flush());
    const { icount } = this.#tail;
    const replayer = this.#replayer as Replayer;
    const halted = await replayer.halt(icount, () => this.#requests.uncompleted());
    const { deviceState, completions } = halted;
    await this.#options.guide?.atEnd(toIcount(icount));
    return { deviceState, icount: toIcount(icount), completions };
  }

  #feed(events: Buffer): void {
    if (events.length > 0) this.#replayer?.feed(events);
  }

  /** Until not too much waits for the replayer. */
  async #untilTaken(): Promise<void> {
    const replayer = this.#replayer as Replayer;
    let read = replayer.readBytes;
    let deadline = performance.now() + limits.stallMs;
    while (replayer.pendingBytes > snapshotLimits.feedAheadBytes) {
      if (this.#failure !== undefined) throw this.#failure;
      await sleep(snapshotLimits.feedPollMs);
      const isHeld = this.#options.guide?.held() === true;
      if (isHeld || replayer.readBytes !== read) deadline = performance.now() + limits.stallMs;
      read = replayer.readBytes;
      if (performance.now() > deadline) {
        throw new UnderstudyError(
          'stall',
          `The replay of the kept log does not go on: ${await replayer.diagnose()}`,
        );
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Offset of the first event in a piece that is behind a position. Throws `log-format` when that is in no piece. */
export function startIn(
  { from, to }: LogPiece,
  marks: readonly LogMark[],
  position: LogPosition,
): number {
  if (from === position) return 0;
  const here = marks.find((mark) => mark.kind === 'cut' && mark.position === position);
  if (here !== undefined) return here.offset;
  throw new UnderstudyError(
    'log-format',
    `The log from ${from} to ${to} does not go on from position ${position}`,
    { hint: 'run `understudy snapshot verify`' },
  );
}

/** The error for an instant that the kept log does not reach; `lastTimeMs`: of its last piece. */
export function endsBefore(
  until: Instant,
  icount: Icount,
  lastTimeMs: number | undefined,
): UnderstudyError {
  const end = lastTimeMs === undefined ? '' : `, ${new Date(lastTimeMs).toISOString()}`;
  return new UnderstudyError(
    'store',
    `The kept log ends before ${describeInstant(until)}: at icount ${icount}${end}`,
    { hint: 'name an earlier instant, or leave it out for the snapshot itself' },
  );
}

/** Where a piece must end for a time; `undefined`: all of it is before that. */
export function timeOffset(
  piece: LogPiece,
  marks: readonly LogMark[],
  ms: number,
  eventBytes: number,
): number | undefined {
  if (piece.toTimeMs <= ms) return undefined;
  const before = marks.filter(({ kind, value }) => kind === 'time' && value <= ms).at(-1);
  return Math.min(before?.offset ?? 0, eventBytes);
}
