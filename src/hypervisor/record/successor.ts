/**
 * The successor: a recording QEMU that was started before it is needed.
 *
 * It has mapped the same RAM and is connected to the same disks as the replayer, and waits without
 * touching either. At a takeover it loads the device state of the halted replayer and goes on where
 * that one stands (R8): what takes time, starting a process, is behind us by then.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { parseDeviceState, releaseHalt, replaySection } from '../device-state/device-state.ts';
import { type InstanceOptions, QemuInstance } from '../qemu/instance.ts';
import { continueClock } from './clock.ts';
import { Recorder, type RecorderOptions } from './recorder.ts';

export interface SuccessorOptions {
  readonly instance: Omit<InstanceOptions, 'mode' | 'logFile' | 'incoming'>;
  readonly layout: Layout;
  readonly diskIds: readonly string[];
}

export class Successor {
  readonly instance: QemuInstance;
  readonly #options: SuccessorOptions;
  readonly #logFile: string;

  private constructor(options: SuccessorOptions, instance: QemuInstance, logFile: string) {
    this.#options = options;
    this.instance = instance;
    this.#logFile = logFile;
  }

  static async start(options: SuccessorOptions): Promise<Successor> {
    const logFile = recorderLogFile(options.instance.dir);
    const instance = await QemuInstance.start({
      ...options.instance,
      mode: 'record',
      logFile,
      incoming: true,
    });
    return new Successor(options, instance, logFile);
  }

  /** Loads a device state and runs: from here on this machine is live and records. */
  async takeOver(
    deviceState: Buffer,
    icount: number,
    handlers: Pick<RecorderOptions, 'onSegment' | 'onError'>,
  ): Promise<Recorder> {
    const { clocks } = replaySection(parseDeviceState(deviceState));
    // A sentinel's id left in the state would be taken for one that was read from a later log.
    await this.instance.loadDeviceState(continueClock(releaseHalt(deviceState), clocks[1]));
    await this.instance.restartTick();
    const recorder = new Recorder({
      instance: this.instance,
      logFile: this.#logFile,
      layout: this.#options.layout,
      diskIds: this.#options.diskIds,
      icountAtStart: icount,
      ...handlers,
    });
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
  options: SuccessorOptions & Pick<RecorderOptions, 'onSegment' | 'onError'>,
): Promise<Recorder> {
  const logFile = recorderLogFile(options.instance.dir);
  const instance = await QemuInstance.start({
    ...options.instance,
    mode: 'record',
    logFile,
    incoming: false,
  });
  return new Recorder({
    instance,
    logFile,
    layout: options.layout,
    diskIds: options.diskIds,
    icountAtStart: 0,
    onSegment: options.onSegment,
    onError: options.onError,
  });
}
