/**
 * Seeds a backup: disks and RAM in rounds while the machine runs, one cut, and then only what the
 * rounds had not sent, while the log since the cut is live.
 *
 * Contract
 *  1. What the backup holds when all streams have ended is the state of the cut, byte for byte,
 *     whatever was written meanwhile and whatever it had from earlier.
 *  2. `onCut` is called while the machine is stopped, before any log after the cut exists.
 *  3. While the machine stands still nothing waits for the network, and what is done does not
 *     depend on how much was sent: RAM is compared once, the copies of the disks are begun.
 *  4. Nothing is left when it ends, however it ends: no shadow, no copy, no bitmap.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { icount, type LogPosition, type Term } from '../../base/units.ts';
import type { VmConfig } from '../../hypervisor/config.ts';
import { imageBytes, type Storage } from '../../hypervisor/disks/storage.ts';
import { RamShadow } from '../../hypervisor/memory/ram-shadow.ts';
import type { Frozen, Recorder } from '../../hypervisor/record/recorder.ts';
import type { Control, Link, SeedBegin } from '../../ports/link.ts';
import type { Reporter } from '../report.ts';
import type { BackupHoldings } from './backup-holdings.ts';
import type { Bandwidth } from './bandwidth.ts';
import { BulkStream, seedStreams } from './bulk.ts';
import { blockBytesOf } from './digests.ts';
import { DiskSeed } from './disk-rounds.ts';
import { Pace } from './pace.ts';
import { lastRound, sendChanges, sendRamRounds } from './ram-rounds.ts';

export interface SeedContext {
  readonly vm: VmConfig;
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
  /** Image of each disk on this node, by id. */
  readonly diskImages: Readonly<Record<string, string>>;
  readonly bandwidth: Bandwidth;
  readonly reporter: Reporter;
  readonly link: Link;
  readonly term: Term;
  /** Fires when the link closes. */
  readonly signal: AbortSignal;
}

/** What a seed of this machine consists of. Throws `config` when a disk has no image here. */
export function describeSeed(
  { vm, diskImages }: Pick<SeedContext, 'vm' | 'diskImages'>,
  seedId: string,
): SeedBegin {
  const disks = vm.disks.map(({ id }) => ({ id, bytes: imageBytes(imageOf(diskImages, id)) }));
  return { type: 'seedBegin', seedId, ramBytes: vm.memoryBytes, disks };
}

/** Throws when no valid cut could be made, a disk could not be copied, or the link closed. */
export async function seedBackup(
  context: SeedContext,
  begin: SeedBegin,
  holdings: BackupHoldings,
  onCut: (position: LogPosition) => void,
): Promise<void> {
  const { reporter } = context;
  const started = performance.now();
  send(context, begin);
  const { resumes, streams } = await holdings.have;
  const haveBytes = streams.reduce((sum, { bytes }) => sum + bytes, 0);
  const { seedId } = begin;
  reporter.report({ type: 'seedBegun', seedId, haveBytes, ...(resumes ? { resumes } : {}) });
  const seed = new Seed(context, begin, holdings);
  try {
    await seed.sendRounds();
    await seed.cut(onCut);
    await seed.sendRest();
  } finally {
    await seed.end();
  }
  const { ramBytes, diskBytes, bytes } = seed;
  const ms = performance.now() - started;
  reporter.report({ type: 'seeded', bytes, ramBytes, diskBytes, haveBytes, ms });
  if (resumes !== undefined) {
    reporter.report({ type: 'seedResumed', from: resumes, haveBytes, sentBytes: bytes });
  }
}

class Seed {
  readonly #context: SeedContext;
  readonly #begin: SeedBegin;
  readonly #holdings: BackupHoldings;
  readonly #pace: Pace;
  readonly #deviceState: BulkStream;
  readonly #ram: BulkStream;
  readonly #diskStreams: readonly BulkStream[];
  readonly #disks: DiskSeed[] = [];
  #shadow: RamShadow | undefined;
  #ramRounds: number[] = [];
  #rest: (() => Promise<void>) | undefined;

