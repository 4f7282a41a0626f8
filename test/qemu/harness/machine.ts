/**
 * A machine that is recorded, and copies that execute its log: what a pair does, without nodes and
 * links.
 */
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { limits } from '../../../src/base/limits.ts';
import { epoch, icount } from '../../../src/base/units.ts';
import { imageBytes, type Storage } from '../../../src/hypervisor/disks/storage.ts';
import { padNetId } from '../../../src/hypervisor/qemu/command-line.ts';
import type { Recorder, RecorderOptions } from '../../../src/hypervisor/record/recorder.ts';
import { recorderLogFile, Successor } from '../../../src/hypervisor/record/successor.ts';
import { Replayer } from '../../../src/hypervisor/replay/replayer.ts';
import { RequestTracker } from '../../../src/rrlog/inflight.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';
import { consoleOf } from './console.ts';
import type { Lab } from './lab.ts';
import type { Terminal } from './terminal.ts';

/** The guest's one disk. */
export const diskId = 'data';

/** Hands segments to whoever listens at the moment. */
export class Fan {
  readonly errors: Error[] = [];
  readonly #takers = new Set<(segment: Segment) => void>();

  readonly handlers: Pick<RecorderOptions, 'onSegment' | 'onError'> = {
    onSegment: (segment) => {
      for (const take of this.#takers) take(segment);
    },
    onError: (error) => this.errors.push(error),
  };

  add(take: (segment: Segment) => void): () => void {
    this.#takers.add(take);
    return () => this.#takers.delete(take);
  }
}

interface Parts {
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly image: string;
  readonly ramFile: string;
  readonly logFile: string;
  readonly fan: Fan;
}

/** A live, recorded machine. */
export class Machine {
  readonly recorder: Recorder;
  readonly console: Terminal;
  readonly ramFile: string;
  readonly logFile: string;
  readonly #lab: Lab;
  readonly #parts: Parts;
  readonly #markers: NodeJS.Timeout;
  #nextEpoch = 1;
  #killed = false;

  constructor(lab: Lab, parts: Parts) {
    this.#lab = lab;
    this.#parts = parts;
    this.recorder = parts.recorder;
    this.ramFile = parts.ramFile;
    this.logFile = parts.logFile;
    const { instance } = parts.recorder;
    for (const nic of instance.nics) nic.on('data', () => undefined);
    const { terminal, input } = consoleOf(parts.recorder);
    this.console = terminal;
    this.onSegment(({ typedBytes }) => input.delivered(typedBytes[0] ?? 0));
    lab.onClose(async () => input.close());
    this.#markers = setInterval(() => {
      this.recorder.sendMarker(epoch(this.#nextEpoch));
      this.#nextEpoch += 1;
    }, limits.epochMs);
    lab.onClose(() => this.kill());
  }

  get errors(): readonly Error[] {
    return this.#parts.fan.errors;
  }

  onSegment(take: (segment: Segment) => void): () => void {
    return this.#parts.fan.add(take);
  }

  /** The background disk work of `work directio`. */
  async diskWork(): Promise<{ blocks: number; checked: number; errors: number }> {
    const said = await this.console.run('cat /run/directio');
    const figure = (name: string): number => {
      const found = new RegExp(`^${name} (\\d+)`, 'm').exec(said)?.[1];
      if (found === undefined) throw new Error(`no ${name} in ${JSON.stringify(said)}`);
      return Number(found);
    };
    return { blocks: figure('blocks'), checked: figure('checked'), errors: figure('errors') };
  }

