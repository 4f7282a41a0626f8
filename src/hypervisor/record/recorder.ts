/**
 * The recorder: a live machine whose every nondeterministic input goes to the event log.
 *
 * It follows the log that QEMU writes and hands it on in segments, puts markers into it (R2), and
 * makes cuts (R5, R6). A machine that was taken over is adopted: it was a successor until then.
 */

import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { encodeStreamFrame } from '../../base/stream-frames.ts';
import { type Epoch, icount, type LogPosition, logPosition } from '../../base/units.ts';
import { Throttle } from '../../host/throttle.ts';
import { RequestTracker } from '../../rrlog/inflight.ts';
import { headerBytes, type Layout } from '../../rrlog/layouts.ts';
import { LogTail, type Segment } from '../../rrlog/log-tail.ts';
import { encodeMarkerFrame } from '../../rrlog/marker.ts';
import {
  type DeviceState,
  parseDeviceState,
  type ReplaySection,
  replaySection,
} from '../device-state/device-state.ts';
import { padNetId } from '../qemu/command-line.ts';
import type { QemuInstance } from '../qemu/instance.ts';
import { requestsInFlight } from '../qemu/virtio.ts';
import { LogFollower } from './log-follower.ts';
import { watchPause } from './pause-watch.ts';
import { SegmentEnds } from './segment-ends.ts';
import { VcpuWaker } from './vcpu-waker.ts';

/** Who follows a recorder. */
export interface RecorderHandlers {
  /** Called for each run of whole events, in order. */
  readonly onSegment: (segment: Segment) => void;
  readonly onError: (error: Error) => void;
  /** Whether there is room for the log that comes, when that changes. */
  readonly onRoom?: (isThere: boolean) => void;
}

export interface RecorderOptions extends RecorderHandlers {
  readonly instance: QemuInstance;
  readonly logFile: string;
  readonly layout: Layout;
  readonly diskIds: readonly string[];
  /** Instructions executed before this log began: 0 at power-on. */
  readonly icountAtStart: number;
}

/** A machine stopped at a log position, as it was saved there. */
export interface Frozen {
  readonly position: LogPosition;
  readonly deviceState: Buffer;
  /** What is in it: all, and of it the section of record and replay. */
  readonly state: DeviceState;
  readonly replay: ReplaySection;
}

/** A cut that the log after it has not judged yet. */
interface Judgement {
  readonly after: LogPosition;
  readonly judge: (seenTo: LogPosition) => void;
  /** Nobody waits for it any more. */
  readonly abandon: () => void;
}

export interface Cut<T> extends Frozen {
  /** Settles when the log after the cut has confirmed it: rejects with `cut` when it did not. */
  readonly validated: Promise<void>;
  /** What was done while the machine was stopped. */
  readonly done: T;
  /** The guest stood still, by QEMU's own stamps, milliseconds. */
  readonly pauseMs: number;
  /** From the command to stop to the answer to the one to go on: what the node saw of it. */
  readonly roundTripMs: number;
  /** Attempts that met a disk request in flight and were taken back. */
  readonly discarded: number;
}

