/**
 * Executes a machine from a kept cut, by the log behind it, to an exact instant of its past.
 *
 * Intuition: this is a backup whose primary has long been gone. It executes what was received,
 * makes what was in flight certain, and proves that it stands where it should (R8).
 *
 * Contract
 *  1. RAM file and images are those of the instant when it resolves, and the state that it returns
 *     belongs to them. The same snapshot, log and instant give the same RAM and disks, byte for
 *     byte.
 *  2. Cuts between the snapshot and the instant are mirrored: the machine is halted there and goes
 *     on, as the primary's and its backup's were; where the backup was to take the primary's
 *     judgement of the clock, a fresh replayer goes on with it.
 *  3. It ends every process that it started, whatever happens. RAM and images are of no use when it
 *     rejects.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Icount, type LogPosition, icount as toIcount } from '../base/units.ts';
import { parseDeviceState, withJudgement } from '../hypervisor/device-state/device-state.ts';
import { MachineParts, type MachinePlace } from '../hypervisor/machine-parts.ts';
import type { QemuInstance } from '../hypervisor/qemu/instance.ts';
import { encodeBehindMarker } from '../hypervisor/replay/pad-frames.ts';
import { PauseFilter } from '../hypervisor/replay/pause-filter.ts';
import { receivedLogTail } from '../hypervisor/replay/received-log.ts';
import type { Replayer } from '../hypervisor/replay/replayer.ts';
import type { LogPiece } from '../ports/snapshot-store.ts';
import { RequestTracker } from '../rrlog/inflight.ts';
import type { LogTail } from '../rrlog/log-tail.ts';
import { type Instant, upTo } from './instant.ts';
import { snapshotLimits } from './limits.ts';
import { decodeLogPayload, type LogMark } from './log-payload.ts';
import { endsBefore, startIn, timeOffset } from './within-piece.ts';

/** RAM file and images are those of the cut, and changed in place. */
export interface RollForwardOptions extends MachinePlace {
  readonly deviceState: Buffer;
  readonly cut: {
    readonly position: LogPosition;
    readonly icount: Icount;
    readonly blockRequestId: number;
  };
  /** The log behind the cut, contiguous; the first piece may begin before it. */
  readonly pieces: AsyncIterable<LogPiece>;
  readonly until: Instant;
  /** Each replayer before it loads its state: who wants to see what the guest does. */
  readonly onReplayer?: (instance: QemuInstance) => Promise<void>;
  readonly guide?: Guide;
}

/** Who lets the machine go on and stops it on the way: a debugger. */
export interface Guide {
  /** It has stopped the machine: nothing is late then. */
  readonly held: () => boolean;
  /**
   * The machine has its state and stands still; it is for the guide to let it go. Called again with
   * a replayer that goes on in the place of another one.
   */
  readonly loaded: (replayer: Replayer) => Promise<void>;
  /**
   * Whether nobody can have noticed the process of the machine yet, when it stands at this icount.
   */
  readonly isReplaceable: (icount: Icount) => boolean;
  /** All was executed, or all that can be, and why. The machine is ended when this resolves. */
  readonly atEnd: (icount: Icount, problem: UnderstudyError | undefined) => Promise<void>;
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
  const parts = await MachineParts.open(options);
  const run = new Run(options, parts);
  try {
    await run.begin();
    return await run.toInstant();
  } finally {
    await run.end();
    await parts.storage.stop();
  }
}

class Run {
  readonly #options: RollForwardOptions;
  readonly #parts: MachineParts;
  readonly #requests: RequestTracker;
  readonly #tail: LogTail;
  readonly #pauses: PauseFilter;
  #replayer: Replayer | undefined;
  #replayers = 0;
  /** It goes no further than this, and why. */
  #stuck: { readonly deviceState: Buffer; readonly problem: UnderstudyError } | undefined;
  #failure: Error | undefined;

