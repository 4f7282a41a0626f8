/**
 * The protected machine of lockstep: a recorder, its disks and its RAM. It keeps the contract of
 * src/ports/machine.ts.
 *
 * It is made before its QEMU runs, so that nothing of that is lost: what the recorder tells before
 * `begin` waits here.
 */
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { encodeStreamFrame, StreamFrameDecoder } from '../../base/stream-frames.ts';
import { type Epoch, type LogPosition, logPosition, type Term } from '../../base/units.ts';
import type { CardEgresses } from '../../egress/cards.ts';
import type { VmConfig } from '../../hypervisor/config.ts';
import type { LiveMachine } from '../../hypervisor/machine-parts.ts';
import type { Recorder, RecorderHandlers } from '../../hypervisor/record/recorder.ts';
import { SerialInput } from '../../hypervisor/record/serial-input.ts';
import type { Link, LinkMessage } from '../../ports/link.ts';
import type {
  CutOrder,
  MachineReport,
  ProtectedMachine,
  RecordedRun,
  Seeding,
} from '../../ports/machine.ts';
import type { Segment } from '../../rrlog/log-tail.ts';
import { noEpoch } from '../../rrlog/marker.ts';
import type { Logger } from '../logger.ts';
import type { Reporter } from '../report.ts';
import { BackupHoldings } from '../seeding/backup-holdings.ts';
import type { Bandwidth } from '../seeding/bandwidth.ts';
import { describeSeed, seedBackup } from '../seeding/seed-backup.ts';
import { type MadeCut, makeCut, tellCut } from './cutting.ts';
import { DiskWatch } from './disk-watch.ts';
import { MachineWatch } from './machine-watch.ts';
import type { Channel } from './output-queue.ts';
import type { SerialPorts } from './serial-ports.ts';
import { withoutEnd } from './without-end.ts';

/** A stretch of log, with what is shipped of it. */
export interface RecordedSegment extends RecordedRun {
  readonly segment: Segment;
}