  constructor(context: SeedContext, begin: SeedBegin, holdings: BackupHoldings) {
    this.#context = context;
    this.#begin = begin;
    this.#holdings = holdings;
    this.#pace = new Pace(context.signal);
    this.#deviceState = new BulkStream({ ...context, stream: seedStreams.deviceState });
    this.#ram = new BulkStream({ ...context, stream: seedStreams.ram });
    this.#diskStreams = begin.disks.map(
      (_, index) => new BulkStream({ ...context, stream: seedStreams.disk(index) }),
    );
  }

  get ramBytes(): number {
    return this.#ram.sentBytes;
  }

  get diskBytes(): number {
    return this.#diskStreams.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  }

  get bytes(): number {
    return this.#deviceState.sentBytes + this.ramBytes + this.diskBytes;
  }

  /** Disks first: RAM changes faster, so the time from its rounds to the cut should be short. */
  async sendRounds(): Promise<void> {
    const { vm, storage, diskImages, ramFile } = this.#context;
    for (const [index, { id }] of vm.disks.entries()) {
      const stream = this.#diskStreams[index] as BulkStream;
      const disk = { id, stream, image: imageOf(diskImages, id) };
      this.#disks.push(await DiskSeed.begin(disk, storage, this.#pace));
    }
    for (const [index, disk] of this.#disks.entries()) {
      await disk.sendRounds(await this.#holdings.digests(seedStreams.disk(index)));
    }
    const digests = await this.#holdings.digests(seedStreams.ram);
    const blockBytes = blockBytesOf(this.#begin.ramBytes);
    const shadow = new RamShadow(ramFile, `${ramFile}.seed`, blockBytes);
    this.#shadow = shadow;
    const pace = this.#pace;
    this.#ramRounds = await sendRamRounds({ shadow, stream: this.#ram, pace, digests });
    for (const disk of this.#disks) await disk.sendRound();
  }

  async cut(onCut: (position: LogPosition) => void): Promise<void> {
    const { recorder, storage, reporter } = this.#context;
    const disks = this.#disks;
    const shadow = this.#shadow as RamShadow;
    const cut = await recorder.cut(async ({ replay, deviceState, position }: Frozen) => {
      // The storage daemon begins while RAM is compared.
      const starting = storage.startCopies(disks);
      starting.catch(() => undefined); // awaited below
      const begun = performance.now();
      const changes = await lastRound({ shadow, pace: this.#pace });
      const ramMs = performance.now() - begun;
      const copying = await starting;
      const disksMs = performance.now() - begun - ramMs;
      onCut(position);
      send(this.#context, {
        ...this.#begin,
        type: 'seedOffer',
        deviceStateBytes: deviceState.length,
        logPosition: position,
        icount: icount(replay.icount),
        blockRequestId: replay.blockRequestId,
      });
      return { changes, ramMs, disksMs, copying };
    });
    const { changes, ramMs, disksMs, copying } = cut.done;
    const bytesPerRound = [...this.#ramRounds, changes.reduce((sum, { bytes }) => sum + bytes, 0)];
    const { pauseMs, roundTripMs, discarded } = cut;
    const figures = { pauseMs, roundTripMs, ramMs, disksMs, discarded, bytesPerRound };
    reporter.report({ type: 'cut', purpose: 'seed', ...figures });
    this.#rest = async () => {
      await storage.hurryCopies(disks);
      await cut.validated;
      await this.#deviceState.bytes(0, cut.deviceState);
      await this.#deviceState.end(cut.deviceState.length);
      await sendChanges({ shadow, stream: this.#ram }, changes);
      await this.#ram.end(shadow.bytes);
      await copying.done;
      for (const disk of disks) await disk.sendLastRound();
    };
  }

  /** Sends what the cut found to be missing at the backup. */
  async sendRest(): Promise<void> {
    await this.#rest?.();
  }

  async end(): Promise<void> {
    this.#shadow?.close();
    const ended = await Promise.allSettled(this.#disks.map((disk) => disk.end()));
    for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function imageOf(diskImages: Readonly<Record<string, string>>, id: string): string {
  const image = diskImages[id];
  if (image === undefined) {
    throw new UnderstudyError('config', `This node has no image for disk '${id}'`);
  }
  return image;
}

function send({ link, term }: SeedContext, control: Control): void {
  link.send({ kind: 'control', term, control });
}
