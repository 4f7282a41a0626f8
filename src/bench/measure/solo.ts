/**
 * A recorder by itself, and later a replayer by itself: one log, recorded and replayed without a
 * pair around them, so that neither waits for the other or takes its processor.
 */
import fs from 'node:fs';
import { limits } from '../../base/limits.ts';
import { encodeStreamFrame, StreamFrameDecoder } from '../../base/stream-frames.ts';
import { epoch } from '../../base/units.ts';
import { egressFromSpec } from '../../egress/from-spec.ts';
import { loadVmConfig, type VmConfig } from '../../hypervisor/config.ts';
import {
  bootFromPowerOn,
  type LiveMachine,
  MachineParts,
  type MachinePlace,
} from '../../hypervisor/machine-parts.ts';
import { createRamFile } from '../../hypervisor/memory/ram.ts';
import { qemuVersion } from '../../hypervisor/qemu/version.ts';
import type { Recorder, RecorderHandlers } from '../../hypervisor/record/recorder.ts';
import { encodeBehindMarker } from '../../hypervisor/replay/pad-frames.ts';
import type { Stage } from '../../lab/stage.ts';
import type { Egress } from '../../ports/egress.ts';
import { type Layout, layoutFor } from '../../rrlog/layouts.ts';

/** When each epoch's marker came out of the log; the epoch is the index. */
export type EpochTimes = number[];

export interface SoloLog {
  readonly segments: Buffer[];
  readonly recordedAt: EpochTimes;
}

/** Files and layout of one machine that is recorded and replayed. */
export class Solo {
  readonly #vm: VmConfig;
  readonly layout: Layout;
  readonly #stage: Stage;
  readonly #dir: string;

  private constructor(vm: VmConfig, layout: Layout, stage: Stage) {
    this.#vm = vm;
    this.layout = layout;
    this.#stage = stage;
    this.#dir = fs.mkdtempSync('/dev/shm/understudy-bench-');
  }

  static async open(stage: Stage): Promise<Solo> {
    const vm = await loadVmConfig(`${stage.dir}/vm.yaml`);
    return new Solo(vm, layoutFor((await qemuVersion(vm.qemu)).logLayout), stage);
  }

  /** Switches the machine on and records it; the disk is copied first, for the replay. */
  async record(egressSpec: string): Promise<Recording> {
    fs.copyFileSync(this.#image('a'), this.#image('b'), fs.constants.COPYFILE_FICLONE);
    return Recording.start(egressSpec, (handlers) => bootFromPowerOn(this.#place('a'), handlers));
  }

  /**
   * Replays from power-on; resolves with the time of each epoch when all of them came, or throws.
   */
  async replay(log: SoloLog, stillMs: number): Promise<EpochTimes> {
    const place = this.#place('b');
    createRamFile(place.ramFile, place.vm.memoryBytes);
    const parts = await MachineParts.open(place);
    const replayedAt: EpochTimes = [];
    const last = log.recordedAt.length - 1;
    const [first = Buffer.alloc(0), ...rest] = log.segments;
    try {
      let calmAt = performance.now();
      let readBytes = 0;
      const replayer = await parts.replayer(0, {
        incoming: false,
        onError: () => undefined, // it reads no more then, which is noticed
        onEpoch: (reached) => {
          replayedAt[reached] = performance.now();
        },
        first,
      });
      try {
        for (const bytes of rest) replayer.feed(bytes);
        replayer.feed(encodeBehindMarker(this.layout));
        while (replayedAt[last] === undefined) {
          await new Promise((resolve) => setTimeout(resolve, limits.lagPollMs));
          if (replayer.readBytes !== readBytes) calmAt = performance.now();
          readBytes = replayer.readBytes;
          if (performance.now() - calmAt > stillMs) throw new Error(await replayer.diagnose());
        }
      } finally {
        await replayer.destroy();
      }
    } finally {
      await parts.storage.stop();
    }
    return replayedAt;
  }

  close(): void {
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  #image(node: 'a' | 'b'): string {
    return `${this.#stage.dir}/data-${node}.raw`;
  }

  #place(node: 'a' | 'b'): MachinePlace {
    const ramFile = `${this.#dir}/ram-${node}`;
    fs.rmSync(ramFile, { force: true });
    return {
      ...{ vm: this.#vm, layout: this.layout, ramFile },
      dir: `${this.#dir}/solo-${node}`,
      pidDir: this.#dir,
      diskImages: Object.fromEntries(this.#vm.disks.map(({ id }) => [id, this.#image(node)])),
    };
  }
}

/** A machine that runs and is recorded, its network connected. */
export class Recording implements SoloLog {
  readonly segments: Buffer[] = [];
  readonly recordedAt: EpochTimes = [];
  readonly #egress: Egress;
  #machine: LiveMachine | undefined;
  #markers: NodeJS.Timeout | undefined;
  #failed: Error | undefined;
  #nextEpoch = 1;

  private constructor(egress: Egress) {
    this.#egress = egress;
  }

  static async start(
    egressSpec: string,
    boot: (handlers: RecorderHandlers) => Promise<LiveMachine>,
  ): Promise<Recording> {
    const recording = new Recording(egressFromSpec(egressSpec));
    try {
      recording.#machine = await boot({
        onSegment: ({ bytes, markers }) => {
          recording.segments.push(bytes);
          for (const marker of markers) recording.recordedAt[marker.epoch] = performance.now();
        },
        onError: (error) => {
          recording.#failed ??= error;
        },
      });
      await recording.#connect(recording.#machine.recorder);
      return recording;
    } catch (thrown) {
      await recording.stop();
      throw thrown;
    }
  }

  /** The last epoch whose marker came back. Throws what the recorder failed of. */
  get lastEpoch(): number {
    if (this.#failed !== undefined) throw this.#failed;
    return this.recordedAt.length - 1;
  }

  async stop(): Promise<void> {
    clearInterval(this.#markers);
    const machine = this.#machine;
    this.#machine = undefined;
    await machine?.recorder.instance.destroy();
    machine?.recorder.close();
    await this.#egress.close();
    await machine?.storage.stop();
  }

  async #connect(recorder: Recorder): Promise<void> {
    const decoder = new StreamFrameDecoder();
    for (const { output } of recorder.instance.serials) output.resume();
    recorder.instance.nics[0]?.on('data', (chunk: Buffer) => {
      this.#egress.send(decoder.push(chunk));
    });
    this.#egress.onFrame((frame) => recorder.sendFrame(0, encodeStreamFrame(frame)));
    this.#egress.onDown(() => undefined); // the jobs notice
    await this.#egress.open();
    this.#markers = setInterval(() => {
      recorder.tick();
      recorder.sendMarker(epoch(this.#nextEpoch));
      this.#nextEpoch += 1;
    }, limits.epochMs);
  }
}
