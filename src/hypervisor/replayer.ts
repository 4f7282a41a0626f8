/**
 * The replayer: a copy of the machine that executes the recorder's log, event by event.
 *
 * It is fed whole events through a FIFO, is poked awake while log waits (R4), and is silent by
 * construction: in replay mode QEMU's filters drop what the guest sends.
 *
 * It is brought to a halt at a log position, to be saved and compared (R9), and goes on from there; or at
 * the end of the log, to be taken over (R8).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { StreamFrameDecoder } from '../base/stream-frames.ts';
import type { Epoch } from '../base/units.ts';
import {
  encodeBlockCompletion,
  encodeBottomHalf,
  encodeEnd,
  encodeFifoPreamble,
} from '../rrlog/encoder.ts';
import { encodeEvent } from '../rrlog/events.ts';
import type { Layout } from '../rrlog/layouts.ts';
import { decodeMarkerHead } from '../rrlog/marker.ts';
import { padNetId } from './command-line.ts';
import { parseDeviceState, type ReplaySection, replaySection } from './device-state.ts';
import { type InstanceOptions, QemuInstance } from './instance.ts';
import { LogFeeder } from './log-feeder.ts';
import { ReplayFilters } from './replay-filters.ts';
import { requestsInFlight } from './virtio.ts';

export interface ReplayerOptions {
  readonly instance: Omit<InstanceOptions, 'mode' | 'logFile'>;
  readonly layout: Layout;
  readonly diskIds: readonly string[];
  readonly onError: (error: Error) => void;
  /** All that is before the marker of this epoch was executed. */
  readonly onEpoch?: (epoch: Epoch) => void;
  /** Power-on only: the first events, without which QEMU does not answer its monitor. */
  readonly first?: Buffer;
  /** Whether a debugger has stopped the machine: nothing is late then. @default never */
  readonly held?: () => boolean;
}

/** What a machine at rest stands at. */
type AsyncOrEnd = 'end' | 'block' | 'bh-oneshot';

/** A replayer at rest: all log executed, proven by its own device state. */
export interface Halted {
  readonly deviceState: Buffer;
  readonly replay: ReplaySection;
  /** Completions that were made certain because their request was in flight (R8). */
  readonly completions: number;
}

/**
 * A frame for the pad, where it vanishes, as the first event behind a loaded state.
 *
 * Between the load and `cont` QEMU's main loop already takes clock checkpoints from the log, some
 * of which the primary met only after its own `cont`: a timer that expires there does nothing in a
 * machine that is still stopped (`icount_warp_rt`), and the replay leaves lockstep. Frames are
 * taken by a running machine only (`icount_account_warp_timer`), so this one holds the log back.
 */
function encodeStartGate(layout: Layout): Buffer {
  return encodePadFrame(layout, Buffer.alloc(60));
}

/**
 * A frame for the pad, behind a marker that is the last event so far. QEMU executes an event when
 * it has read the kind of the next one (`replay_finish_event`), which may come much later: without
 * this the echo of a marker would tell of the epoch behind it, and a copy that only waits for log
 * would look as if it lagged.
 */
export function encodeBehindMarker(layout: Layout): Buffer {
  return encodePadFrame(layout, Buffer.alloc(60));
}

function encodePadFrame(layout: Layout, data: Buffer): Buffer {
  return encodeEvent(layout, { kind: 'net', id: padNetId, flags: 0, data });
}

/** A frame for the pad, behind the last event: its echo says that all before it was executed. */
function encodeLastFrame(layout: Layout): Buffer {
  const data = Buffer.alloc(60);
  lastFrameMagic.copy(data);
  return encodePadFrame(layout, data);
}

const lastFrameMagic = Buffer.from('understudy:last');

