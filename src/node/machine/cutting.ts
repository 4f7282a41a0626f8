/**
 * A cut to compare a backup against: what the primary does for it.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { icount, type LogPosition, type Term } from '../../base/units.ts';
import { judgementOf } from '../../hypervisor/device-state/device-state.ts';
import { digestRam, type RamDigest, RamSample, shareOfRam } from '../../hypervisor/memory/ram.ts';
import type { Frozen, Recorder } from '../../hypervisor/record/recorder.ts';
import type { Link } from '../../ports/link.ts';
import type { Reporter } from '../report.ts';
import { BulkStream, seedStreams } from '../seeding/bulk.ts';
import type { LogShipper } from './log-shipper.ts';

export interface CutContext {
  readonly recorder: Recorder;
  readonly ramFile: string;
  readonly reporter: Reporter;
  readonly link: Link;
  readonly term: Term;
}

/** A cut that is to be compared. */
export interface PlannedCut {
  readonly cutId: string;
  /** Counts the cuts of this primary. */
  readonly number: number;
  /** It is to be kept, too. */
  readonly keep?: { readonly label?: string } | undefined;
}

/**
 * Makes a cut and tells the backup what it must find at that position (R9), and with `keep` that it is
 * to keep it. Resolves when the log after the cut has confirmed it; throws `cut` when it has not, or no
 * cut could be made.
 */
export async function verifyBackup(
  context: CutContext,
  shipper: LogShipper,
  { cutId, number, keep }: PlannedCut,
): Promise<void> {
  const { recorder, ramFile, reporter, link, term } = context;
  // The guest stands still for it: a cut that is kept every few seconds compares a share of RAM.
  const share = keep && new RamSample(ramFile, shareOfRam(fs.statSync(ramFile).size, number));
  const readRam = async (): Promise<() => RamDigest> => {
    if (share !== undefined) {
      share.read();
      return () => share.digest();
    }
    const digest = await digestRam(ramFile);
    return () => digest;
  };
  const compareHere = async ({ replay, deviceState, state, position }: Frozen) => {
    const begun = performance.now();
    const digestOfRam = await readRam();
    const ramMs = performance.now() - begun;
    const takenAtMs = Date.now();
    shipper.at(position, () => {
      const judgement = judgementOf(state);
      link.send({
        kind: 'control',
        term,
        control: {
          type: 'cut',
          cutId,
          position,
          icount: icount(replay.icount),
          deviceStateBytes: deviceState.length,
          digest: { deviceState: sha256(deviceState), ram: digestOfRam() },
          ...(judgement === undefined ? {} : { judgement }),
          ...(keep === undefined ? {} : { keep: { ...keep, takenAtMs } }),
        },
      });
      // It fits into one piece by far; the backup waits for it, so it does not queue for credit.
      const stream = new BulkStream({ link, term, stream: seedStreams.deviceState });
      const sent = stream.bytes(0, deviceState).then(() => stream.end(deviceState.length));
      sent.catch(() => undefined); // a closed link is reported by its close handler
    });
    return { ramMs };
  };
  const takeBack = (position: LogPosition): void => {
    shipper.at(position, () => {
      link.send({ kind: 'control', term, control: { type: 'resumed', position } });
    });
  };
  const cut = await recorder.cut(compareHere, takeBack).finally(() => share?.close());
  const { pauseMs, roundTripMs, discarded } = cut;
  const { ramMs } = cut.done;
  reporter.report({ type: 'cut', purpose: 'verify', pauseMs, roundTripMs, ramMs, discarded });
  await cut.validated;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
