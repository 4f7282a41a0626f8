/**
 * A cut to compare a backup against: what the primary does for it.
 */
import fs from 'node:fs';
import { limits } from '../../base/limits.ts';
import { icount, type LogPosition, type Term } from '../../base/units.ts';
import { judgementOf } from '../../hypervisor/device-state/device-state.ts';
import { digestRam, type RamDigest, RamSample, shareOfRam } from '../../hypervisor/memory/ram.ts';
import type { Frozen, Recorder } from '../../hypervisor/record/recorder.ts';
import type { Cut, Link } from '../../ports/link.ts';
import type { CutOrder } from '../../ports/machine.ts';
import type { Reporter } from '../report.ts';
import { BulkStream, cutStreams } from '../seeding/bulk.ts';
import { type DiskDigests, encodeDiskDigests } from './disk-digests.ts';

export interface CutContext {
  readonly recorder: Recorder;
  readonly ramFile: string;
  readonly reporter: Reporter;
  /** Of the disks at this moment: says later what is known of so many blocks of each. */
  readonly disksNow: () => (maxBlocks: number) => Promise<DiskDigests[]>;
}

/** What a backup must find at a cut (R9). Digests are made when it is told: the guest runs then. */
export interface MadeCut {
  readonly facts: () => Cut;
  readonly deviceState: Buffer;
  readonly disks: () => Promise<DiskDigests[]>;
}

/**
 * Makes a cut. `onMade` is called while the machine stands still, `onTakenBack` for each attempt
 * that came to nothing. Resolves when the log after the cut has confirmed it; throws `cut` when it
 * has not, or no cut could be made.
 */
export async function makeCut(
  { recorder, ramFile, reporter, disksNow }: CutContext,
  { cutId, number, keep, isSample = false }: CutOrder,
  onMade: (position: LogPosition, made: MadeCut) => void,
  onTakenBack: (position: LogPosition) => void,
): Promise<void> {
  // The guest stands still for it.
  const share = isSample
    ? new RamSample(ramFile, shareOfRam(fs.statSync(ramFile).size, number))
    : undefined;
  const readRam = async (): Promise<() => RamDigest> => {
    if (share !== undefined) {
      share.read();
      return () => share.digest();
    }
    const digest = await digestRam(ramFile);
    return () => digest;
  };
  const compareHere = async ({ replay, deviceState, state, position }: Frozen) => {
    const tellDisks = disksNow();
    const disks = () => tellDisks(isSample ? limits.cutBlocks : Number.POSITIVE_INFINITY);
    const begun = performance.now();
    const digestOfRam = await readRam();
    const ramMs = performance.now() - begun;
    const judgement = judgementOf(state);
    const facts = (): Cut => ({
      type: 'cut',
      cutId,
      position,
      icount: icount(replay.icount),
      deviceStateBytes: deviceState.length,
      digest: { ram: digestOfRam() },
      ...(judgement === undefined ? {} : { judgement }),
      ...(keep === undefined ? {} : { keep }),
      isSample,
    });
    onMade(position, { facts, deviceState, disks });
    return { ramMs };
  };
  const cut = await recorder.cut(compareHere, onTakenBack).finally(() => share?.close());
  const { pauseMs, roundTripMs, discarded } = cut;
  const { ramMs } = cut.done;
  reporter.report({ type: 'cut', purpose: 'verify', pauseMs, roundTripMs, ramMs, discarded });
  await cut.validated;
}

/** Tells the backup of a cut, and sends it the device state and what is known of the disks. */
export function tellCut({ facts, deviceState, disks }: MadeCut, link: Link, term: Term): void {
  link.send({ kind: 'control', term, control: facts() });
  const send = async (stream: number, bytes: Buffer): Promise<void> => {
    const bulk = new BulkStream({ link, term, stream });
    await bulk.bytes(0, bytes);
    await bulk.end(bytes.length);
  };
  const sent = send(cutStreams.deviceState, deviceState).then(async () =>
    send(cutStreams.disks, encodeDiskDigests(await disks())),
  );
  sent.catch(() => undefined); // a closed link is reported by its close handler
}
