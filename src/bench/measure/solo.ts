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
import { Storage } from '../../hypervisor/disks/storage.ts';
import { createRamFile } from '../../hypervisor/memory/ram.ts';
import { qemuVersion } from '../../hypervisor/qemu/version.ts';
import type { Recorder } from '../../hypervisor/record/recorder.ts';
import { startRecorder } from '../../hypervisor/record/successor.ts';
import { encodeBehindMarker } from '../../hypervisor/replay/pad-frames.ts';
import { Replayer } from '../../hypervisor/replay/replayer.ts';
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
    const { common, storage } = await this.#machine('a');
    return Recording.start(egressSpec, storage, (onSegment, onError) =>
      startRecorder({ ...common, onSegment, onError }),
    );
  }

  /**
   * Replays from power-on; resolves with the time of each epoch when all of them came, or throws.
   */
  async replay(log: SoloLog, stillMs: number): Promise<EpochTimes> {
    const { common, storage } = await this.#machine('b');
    const replayedAt: EpochTimes = [];
    const last = log.recordedAt.length - 1;
    const [first = Buffer.alloc(0), ...rest] = log.segments;
    try {
      let calmAt = performance.now();
      let readBytes = 0;
      const replayer = await Replayer.start({
        ...common,
        instance: { ...common.instance, incoming: false },
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
      await storage.stop();
    }
    return replayedAt;
  }

  close(): void {
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  #image(node: 'a' | 'b'): string {
    return `${this.#stage.dir}/data-${node}.raw`;
  }

  async #machine(node: 'a' | 'b') {
    const ramFile = `${this.#dir}/ram-${node}`;
    fs.rmSync(ramFile, { force: true });
    createRamFile(ramFile, this.#vm.memoryBytes);
    const disks = this.#vm.disks.map((disk) => ({ ...disk, path: this.#image(node) }));
    const storage = await Storage.start({
      disks,
      dir: `${this.#dir}/storage-${node}`,
      pidDir: this.#dir,
    });
    const common = {
      instance: {
        vm: this.#vm,
        dir: `${this.#dir}/qemu-${node}`,
        pidDir: this.#dir,
        name: `solo-${node}`,
        ramFile,
        nbdSocket: storage.nbdSocket,
      },
      layout: this.layout,
      diskIds: disks.map(({ id }) => id),
    };
    return { common, storage };
  }
}

/** A machine that runs and is recorded, its network connected. */
export class Recording implements SoloLog {
  readonly segments: Buffer[] = [];
  readonly recordedAt: EpochTimes = [];
  readonly #storage: Storage;
  readonly #egress: Egress;
  #recorder: Recorder | undefined;
  #markers: NodeJS.Timeout | undefined;
  #failed: Error | undefined;
  #nextEpoch = 1;

  private constructor(egress: Egress, storage: Storage) {
    this.#egress = egress;
    this.#storage = storage;
  }

  static async start(
    egressSpec: string,
    storage: Storage,
    start: (
      onSegment: Parameters<typeof startRecorder>[0]['onSegment'],
      onError: (error: Error) => void,
    ) => Promise<Recorder>,
  ): Promise<Recording> {
    const recording = new Recording(egressFromSpec(egressSpec), storage);
    try {
      const recorder = await start(
        ({ bytes, markers }) => {
          recording.segments.push(bytes);
          for (const marker of markers) recording.recordedAt[marker.epoch] = performance.now();
        },
        (error) => {
          recording.#failed ??= error;
        },
      );
      recording.#recorder = recorder;
      await recording.#connect(recorder);
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
    const recorder = this.#recorder;
    this.#recorder = undefined;
    await recorder?.instance.destroy();
    recorder?.close();
    await this.#egress.close();
    await this.#storage.stop();
  }

  async #connect(recorder: Recorder): Promise<void> {
    const decoder = new StreamFrameDecoder();
    recorder.instance.console.resume();
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
