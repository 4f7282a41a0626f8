/**
 * The replayer: a copy of the machine that executes the recorder's log, event by event.
 *
 * It is fed whole events through a FIFO, is poked awake while log waits (R4), and is silent by
 * construction: in replay mode QEMU's filters drop what the guest sends.
 *
 * It is brought to a halt at a log position, to be saved and compared (R9), and goes on from there;
 * or at the end of the log, to be taken over (R8).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { StreamFrameDecoder } from '../../base/stream-frames.ts';
import type { Epoch } from '../../base/units.ts';
import { withResolvers } from '../../base/with-resolvers.ts';
import { OneProcessor } from '../../host/one-processor.ts';
import { encodeBottomHalf, encodeEnd, encodeFifoPreamble } from '../../rrlog/encoder.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { decodeMarkerHead, noEpoch } from '../../rrlog/marker.ts';
import {
  parseDeviceState,
  type ReplaySection,
  releaseHalt,
  replaySection,
} from '../device-state/device-state.ts';
import { type InstanceOptions, QemuInstance } from '../qemu/instance.ts';
import { requestsInFlight } from '../qemu/virtio.ts';
import { whyEnded } from '../qemu/why-ended.ts';
import {
  completionsMade,
  completionsOf,
  type Halted,
  proveAtRest,
  type RestingEvent,
} from './at-rest.ts';
import { diagnose } from './diagnosis.ts';
import { LogFeeder } from './log-feeder.ts';
import { encodeLastFrame, encodeStartGate, isLastFrame } from './pad-frames.ts';
import { ReplayFilters } from './replay-filters.ts';

export interface ReplayerOptions {
  readonly instance: Omit<InstanceOptions, 'mode' | 'logFile'>;
  readonly layout: Layout;
  readonly diskIds: readonly string[];
  readonly onError: (error: Error) => void;
  /** All that is before the marker of this epoch was executed. */
  readonly onEpoch?: (epoch: Epoch) => void;
  /** What the guest says on its console. */
  readonly onConsole?: ((bytes: Buffer) => void) | undefined;
  /** Power-on only: the first events, without which QEMU does not answer its monitor. */
  readonly first?: Buffer;
  /** Whether a debugger has stopped the machine: nothing is late then. @default never */
  readonly held?: () => boolean;
}

export class Replayer {
  readonly instance: QemuInstance;
  readonly #options: ReplayerOptions;
  readonly #feeder: LogFeeder;
  readonly #processor: OneProcessor;
  /**
   * Events given before the machine is ready for them: until it has its state, and while it halts.
   */
  readonly #early: Buffer[] = [];
  /** `undefined`: not ready for events. */
  #filters: ReplayFilters | undefined;
  /** Resolves when the frame behind the last event has come back. */
  #lastEcho = withResolvers();
  #pokesLeft = 0;
  #poker: NodeJS.Timeout | undefined;