  constructor(options: RollForwardOptions, parts: MachineParts) {
    const { layout, cut } = options;
    this.#options = options;
    this.#parts = parts;
    this.#requests = new RequestTracker(cut.blockRequestId);
    this.#pauses = new PauseFilter(layout);
    this.#tail = receivedLogTail(layout, cut, this.#requests);
  }

  async begin(): Promise<void> {
    const replayer = await this.#start();
    this.#replayer = replayer;
    await replayer.loadToStand(this.#options.deviceState);
    await this.#letGo(replayer);
  }

  async #start(): Promise<Replayer> {
    const { onReplayer, guide } = this.#options;
    const replayer = await this.#parts.replayer(this.#replayers, {
      incoming: true,
      onError: (error) => {
        this.#failure ??= error;
      },
      ...(guide === undefined ? {} : { held: guide.held }),
    });
    this.#replayers += 1;
    void replayer.instance.exited.then(({ reason, stderr }) => {
      if (this.#replayer !== replayer) return;
      const why = stderr.trim();
      this.#failure ??= new UnderstudyError('qemu', `The replayer ended (${reason}): ${why}`);
    });
    try {
      await onReplayer?.(replayer.instance);
    } catch (error) {
      await replayer.destroy();
      throw error;
    }
    return replayer;
  }

  async #letGo(replayer: Replayer): Promise<void> {
    const { guide } = this.#options;
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

  /** Returns whether the instant was reached, or it goes no further. */
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
      else if (await this.#mirrorCut(mark)) return true;
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
    // All that came of its last instruction is there: a replayer may stand behind it.
    if (shortened !== undefined) this.#feed(encodeBehindMarker(layout));
    await this.#untilTaken();
    return shortened !== undefined;
  }

  #isThere(): boolean {
    const { until } = this.#options;
    return until.kind === 'icount' && this.#tail.icount >= until.icount;
  }

  /** Halts the machine as its backup was, and lets it go on (R9). Returns whether it cannot. */
  async #mirrorCut({ value, position, judgement }: LogMark): Promise<boolean> {
    const { icount } = this.#tail;
    if (value !== icount) {
      throw new UnderstudyError(
        'log-format',
        `The kept log has a cut at icount ${value} where ${icount} instructions were executed, at position ${position}`,
      );
    }
    this.#feed(this.#pauses.flush());
    const { guide } = this.#options;
    const replayer = this.#replayer as Replayer;
    const deviceState =
      guide === undefined
        ? (await replayer.standStill(value)).deviceState
        : await replayer.standUnseen(value);
    const judged =
      judgement === undefined ? undefined : withJudgement(parseDeviceState(deviceState), judgement);
    if (judged === undefined) {
      await (guide === undefined ? replayer.goOn() : replayer.goOnUnseen());
      return false;
    }
    if (guide?.isReplaceable(icount) === false) {
      this.#stuck = { deviceState, problem: cannotTakeClock(icount) };
      return true;
    }
    const fresh = await this.#start();
    this.#replayer = fresh;
    await replayer.replaceBy(fresh, judged);
    await this.#letGo(fresh);
    return false;
  }

  async #halt(): Promise<RolledForward> {
    this.#feed(this.#pauses.flush());
    const replayer = this.#replayer as Replayer;
    const { deviceState, completions, icount } =
      this.#stuck === undefined
        ? await this.#haltAtEnd(replayer)
        : { ...this.#stuck, completions: 0, icount: this.#tail.icount };
    await this.#options.guide?.atEnd(icount, this.#stuck?.problem);
    return { deviceState, icount, completions };
  }

  async #haltAtEnd(replayer: Replayer): Promise<RolledForward> {
    const { icount } = this.#tail;
    const halted = await replayer.halt(icount, () => this.#requests.uncompleted());
    return { ...halted, icount: toIcount(halted.replay.icount) };
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

function cannotTakeClock(icount: Icount): UnderstudyError {
  return new UnderstudyError(
    'stall',
    `At the cut at icount ${icount} the copy took its clock from the primary, and went on in another process, which a debugger would notice`,
    { hint: 'replay again, to an instant behind it' },
  );
}
