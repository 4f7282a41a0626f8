/**
 * The successor: a recording QEMU that was started before it is needed.
 *
 * It has mapped the same RAM and is connected to the same disks as the replayer, and waits without
 * touching either. At a takeover it loads the device state of the halted replayer and goes on where
 * that one stands (R8): what takes time, starting a process, is behind us by then.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import {
  newestReplaySection,
  parseDeviceState,
  releaseHalt,
  replaySection,
} from '../device-state/device-state.ts';
import { type InstanceOptions, QemuInstance } from '../qemu/instance.ts';
import { continueClock } from './clock.ts';
import { Recorder, type RecorderHandlers } from './recorder.ts';

export interface SuccessorOptions {
  readonly instance: Omit<InstanceOptions, 'mode' | 'logFile' | 'incoming'>;
  readonly layout: Layout;
  readonly diskIds: readonly string[];
  /** The state that it loads is of an older QEMU (qemu/upgrade.ts). @default false */
  readonly rewritesState?: boolean;
}

export class Successor {
  readonly instance: QemuInstance;
  readonly #options: SuccessorOptions;

  private constructor(options: SuccessorOptions, instance: QemuInstance) {
    this.#options = options;
    this.instance = instance;
  }

  static async start(options: SuccessorOptions): Promise<Successor> {
    return new Successor(options, await startInstance(options, true));
  }

  /** Loads a device state, and no more. Throws `qemu` with what QEMU says when it does not. */
  async load(deviceState: Buffer): Promise<void> {
    const { clocks } = replaySection(parseDeviceState(deviceState));
    // A sentinel's id left in the state would be taken for one that was read from a later log.
    const state = continueClock(releaseHalt(deviceState), clocks[1]);
    const { rewritesState = false } = this.#options;
    await this.instance.loadDeviceState(rewritesState ? newestReplaySection(state) : state);
  }

  /** Loads a device state and runs: from here on this machine is live and records. */
  async takeOver(
    deviceState: Buffer,
    icount: number,
    handlers: RecorderHandlers,
  ): Promise<Recorder> {
    await this.load(deviceState);
    await this.instance.restartTick();
    const recorder = record(this.#options, this.instance, icount, handlers);
    await this.instance.cont();
    return recorder;
  }

  destroy(): Promise<void> {
    return this.instance.destroy();
  }
}

/** Beside the instance's directory, which QEMU's end removes: the log may outlive it. */
export function recorderLogFile(instanceDir: string): string {
  return `${instanceDir}.log`;
}

/** Starts a machine from power-on and records it. */
export async function startRecorder(
  options: SuccessorOptions & RecorderHandlers,
): Promise<Recorder> {
  return record(options, await startInstance(options, false), 0, options);
}

function startInstance({ instance }: SuccessorOptions, incoming: boolean): Promise<QemuInstance> {
  const logFile = recorderLogFile(instance.dir);
  return QemuInstance.start({ ...instance, mode: 'record', logFile, incoming });
}

function record(
  { instance: { dir }, layout, diskIds }: SuccessorOptions,
  instance: QemuInstance,
  icountAtStart: number,
  handlers: RecorderHandlers,
): Recorder {
  const { onSegment, onError, onRoom = () => undefined } = handlers;
  const logFile = recorderLogFile(dir);
  return new Recorder({
    ...{ instance, logFile, layout, diskIds, icountAtStart },
    ...{ onSegment, onError, onRoom },
  });
}