  private constructor(options: ReplayerOptions, instance: QemuInstance, feeder: LogFeeder) {
    this.#options = options;
    this.instance = instance;
    this.#feeder = feeder;
    this.#processor = new OneProcessor(instance.process.pid);
    if (!options.instance.incoming) this.#filters = new ReplayFilters(options.layout, false);
    // In replay a serial port writes for real: nobody may see it, and QEMU must not wait for a
    // reader.
    for (const { output } of instance.serials) output.resume();
    for (const stream of [instance.pad, ...instance.nics]) stream.resume();
    if (options.onConsole !== undefined) instance.serials[0]?.output.on('data', options.onConsole);
    const decoder = new StreamFrameDecoder();
    instance.echo?.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        if (isLastFrame(frame)) this.#lastEcho.resolve();
        const marker = decodeMarkerHead(frame);
        if (marker !== undefined && marker.epoch !== noEpoch) options.onEpoch?.(marker.epoch);
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
   * Goes on after `standStill`, as the primary did with its own `stop` and `cont`. The event that
   * the machine stands at completes an empty request, and now that is made.
   */
  async goOn(): Promise<void> {
    this.#takeLog();
    await Promise.all([this.instance.readNothing(), this.instance.restartTick()]);
    this.letGo();
  }

  /**
   * `standStill`, unseen by a debugger: to be saved, QEMU stops a running machine by itself and
   * lets it go on, and the debugger is not told (`RUN_STATE_SAVE_VM` in `gdb_vm_state_change`,
   * gdbstub.c). Returns its state.
   */
  async standUnseen(icount: number): Promise<Buffer> {
    this.#feedToStand([encodeBottomHalf(this.#options.layout, icount)]);
    await this.#untilExecuted(icount);
    const { deviceState } = await this.#saved(icount, ['bh-oneshot']);
    return deviceState;
  }

  /**
   * Goes on after `standUnseen`. A machine that the debugger has stopped here stays so: its next
   * `continue` is the machine's `cont`.
   */
  async goOnUnseen(): Promise<void> {
    this.#takeLog();
    await this.instance.restartTick();
    // A running machine takes the event at once, and answers when there is log behind it.
    this.instance.readNothing(limits.replayerContMs).catch(this.#options.onError);
  }

  /**
   * Ends this machine, which stands still, and gives its place to a fresh one: that has
   * `deviceState`, this one's but for a few words, and what was fed meanwhile, and stands until
   * `letGo`. From the call on events are for the fresh one.
   */
  async replaceBy(fresh: Replayer, deviceState: Buffer): Promise<void> {
    for (const events of this.#early.splice(0)) fresh.feed(events);
    await Promise.all([this.destroy(), fresh.loadToStand(releaseHalt(deviceState))]);
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
   * `icount`, and saves it; for good. It stands before the last event if that is a run of
   * instructions, as nobody knows what came of them (open-run.ts): where is told with what it
   * returns. Requests that are in flight there are completed, lowest id first: `uncompleted` yields
   * the ids that the log has not completed.
   *
   * Throws `stall` when the log is not executed in time, and `takeover` when the saved state does
   * not prove that it was.
   */
  async halt(icount: number, uncompleted: () => Iterable<number>): Promise<Halted> {
    const { layout, diskIds } = this.#options;
    const sentinels = [...completionsOf(layout, diskIds.length, uncompleted), encodeEnd(layout)];
    const leftOut = this.#filters?.leaveOut() ?? 0;
    return this.#standAt(icount - leftOut, sentinels, ['end', 'block'], uncompleted);
  }

  /**
   * The same at a cut, with no request in flight, for `goOn`. What is fed from now on waits for
   * that.
   *
   * It stands at the completion of a request that is not made before `goOn`: a bottom half, whose
   * id is the icount at which it is scheduled (`replay_bh_schedule_oneshot_event`,
   * replay/replay-events.c).
   */
  standStill(icount: number): Promise<Halted> {
    const sentinel = encodeBottomHalf(this.#options.layout, icount);
    return this.#standAt(icount, [sentinel], ['bh-oneshot'], () => []);
  }

  async #standAt(
    icount: number,
    sentinels: readonly Buffer[],
    proof: readonly RestingEvent[],
    uncompleted: () => Iterable<number>,
  ): Promise<Halted> {
    this.#feedToStand(sentinels);
    try {
      await this.#untilExecuted(icount);
      await this.instance.stop();
      const { deviceState, replay } = await this.#saved(icount, proof);
      const completions = completionsMade(this.#options.layout, replay, uncompleted);
      return { deviceState, replay, completions };
    } catch (thrown) {
      throw await whyEnded('The replayer', this.instance, thrown);
    }
  }

  /** What is fed from now on waits. */
  #feedToStand(sentinels: readonly Buffer[]): void {
    const left = this.#filters?.flush() ?? Buffer.alloc(0);
    this.#filters = undefined;
    this.#lastEcho = withResolvers();
    this.#feeder.feed(Buffer.concat([left, encodeLastFrame(this.#options.layout), ...sentinels]));
    this.#keepPoking();
  }

  /** Throws `takeover` when the saved state does not prove that all was executed. */
  async #saved(
    icount: number,
    proof: readonly RestingEvent[],
  ): Promise<{ deviceState: Buffer; replay: ReplaySection }> {
    const deviceState = await this.instance.saveDeviceState();
    const replay = replaySection(parseDeviceState(deviceState));
    proveAtRest(this.#options.layout, replay, icount, proof);
    return { deviceState, replay };
  }

  /** All events consumed, nothing in flight, and that still so some round trips later. */
  async #untilExecuted(icount: number): Promise<void> {
    const { monitor } = this.instance;
    let deadline = performance.now() + limits.stallMs;
    let seen = -1;
    let read = -1;
    let steady = 0;
    let isEchoed = false;
    const echoed = this.#lastEcho.promise.then(() => {
      isEchoed = true;
    });
    while (steady < limits.haltSteadyReads) {
      if (this.#options.held?.() === true) {
        await sleep(limits.heldPollMs);
        deadline = performance.now() + limits.stallMs;
      }
      // Each question is a turn of QEMU's main loop, and the machine waits for that meanwhile.
      if (!isEchoed) await Promise.race([echoed, sleep(limits.haltLookMs)]);
      const left = Math.max(limits.haltAnswerMs, deadline - performance.now());
      const [now, inFlight] = await Promise.all([
        this.queryIcount(left),
        requestsInFlight(monitor, this.#options.diskIds),
      ]);
      const { readBytes } = this;
      if (now !== seen || readBytes !== read) deadline = performance.now() + limits.stallMs;
      seen = now;
      read = readBytes;
      steady = isEchoed && now === icount && inFlight === 0 ? steady + 1 : 0;
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
  diagnose(): Promise<string> {
    return diagnose(this.#options.layout, this.instance);
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

  /** It stands still although log waits: its processor may be somebody else's. */
  release(): void {
    this.#processor.release();
  }

  /** All that was fed is known to be executed: QEMU may sleep until there is more. */
  rest(): void {
    if (this.#filters !== undefined) this.#pokesLeft = 0;
  }

  async destroy(): Promise<void> {
    clearInterval(this.#poker);
    this.#poker = undefined;
    this.#pokesLeft = 0;
    this.#processor.close();
    await this.instance.destroy();
    this.#feeder.close();
  }
}