  /** Makes a cut and copies RAM and disk as they are there. */
  async copyTo(image: string, ramFile: string): Promise<Awaited<ReturnType<Recorder['cut']>>> {
    const { recorder, storage } = this.#parts;
    const node = await storage.prepareCopy(diskId, image, imageBytes(this.#parts.image));
    try {
      const cut = await recorder.cut(() => {
        fs.copyFileSync(this.ramFile, ramFile);
        return storage.startCopies([{ id: diskId, node }]);
      });
      await storage.hurryCopies([{ node }]);
      await cut.validated;
      await cut.done.done;
      return cut;
    } finally {
      if (!this.#killed) await storage.discardCopy(node);
    }
  }

  /** A copy that executes this machine's log, from a cut made now; it follows until told not to. */
  async seed({ follow = true }: { readonly follow?: boolean } = {}): Promise<Copy> {
    const lab = this.#lab;
    const image = lab.fresh('image');
    const ramFile = lab.fresh('ram');
    const held: Segment[] = [];
    const stopHolding = this.onSegment((segment) => held.push(segment));
    try {
      const cut = await this.copyTo(image, ramFile);
      const copy = await Copy.start(lab, { image, ramFile, cut });
      if (follow) {
        for (const segment of held) if (segment.from >= cut.position) copy.take(segment);
        copy.stopFollowing = this.onSegment((segment) => copy.take(segment));
      }
      await copy.replayer.load(cut.deviceState);
      return copy;
    } finally {
      stopHolding();
    }
  }

  /** SIGKILL to QEMU; what it had written by then has arrived, as on a link that is fast. */
  async kill(): Promise<void> {
    if (this.#killed) return;
    this.#killed = true;
    clearInterval(this.#markers);
    const { recorder, storage, image, ramFile, logFile } = this.#parts;
    await recorder.instance.process.kill('SIGKILL');
    recorder.poll();
    recorder.close();
    await recorder.instance.destroy();
    await storage.stop();
    for (const file of [image, ramFile, logFile]) fs.rmSync(file, { force: true });
  }
}

interface CopyParts {
  readonly image: string;
  readonly ramFile: string;
  readonly cut: Awaited<ReturnType<Recorder['cut']>>;
}

/** A copy of a machine: a replayer that is fed, and a successor that waits. */
export class Copy {
  readonly replayer: Replayer;
  readonly ramFile: string;
  readonly tail: LogTail;
  readonly requests: RequestTracker;
  readonly errors: Error[];
  readonly cut: CopyParts['cut'];
  stopFollowing: () => void = () => undefined;
  readonly #lab: Lab;
  readonly #image: string;
  readonly #storage: Storage;
  readonly #successor: Successor;
  readonly #logFile: string;
  #end = Number.POSITIVE_INFINITY;

  private constructor(
    lab: Lab,
    { image, ramFile, cut }: CopyParts,
    parts: {
      readonly storage: Storage;
      readonly replayer: Replayer;
      readonly successor: Successor;
      readonly logFile: string;
      readonly errors: Error[];
    },
  ) {
    this.#lab = lab;
    this.#image = image;
    this.#storage = parts.storage;
    this.#successor = parts.successor;
    this.#logFile = parts.logFile;
    this.ramFile = ramFile;
    this.replayer = parts.replayer;
    this.errors = parts.errors;
    this.cut = cut;
    this.requests = new RequestTracker(cut.replay.blockRequestId);
    this.tail = this.newTail('stripped', this.requests);
  }

  static async start(lab: Lab, parts: CopyParts): Promise<Copy> {
    const storage = await lab.storage(parts.image);
    const errors: Error[] = [];
    const options = lab.common(storage, parts.ramFile, 'replayer');
    const replayer = await Replayer.start({
      ...options,
      instance: { ...options.instance, incoming: true },
      onError: (error) => errors.push(error),
    });
    lab.onClose(() => replayer.destroy());
    const heir = lab.common(storage, parts.ramFile, 'successor');
    const logFile = recorderLogFile(heir.instance.dir);
    const successor = await Successor.start(heir);
    lab.onClose(() => successor.destroy());
    return new Copy(lab, parts, { storage, replayer, successor, logFile, errors });
  }

  /** A tail that begins at this copy's cut. */
  newTail(input: 'raw' | 'stripped', requests: RequestTracker): LogTail {
    return new LogTail({
      layout: this.#lab.layout,
      input,
      expectHeader: false,
      start: { position: this.cut.position, icount: icount(this.cut.replay.icount) },
      markerNetId: padNetId,
      requests,
    });
  }

  /** Takes no log behind this position, which must be that of a cut. */
  endAt(position: number): void {
    this.#end = position;
  }

  take(segment: Segment): void {
    if (segment.from >= this.#end) return;
    this.tail.pushSegment(segment);
    this.replayer.feed(segment.bytes);
  }

  /** Waits until all that has been received by now is executed. Throws `stall` like a node. */
  async catchUp(): Promise<void> {
    const wanted = this.tail.icount;
    let seen = -1;
    let movedAt = performance.now();
    for (;;) {
      const now = await this.replayer.queryIcount(limits.stallMs).catch(() => seen);
      if (now >= wanted) return;
      if (now > seen) movedAt = performance.now();
      seen = now;
      if (performance.now() - movedAt > limits.stallMs) {
        const found = await this.replayer.diagnose();
        throw new UnderstudyError('stall', `stands at ${now}, log goes to ${wanted}: ${found}`);
      }
      await sleep(10);
    }
  }

  /** Executes all that was received, proves it, and goes on as the machine. */
  async takeOver(
    end: number = this.tail.icount,
    requests: RequestTracker = this.requests,
  ): Promise<{ machine: Machine; completions: number }> {
    this.stopFollowing();
    const halted = await this.replayer.halt(end, () => requests.uncompleted());
    const fan = new Fan();
    const recorder = await this.#successor.takeOver(
      halted.deviceState,
      halted.replay.icount,
      fan.handlers,
    );
    const machine = new Machine(this.#lab, {
      recorder,
      fan,
      storage: this.#storage,
      image: this.#image,
      ramFile: this.ramFile,
      logFile: this.#logFile,
    });
    await this.replayer.destroy();
    return { machine, completions: halted.completions };
  }

  async discard(): Promise<void> {
    this.stopFollowing();
    await Promise.all([this.replayer.destroy(), this.#successor.destroy()]);
    await this.#storage.stop();
    for (const file of [this.#image, this.ramFile]) fs.rmSync(file, { force: true });
  }
}