export class Replayer {
  readonly instance: QemuInstance;
  readonly #options: ReplayerOptions;
  readonly #feeder: LogFeeder;
  /** Events given before the machine is ready for them: until it has its state, and while it halts. */
  readonly #early: Buffer[] = [];
  /** `undefined`: not ready for events. */
  #filters: ReplayFilters | undefined;
  /** The frame behind the last event came back. */
  #lastEchoed = false;
  #pokesLeft = 0;
  #poker: NodeJS.Timeout | undefined;

  private constructor(options: ReplayerOptions, instance: QemuInstance, feeder: LogFeeder) {
    this.#options = options;
    this.instance = instance;
    this.#feeder = feeder;
    if (!options.instance.incoming) this.#filters = new ReplayFilters(options.layout, false);
    // In replay a console writes for real: nobody may see it, and QEMU must not wait for a reader.
    for (const stream of [instance.console, instance.pad, ...instance.nics]) stream.resume();
    const decoder = new StreamFrameDecoder();
    instance.echo?.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        if (frame.subarray(0, lastFrameMagic.length).equals(lastFrameMagic))
          this.#lastEchoed = true;
        const marker = decodeMarkerHead(frame);
        if (marker !== undefined) options.onEpoch?.(marker.epoch);
      }
    });
  }

  /** Starts QEMU; it waits for a state (`incoming`) or for the first events after power-on. */
  static async start(options: ReplayerOptions): Promise<Replayer> {
    const logFile = `${options.instance.dir}.fifo`;
    const feeder = new LogFeeder(logFile, options.onError);
    const { incoming } = options.instance;
    feeder.feed(encodeFifoPreamble(options.layout, incoming));
    if (incoming) feeder.feed(encodeStartGate(options.layout));
    else if (options.first !== undefined) feeder.feed(options.first);
    try {
      const instance = await QemuInstance.start({ ...options.instance, mode: 'replay', logFile });
      return new Replayer(options, instance, feeder);
    } catch (error) {
      feeder.close();
      throw error;
    }
  }

  /** Takes over the state of a cut and starts to execute; feed the log from that cut on (R7). */
  async load(deviceState: Buffer): Promise<void> {
    await this.loadToStand(deviceState);
    this.letGo();
  }

  /** The same, but it stands still until `letGo`, or until a debugger lets it go on. */
  async loadToStand(deviceState: Buffer): Promise<void> {
    this.#takeLog();
    await this.instance.loadDeviceState(deviceState);
    await this.instance.restartTick();
  }

  /**
   * Goes on after `standStill`, as the primary did with its own `stop` and `cont`. The event that the
   * machine stands at completes an empty request, and now that is made.
   */
  async goOn(): Promise<void> {
    this.#lastEchoed = false;
    this.#takeLog();
    await this.instance.readNothing();
    await this.instance.restartTick();
    this.letGo();
  }

  /**
   * `standStill` and `goOn` in one, unseen by a debugger: to be saved, QEMU stops a running machine by itself
   * and lets it go on, and the debugger is not told (`RUN_STATE_SAVE_VM` in `gdb_vm_state_change`, gdbstub.c).
   * One that the debugger has stopped here stays so: its next `continue` is the machine's `cont`.
   */
  async passCut(icount: number): Promise<void> {
    this.#feedToStand([encodeBottomHalf(this.#options.layout, icount)]);
    await this.#untilExecuted(icount);
    await this.#saved(icount, ['bh-oneshot']);
    this.#lastEchoed = false;
    this.#takeLog();
    await this.instance.restartTick();
    // A running machine takes the event at once, and answers when there is log behind it.
    this.instance.readNothing(limits.replayerContMs).catch(this.#options.onError);
  }

  /** What was fed since the machine came to rest: for one that goes on in its place. */
  takeUnread(): Buffer[] {
    return this.#early.splice(0);
  }

  #takeLog(): void {
    this.#filters = new ReplayFilters(this.#options.layout, true);
    for (const events of this.#early.splice(0)) this.feed(events);
  }

  /** Lets a machine execute that has its state. */
  letGo(): void {
    // Answered only when log is there: with none QEMU waits for it while it holds its lock. If it
    // cannot go on, whoever waits for instructions finds out.
    this.instance.cont(limits.replayerContMs).catch(() => undefined);
  }

  /** Bytes that wait for QEMU to read them; its own buffer may hold up to 4 KiB more. */
  get pendingBytes(): number {
    return this.#feeder.pendingBytes + this.#early.reduce((sum, { length }) => sum + length, 0);
  }

  /** Bytes of log that QEMU has read in all. */
  get readBytes(): number {
    return this.#feeder.fedBytes - this.#feeder.pendingBytes;
  }

  /** Gives whole events to the machine. */
  feed(events: Buffer): void {
    if (this.#filters === undefined) {
      this.#early.push(events);
      return;
    }
    this.#feeder.feed(this.#filters.push(events));
    this.#keepPoking();
  }

  /** Instructions executed; see `QemuInstance.queryIcount`. */
  queryIcount(deadlineMs?: number): Promise<number> {
    return this.instance.queryIcount(deadlineMs);
  }

  /**
   * Brings the machine to rest after all events that were fed, whose instructions sum up to
   * `icount`, and saves it; for good. Requests that are in flight there are completed, lowest id first:
   * `uncompleted` yields the ids that the log has not completed.
   *
   * Throws `stall` when the log is not executed in time, and `takeover` when the saved state does
   * not prove that it was.
   */
  async halt(icount: number, uncompleted: () => Iterable<number>): Promise<Halted> {
    const { layout, diskIds } = this.#options;
    // A request that was never made leaves its completion unconsumed, and with it all that follow:
    // feeding more of them than can be in flight is harmless and saves asking one by one.
    const sentinels: Buffer[] = [];
    if (diskIds.length > 0) {
      let count = 0;
      for (const id of uncompleted()) {
        sentinels.push(encodeBlockCompletion(layout, id));
        count += 1;
        if (count >= limits.completionsMax * diskIds.length) break;
      }
    }
    sentinels.push(encodeEnd(layout));
    return this.#standAt(icount, sentinels, ['end', 'block'], uncompleted);
  }

  /**
   * The same at a cut, with no request in flight, for `goOn`. What is fed from now on waits for that.
   *
   * It stands at the completion of a request that is not made before `goOn`: a bottom half, whose id is the
   * icount at which it is scheduled (`replay_bh_schedule_oneshot_event`, replay/replay-events.c).
   */
  standStill(icount: number): Promise<Halted> {
    const sentinel = encodeBottomHalf(this.#options.layout, icount);
    return this.#standAt(icount, [sentinel], ['bh-oneshot'], () => []);
  }

  async #standAt(
    icount: number,
    sentinels: readonly Buffer[],
    proof: readonly AsyncOrEnd[],
    uncompleted: () => Iterable<number>,
  ): Promise<Halted> {
    this.#feedToStand(sentinels);
    await this.#untilExecuted(icount);
    await this.instance.stop();
    const { deviceState, replay } = await this.#saved(icount, proof);
    const completions = this.#completionsMade(replay, uncompleted);
    return { deviceState, replay, completions };
  }

  /** What is fed from now on waits. */
  #feedToStand(sentinels: readonly Buffer[]): void {
    const left = this.#filters?.flush() ?? Buffer.alloc(0);
    this.#filters = undefined;
    this.#feeder.feed(Buffer.concat([left, encodeLastFrame(this.#options.layout), ...sentinels]));
    this.#keepPoking();
  }

  /** Throws `takeover` when the saved state does not prove that all was executed. */
  async #saved(
    icount: number,
    proof: readonly AsyncOrEnd[],
  ): Promise<{ deviceState: Buffer; replay: ReplaySection }> {
    const deviceState = await this.instance.saveDeviceState();
    const replay = replaySection(parseDeviceState(deviceState));
    this.#prove(replay, icount, proof);
    return { deviceState, replay };
  }

  /** All events consumed, nothing in flight, and that still so some round trips later. */
  async #untilExecuted(icount: number): Promise<void> {
    const { monitor } = this.instance;
    let deadline = performance.now() + limits.stallMs;
    let seen = -1;
    let read = -1;
    let steady = 0;
    while (steady < limits.haltSteadyReads) {
      if (this.#options.held?.() === true) {
        await sleep(limits.heldPollMs);
        deadline = performance.now() + limits.stallMs;
      }
      const left = Math.max(limits.haltAnswerMs, deadline - performance.now());
      const [now, inFlight] = await Promise.all([
        this.queryIcount(left),
        requestsInFlight(monitor, this.#options.diskIds),
      ]);
      const { readBytes } = this;
      if (now !== seen || readBytes !== read) deadline = performance.now() + limits.stallMs;
      seen = now;
      read = readBytes;
      steady = this.#lastEchoed && now === icount && inFlight === 0 ? steady + 1 : 0;
      if (performance.now() > deadline) {
        const found = await this.diagnose();
        throw new UnderstudyError(
          'stall',
          `The replayer stands at icount ${now} with ${inFlight} disk requests in flight; the log ends at icount ${icount}; ${found}`,
        );
      }
    }
  }

  /**
   * For a replayer that has stalled: what it waits at. Ends its usefulness, as it is stopped for
   * it. Returns a sentence; also when it cannot be found out.
   */
  async diagnose(): Promise<string> {
    try {
      await this.instance.stop();
      const state = parseDeviceState(await this.instance.saveDeviceState());
      const { dataKind, hasUnread, icount, instructionCount, readEventId } = replaySection(state);
      if (!hasUnread) return `it waits for log at icount ${icount}`;
      const name = this.#options.layout.names[dataKind] ?? `kind ${dataKind}`;
      return `event ${name} is not consumed at icount ${icount} (instructions left ${instructionCount}, id ${readEventId})`;
    } catch (thrown) {
      return `its state could not be read: ${asError(thrown).message}`;
    }
  }

  #prove(replay: ReplaySection, icount: number, proof: readonly AsyncOrEnd[]): void {
    const { first } = this.#options.layout;
    const kinds = proof.map((name) => first[name]);
    if (replay.icount === icount && replay.hasUnread && kinds.includes(replay.dataKind)) return;
    throw new UnderstudyError(
      'takeover',
      `Not all log was executed: icount ${replay.icount}, expected ${icount}; next event kind ${replay.dataKind} (unread: ${replay.hasUnread}), expected ${kinds.join(' or ')}`,
    );
  }

  #completionsMade(replay: ReplaySection, uncompleted: () => Iterable<number>): number {
    if (replay.dataKind !== this.#options.layout.first.block) return 0;
    let made = 0;
    for (const id of uncompleted()) {
      if (id >= replay.readEventId) break;
      made += 1;
    }
    return made;
  }

  /** Wakes QEMU's main loop while log waits, and a few times after it was given the last (R4). */
  #keepPoking(): void {
    this.#pokesLeft = limits.pokesAfterFeed;
    this.instance.wake();
    this.#poker ??= setInterval(() => {
      this.#pokesLeft -= 1;
      if (this.#feeder.pendingBytes > 0) this.#pokesLeft = limits.pokesAfterFeed;
      if (this.#pokesLeft <= 0) {
        clearInterval(this.#poker);
        this.#poker = undefined;
        return;
      }
      this.instance.wake();
    }, limits.pokeMs);
  }

  /** All that was fed is known to be executed: QEMU may sleep until there is more. */
  rest(): void {
    if (this.#filters !== undefined) this.#pokesLeft = 0;
  }

  async destroy(): Promise<void> {
    clearInterval(this.#poker);
    this.#poker = undefined;
    this.#pokesLeft = 0;
    await this.instance.destroy();
    this.#feeder.close();
  }
}
