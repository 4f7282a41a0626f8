/**
 * What the primary does at a cut: seed a backup with it, or compare a backup against it.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { UnderstudyError } from '../base/errors.ts';
import { icount, type LogPosition, type Term } from '../base/units.ts';
import type { VmConfig } from '../hypervisor/config.ts';
import { copyRam, digestRam } from '../hypervisor/ram.ts';
import type { Frozen, Recorder } from '../hypervisor/recorder.ts';
import { imageBytes, type Storage } from '../hypervisor/storage.ts';
import type { Link } from '../ports/link.ts';
import type { LogShipper } from './log-shipper.ts';
import type { Reporter } from './report.ts';
import { seedStreams, sendBytes, sendFile } from './seed-sender.ts';

export interface CutContext {
  readonly vm: VmConfig;
  readonly recorder: Recorder;
  readonly storage: Storage;
  readonly ramFile: string;
  readonly diskImages: Readonly<Record<string, string>>;
  readonly reporter: Reporter;
  readonly link: Link;
  readonly term: Term;
}

interface PreparedCopy {
  readonly id: string;
  readonly node: string;
  readonly path: string;
  readonly bytes: number;
}

/**
 * Seeds a backup: one cut, then state, RAM and disks of that cut, while the log since it is live.
 *
 * `onCut` is called while the machine is stopped, before any log after the cut exists.
 * Throws when no valid cut could be made, a disk could not be copied, or the link closed.
 */
export async function seedBackup(
  context: CutContext,
  seedId: string,
  onCut: (position: LogPosition) => void,
): Promise<void> {
  const { vm, recorder, storage, ramFile, reporter, link, term } = context;
  const started = performance.now();
  const ramCopy = `${ramFile}.seed`;
  const copies = await prepareCopies(context);
  try {
    const cut = await recorder.cut(async ({ replay, deviceState, position }: Frozen) => {
      // The storage daemon begins while RAM is copied.
      const starting = storage.startCopies(copies);
      starting.catch(() => undefined); // awaited below
      const begun = performance.now();
      copyRam(ramFile, ramCopy);
      const ramMs = performance.now() - begun;
      const disks = await starting;
      onCut(position);
      link.send({
        kind: 'control',
        term,
        control: {
          type: 'seedOffer',
          seedId,
          ramBytes: vm.memoryBytes,
          deviceStateBytes: deviceState.length,
          disks: copies.map(({ id, bytes }) => ({ id, bytes })),
          logPosition: position,
          icount: icount(replay.icount),
          blockRequestId: replay.blockRequestId,
        },
      });
      return { ramMs, disks };
    });
    const { pauseMs, discarded } = cut;
    reporter.report({ type: 'cut', purpose: 'seed', pauseMs, ramMs: cut.done.ramMs, discarded });
    await storage.hurryCopies(copies);
    await cut.validated;
    let bytes = await sendBytes({ link, term, stream: seedStreams.deviceState }, cut.deviceState);
    bytes += await sendFile({ link, term, stream: seedStreams.ram }, ramCopy);
    await cut.done.disks.done;
    for (const [index, { path }] of copies.entries()) {
      bytes += await sendFile({ link, term, stream: seedStreams.disk(index) }, path);
    }
    reporter.report({ type: 'seeded', bytes, ms: performance.now() - started });
  } finally {
    await fs.promises.rm(ramCopy, { force: true });
    for (const { node, path } of copies) {
      await storage.discardCopy(node);
      await fs.promises.rm(path, { force: true });
    }
  }
}

/** A disk's copy lies beside its image: that is where there is room for it. */
async function prepareCopies({ vm, storage, diskImages }: CutContext): Promise<PreparedCopy[]> {
  const copies: PreparedCopy[] = [];
  for (const { id } of vm.disks) {
    const image = diskImages[id];
    if (image === undefined) {
      throw new UnderstudyError('config', `This node has no image for disk '${id}'`);
    }
    const path = `${image}.seed`;
    const bytes = imageBytes(image);
    copies.push({ id, path, bytes, node: await storage.prepareCopy(id, path, bytes) });
  }
  return copies;
}

/**
 * Makes a cut and tells the backup what it must find at that position (R9). Resolves when the log
 * after the cut has confirmed it; throws `cut` when it has not, or no cut could be made.
 */
export async function verifyBackup(
  context: CutContext,
  shipper: LogShipper,
  cutId: string,
): Promise<void> {
  const { recorder, ramFile, reporter, link, term } = context;
  const compareHere = ({ replay, deviceState, position }: Frozen) => {
    const begun = performance.now();
    const ram = digestRam(ramFile);
    const ramMs = performance.now() - begun;
    shipper.at(position, () => {
      link.send({
        kind: 'control',
        term,
        control: {
          type: 'cut',
          cutId,
          position,
          icount: icount(replay.icount),
          deviceStateBytes: deviceState.length,
          digest: { deviceState: sha256(deviceState), ram },
        },
      });
      // It fits into one piece by far; the backup waits for it, so it does not queue for credit.
      void sendBytes({ link, term, stream: seedStreams.deviceState }, deviceState).catch(
        () => undefined, // a closed link is reported by its close handler
      );
    });
    return { ramMs };
  };
  const cut = await recorder.cut(compareHere, (position) => {
    shipper.at(position, () => {
      link.send({ kind: 'control', term, control: { type: 'resumed', position } });
    });
  });
  const { pauseMs, discarded } = cut;
  reporter.report({ type: 'cut', purpose: 'verify', pauseMs, ramMs: cut.done.ramMs, discarded });
  await cut.validated;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