export class Recorder {
  readonly instance: QemuInstance;
  readonly requests = new RequestTracker();
  /** Slows this machine down for a backup that lags. */
  readonly throttle: Throttle;
  /**
   * Why QEMU has stopped the machine: a disk failed (`werror=stop`), of which the guest has seen
   * nothing. No cut lets it go on, only `goOn`: what failed is done anew then, which no copy does.
   */
  failure: string | undefined;
  readonly #options: RecorderOptions;
  readonly #tail: LogTail;
  readonly #follower: LogFollower;
  readonly #ends = new SegmentEnds();
  /** Markers that QEMU was given and that did not come back yet. */
  #markersUnseen = 0;
  readonly #waker: VcpuWaker;
  /** A cut that waits for the log after it. */
  #judgement: Judgement | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.instance = options.instance;
    this.throttle = new Throttle(options.instance.process.pid);
    this.#tail = new LogTail({
      layout: options.layout,
      input: 'raw',
      expectHeader: false,
      start: { position: logPosition(headerBytes), icount: icount(options.icountAtStart) },
      markerNetId: padNetId,
      requests: this.requests,
    });
    this.#follower = new LogFollower({
      file: options.logFile,
      from: headerBytes,
      onChunk: (chunk) => this.#push(chunk),
      onError: options.onError,
      ...(options.onRoom === undefined ? {} : { onRoom: options.onRoom }),
    });
    const { instance } = options;
    this.#waker = new VcpuWaker({
      pid: instance.process.pid,
      threadId: instance.vcpuThread,
      waits: () => this.#markersUnseen > 0,
      isSlowedDown: () => this.throttle.share > 0,
      mayWake: () => !this.#follower.isPaused,
      wake: () => instance.wakeVcpu(),
    });
  }

  /** End of the last whole event that was handed on. */
  get position(): LogPosition {
    return this.#tail.position;
  }

  get icount(): number {
    return this.#tail.icount;
  }

  /**
   * Puts a marker into the log; it comes back in a segment and pushes out what is before it.
   * `isUrgent`: somebody waits for that, so that an idle guest is woken for it at once.
   */
  sendMarker(epoch: Epoch, isUrgent = true): void {
    this.instance.pad.write(encodeStreamFrame(encodeMarkerFrame(epoch, limits.markerFrameBytes)));
    this.#markersUnseen += 1;
    if (isUrgent) this.#waker.markerGiven();
  }

  /** Gives a frame to the guest, length prefix included. */
  sendFrame(nic: number, bytes: Buffer): void {
    this.instance.nics[nic]?.write(bytes);
    this.#waker.frameGiven();
  }

  /** To be called often: the vCPU of an idle guest may have something to record. */
  tick(): void {
    this.#waker.tick();
  }

  /** Lets it go on after `standStill`, or from a `failure`. */
  async goOn(): Promise<void> {
    this.failure = undefined;
    await this.instance.cont();
    this.throttle.resume();
  }

  /** Looks for new log now instead of waiting to be told. */
  poll(): void {
    this.#follower.poll();
  }

  /**
   * Makes a cut: stop, save, do something with the frozen machine, go on.
   *
   * An attempt that meets a disk request in flight is taken back and repeated a little later: such
   * a request lives only in QEMU's memory. Taking it back is invisible to the guest, because the
   * tick keeps its phase when it is not created anew; a replayer needs a `StartFilter` from that
   * position on, which `onTakenBack` tells before any log behind it is handed on.
   *
   * Throws `cut` when no attempt succeeded.
   */
  async cut<T>(
    whileStopped: (frozen: Frozen) => Promise<T> | T,
    onTakenBack: (position: LogPosition) => void = () => undefined,
  ): Promise<Cut<T>> {
    // The backup that an earlier cut was for may be gone, and with it the markers that judge it.
    this.#judgement?.abandon();
    this.throttle.suspend();
    try {
      for (let discarded = 0; discarded < limits.cutAttempts; discarded += 1) {
        await this.#waitForQuietDisks();
        const cut = await this.#tryCut(whileStopped, onTakenBack, discarded);
        if (cut !== undefined) return cut;
        await new Promise((resolve) => setTimeout(resolve, limits.cutRetryMs));
      }
    } finally {
      this.throttle.resume();
    }
    throw new UnderstudyError(
      'cut',
      `No valid cut in ${limits.cutAttempts} attempts: a disk request was in flight each time`,
      { hint: 'try again when the guest uses its disks less' },
    );
  }

  /**
   * Stops the guest and resolves with the end of its log when all of it was handed on. It goes on
   * by `instance.cont`. Throws `cut`, with a guest that goes on, when the log's end does not come
   * out: `onGoesOn` tells where it stood, before any log behind it is handed on, for a copy that
   * has to do the same (R5).
   */
  async standStill(
    onGoesOn: (position: LogPosition) => void = () => undefined,
  ): Promise<LogPosition> {
    this.throttle.suspend();
    let stoodAt: LogPosition | undefined;
    try {
      this.#follower.poll();
      // QEMU may write while it is stopped; nothing behind the end is handed on before it is known.
      this.#follower.pause();
      try {
        const [, deviceState] = await Promise.all([
          this.instance.stop(),
          this.instance.saveDeviceState(),
        ]);
        stoodAt = logPosition(replaySection(parseDeviceState(deviceState)).fileOffset);
        this.#ends.add(stoodAt, this.#follower.position);
      } finally {
        this.#follower.resume();
      }
      await this.#untilHandedOn(stoodAt);
      return stoodAt;
    } catch (thrown) {
      if (this.failure === undefined) {
        if (stoodAt !== undefined) onGoesOn(stoodAt);
        await this.instance.cont();
      }
      this.throttle.resume();
      throw thrown;
    }
  }

  /** Resolves when all log up to there was handed on. Throws `cut` when it does not come out. */
  async #untilHandedOn(end: LogPosition): Promise<void> {
    const deadline = performance.now() + limits.haltAnswerMs;
    while (this.position < end) {
      if (performance.now() > deadline) {
        throw new UnderstudyError('cut', `The log ends at ${end}; ${this.position} came`);
      }
      // The end is in QEMU's stdio buffer. A stopped machine takes no marker, but each turn of its
      // main loop logs some 20 bytes, and a command is a turn.
      const turns = Array.from({ length: 16 }, () => this.instance.monitor.execute('query-status'));
      await Promise.all(turns);
      this.#follower.poll();
    }
  }

  async #tryCut<T>(
    whileStopped: (frozen: Frozen) => Promise<T> | T,
    onTakenBack: (position: LogPosition) => void,
    discarded: number,
  ): Promise<Cut<T> | undefined> {
    this.requests.openCut();
    this.#follower.poll();
    // QEMU may write while it is stopped; nothing of that is handed on before the cut is known.
    this.#follower.pause();
    const stoppedAt = performance.now();
    const pause = watchPause(this.instance.monitor);
    let made: Omit<Cut<T>, 'pauseMs' | 'roundTripMs'> | undefined;
    try {
      made = await this.#whileStopped(whileStopped, onTakenBack, discarded);
    } finally {
      // Whatever went wrong, the guest goes on; what waits in the log is looked at after that.
      await contAfterCut(this).finally(() => this.#follower.resume());
      pause.close();
    }
    const roundTripMs = performance.now() - stoppedAt;
    return made && { ...made, roundTripMs, pauseMs: pause.ms() ?? roundTripMs };
  }

  async #whileStopped<T>(
    work: (frozen: Frozen) => Promise<T> | T,
    onTakenBack: (position: LogPosition) => void,
    discarded: number,
  ): Promise<Omit<Cut<T>, 'pauseMs' | 'roundTripMs'> | undefined> {
    // Sent in one go: QEMU takes them in this order, and each wait for an answer is guest time.
    const [, inFlight, deviceState] = await Promise.all([
      this.instance.stop(),
      this.#inFlight(),
      this.instance.saveDeviceState(),
    ]);
    const state = parseDeviceState(deviceState);
    const replay = replaySection(state);
    const frozen = { position: logPosition(replay.fileOffset), deviceState, state, replay };
    this.#ends.add(frozen.position, this.#follower.position);
    if (inFlight > 0) {
      this.requests.closeCut();
      onTakenBack(frozen.position);
      return undefined;
    }
    // QEMU does this while we work on the frozen machine.
    const tick = this.instance.restartTick();
    tick.catch(() => undefined); // awaited below, if the work does not fail first
    const done = await work(frozen);
    await tick;
    return { ...frozen, validated: this.#validate(frozen), done, discarded };
  }

  /** Judges a cut by the log after it, at the first marker there (R6). */
  #validate({ position, replay }: Frozen): Promise<void> {
    const validated = new Promise<void>((resolve, reject) => {
      this.#judgement = {
        after: position,
        abandon: () => {
          this.#judgement = undefined;
          this.requests.closeCut();
          reject(new UnderstudyError('cut', 'Another cut was made before this one was judged'));
        },
        judge: (seenTo) => {
          const { blockRequestId } = replay;
          const cut = { position, icount: icount(replay.icount), blockRequestId };
          const verdict = this.requests.judgeCut(cut, seenTo);
          this.requests.closeCut();
          if (verdict.state === 'valid') resolve();
          else {
            const found = verdict.state === 'invalid' ? verdict.requests.join(', ') : 'unknown';
            reject(new UnderstudyError('cut', `Requests were in flight at the cut: ${found}`));
          }
        },
      };
    });
    validated.catch(() => undefined); // whoever needs the answer waits for it
    return validated;
  }

  /** Raises the odds that the next stop meets no request; it cannot make them certain. */
  async #waitForQuietDisks(): Promise<void> {
    const deadline = performance.now() + limits.cutQuietWaitMs;
    while ((await this.#inFlight()) > 0 && performance.now() < deadline) {
      // The monitor's round trip is the pace.
    }
  }

  #inFlight(): Promise<number> {
    return requestsInFlight(this.instance.monitor, this.#options.diskIds);
  }

  #push(chunk: Buffer): void {
    const from = this.#follower.position - chunk.length;
    for (const part of this.#ends.split(chunk, from)) this.#pushWhole(part);
  }

  #pushWhole(chunk: Buffer): void {
    if (chunk.length === 0) return;
    try {
      const segment = this.#tail.push(chunk);
      if (segment === undefined) return;
      this.#markersUnseen -= segment.markers.length + segment.pushes;
      const judgement = this.#judgement;
      if (judgement !== undefined && segment.markers.some((m) => m.position > judgement.after)) {
        this.#judgement = undefined;
        judgement.judge(segment.to);
      }
      this.#options.onSegment(segment);
    } catch (error) {
      this.#options.onError(asError(error));
    }
  }

  close(): void {
    this.#waker.close();
    this.#follower.close();
  }
}

/** Throws `cut` when the machine has to stand. */
async function contAfterCut({ instance, failure }: Recorder): Promise<void> {
  if (failure === undefined) await instance.cont();
  else throw new UnderstudyError('cut', `The machine stands: ${failure}`);
}