export interface RecordedMachineOptions {
  readonly vm: VmConfig;
  /** Image of each disk on this node, by id. */
  readonly diskImages: Readonly<Record<string, string>>;
  /** Bounds what a seed sends. */
  readonly bandwidth: Bandwidth;
  /** The term that this node speaks in now. */
  readonly term: () => Term;
  readonly report: (report: MachineReport) => void;
  /** Another program changed a disk image of this node: one line that says where. */
  readonly onDiskChanged: (what: string) => void;
  /** Bytes of an output, before it is reported. */
  readonly onOutput: (channel: Channel, bytes: Buffer) => void;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export class RecordedMachine implements ProtectedMachine {
  /** For whoever makes the recorder. */
  readonly handlers: RecorderHandlers = {
    onSegment: (segment) => this.#takeSegment(segment),
    onError: (error) => this.#report({ type: 'machineFailed', reason: reasonOf(error) }),
    onRoom: (isThere) => {
      this.#hasRoom = isThere;
      this.#watch?.room(isThere);
    },
  };
  readonly #options: RecordedMachineOptions;
  #parts: LiveMachine | undefined;
  #inputs: readonly SerialInput[] = [];
  #watch: MachineWatch | undefined;
  /** For the log that comes. */
  #hasRoom = true;
  #disks: DiskWatch | undefined;
  /** What was reported before anybody listened. */
  #early: MachineReport[] | undefined = [];
  readonly #cuts = new Map<string, MadeCut>();
  #recordedTo = logPosition(0);
  #stoodAt = logPosition(0);
  /** Sums since the machine was started here. */
  #rawBytes = 0;
  #epochs = 0;
  /** The log says that the guest asked for it; QEMU's end follows. */
  #isPoweringOff = false;
  #isDestroyed = false;

  constructor(options: RecordedMachineOptions) {
    this.#options = options;
  }

  /** Its parts, once they are there. */
  get parts(): LiveMachine | undefined {
    return this.#parts;
  }

  get figures(): { readonly icount: number; readonly epochs: number; readonly rawBytes: number } {
    const icount = this.#parts?.recorder.icount ?? 0;
    return { icount, epochs: this.#epochs, rawBytes: this.#rawBytes };
  }

  /** The machine is there: whoever listens hears all that it has done so far, and from now on. */
  begin(parts: LiveMachine, egress: CardEgresses, serials: SerialPorts): void {
    this.#parts = parts;
    this.#disks = this.#watchDisks(parts);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const report of early) this.#report(report);
    this.#connectGuest(parts.recorder, egress, serials);
    this.#watch = new MachineWatch({
      ...{ parts, report: (report) => this.#report(report), log: this.#options.log },
      onStorage: (storage) => {
        this.#parts = { ...parts, storage };
        // What was written meanwhile nobody has seen: all images are looked at anew.
        void this.#disks?.close();
        this.#disks = this.#watchDisks(this.#parts);
      },
    });
    this.#watch.room(this.#hasRoom);
    void parts.recorder.instance.exited.then((info) => {
      parts.recorder.poll();
      if (this.#isPoweringOff) this.#report({ type: 'poweredOff', logEnd: this.#recordedTo });
      else {
        const reason = `QEMU ended (${info.reason}): ${info.stderr.trim()}`;
        this.#report({ type: 'machineFailed', reason });
      }
    });
  }

  /** Others cannot connect to its storage daemon any more: a seed does. */
  socketsLost(): void {
    this.#watch?.renewStorage();
  }

  /** To be called often: the vCPU of an idle guest may have something to record. */
  tick(): void {
    this.#parts?.recorder.tick();
  }

  sendMarker(epoch: Epoch, isAwaited: boolean): void {
    this.#parts?.recorder.sendMarker(epoch, isAwaited);
  }

  slowDown(share: number): void {
    if (this.#parts !== undefined) this.#parts.recorder.throttle.share = share;
  }

  stop(): void {
    this.#work(
      async ({ recorder }) => {
        if (this.#watch?.isSilent === true) throw new Error('QEMU does not answer');
        const logEnd = await recorder.standStill((position) => this.#wentOn(position));
        this.#stoodAt = logEnd;
        this.#report({ type: 'stopped', logEnd });
      },
      (reason) => ({ type: 'notStopped', reason }),
    );
  }

  go(): void {
    this.#work(
      async ({ recorder }) => {
        const { failure } = recorder;
        await recorder.goOn();
        if (failure === undefined) this.#wentOn(this.#stoodAt); // otherwise no copy can do the same
        this.#report({ type: 'continued' });
      },
      (reason) => ({ type: 'notContinued', reason }),
    );
  }

  seed(seedId: string, link: Link): Seeding {
    const lost = new AbortController();
    link.onClose(({ error, message }) => lost.abort(error ?? new UnderstudyError('link', message)));
    const { signal } = lost;
    const begin = describeSeed(this.#options, seedId);
    const holdings = new BackupHoldings(begin, signal);
    this.#work(
      async (parts) => {
        const context = { ...this.#options, ...parts, link, term: this.#options.term(), signal };
        const onCut = (position: LogPosition): void => this.#report({ type: 'seedCut', position });
        await seedBackup(context, begin, holdings, onCut);
        this.#report({ type: 'seedEnded' });
      },
      (problem) => ({ type: 'seedEnded', problem }),
    );
    return {
      take: (message: LinkMessage): void => {
        if (message.kind === 'blob') holdings.takePiece(message);
        else if (message.kind === 'control' && message.control.type === 'seedHave') {
          holdings.takeHave(message.control);
        }
      },
    };
  }

  cut(order: CutOrder): void {
    const { cutId } = order;
    const { reporter } = this.#options;
    const onMade = (position: LogPosition, made: MadeCut): void => {
      this.#cuts.set(cutId, made);
      this.#report({ type: 'cutMade', cutId, position });
    };
    this.#work(
      async (parts) => {
        const disksNow = () => {
          const disks = this.#disks;
          const images = disks?.atCut() ?? [];
          return async (max: number) => (await disks?.tell(images, max)) ?? [];
        };
        const context = { ...parts, reporter, disksNow };
        await makeCut(context, order, onMade, (position) => this.#wentOn(position));
        this.#report({ type: 'cutEnded', cutId });
      },
      (problem) => ({ type: 'cutEnded', cutId, problem }),
    );
  }

  sendCut(cutId: string, link: Link): void {
    const made = this.#cuts.get(cutId);
    // One that nobody was told of is of a backup that is gone.
    this.#cuts.clear();
    if (made !== undefined) tellCut(made, link, this.#options.term());
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    void this.#end().finally(() => this.#options.report({ type: 'gone' }));
  }

  async #end(): Promise<void> {
    this.#watch?.close();
    if (this.#parts === undefined) return;
    const { recorder, storage } = this.#parts;
    for (const input of this.#inputs) input.close();
    const watched = this.#disks?.close();
    recorder.throttle.close(); // a cut that is under way would resume it
    recorder.close();
    await recorder.instance.destroy();
    await watched;
    await storage.stop();
  }

  /** A machine that runs on a disk that somebody changed cannot be mended, but told of. */
  #watchDisks({ storage }: LiveMachine): DiskWatch {
    const { vm, diskImages, log, onDiskChanged } = this.#options;
    const images = vm.disks.map(({ id }) => ({ id, path: diskImages[id] ?? '' }));
    return new DiskWatch({ storage, images, onChanged: onDiskChanged, log });
  }

  #report(report: MachineReport): void {
    if (this.#isDestroyed) return;
    if (this.#early === undefined) this.#options.report(report);
    else this.#early.push(report);
  }

  /** Does something that takes a while; whatever goes wrong is what it answers with. */
  #work(
    work: (parts: LiveMachine) => Promise<void>,
    answerOf: (reason: string) => MachineReport,
  ): void {
    const parts = this.#parts;
    if (parts === undefined) throw new Error('the machine has not begun');
    work(parts).catch((thrown: unknown) => this.#report(answerOf(reasonOf(thrown))));
  }

  #wentOn(position: LogPosition): void {
    this.#report({ type: 'wentOn', position });
  }

  #takeSegment(whole: Segment): void {
    const segment = withoutEnd(whole);
    const { from, to, bytes, markers, shutdowns } = segment;
    this.#recordedTo = to;
    for (const [port, bytes] of segment.typedBytes.entries()) this.#inputs[port]?.delivered(bytes);
    if (shutdowns.some(({ cause }) => cause === 'guest-shutdown')) this.#isPoweringOff = true;
    if (bytes.length === 0) return; // a segment holds an event
    this.#rawBytes += to - from;
    this.#epochs += markers.length;
    const run: RecordedSegment = { from, to, bytes: bytes.length, markers, segment };
    this.#report({ type: 'recorded', run });
  }

  #connectGuest(recorder: Recorder, egress: CardEgresses, serials: SerialPorts): void {
    const { onOutput } = this.#options;
    for (const [index, stream] of recorder.instance.nics.entries()) {
      const decoder = new StreamFrameDecoder();
      stream.on('data', (chunk: Buffer) => {
        const frames = decoder.push(chunk);
        for (const bytes of frames) onOutput({ kind: 'nic', index }, bytes);
        if (frames.length > 0) this.#report({ type: 'outputs', count: frames.length });
      });
    }
    egress.onFrame((card, frame) => recorder.sendFrame(card, encodeStreamFrame(frame)));
    this.#inputs = recorder.instance.serials.map((pipe, index) => {
      pipe.output.on('data', (bytes: Buffer) => {
        onOutput({ kind: 'serial', index }, bytes);
        this.#report({ type: 'outputs', count: 1 });
      });
      const input = new SerialInput({ pipe, pushLog: () => recorder.sendMarker(noEpoch) });
      serials.hubs[index]?.onInput((bytes) => input.type(bytes));
      return input;
    });
  }
}
