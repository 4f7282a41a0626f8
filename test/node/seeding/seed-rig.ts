/** Both ends of a seed over a link in memory, with files that a test may change meanwhile. */
import fs from 'node:fs';
import path from 'node:path';
import { icount, logPosition, term } from '../../../src/base/units.ts';
import { RamShadow } from '../../../src/hypervisor/memory/ram-shadow.ts';
import { BackupHoldings } from '../../../src/node/seeding/backup-holdings.ts';
import type { Bandwidth } from '../../../src/node/seeding/bandwidth.ts';
import { BulkStream, seedStreams } from '../../../src/node/seeding/bulk.ts';
import { Pace } from '../../../src/node/seeding/pace.ts';
import { SeedRemains } from '../../../src/node/seeding/remains.ts';
import { SeedReceiver } from '../../../src/node/seeding/seed-receiver.ts';
import type { Control, SeedBegin } from '../../../src/ports/link.ts';
import { type MemoryPair, memoryLinkPair } from '../../doubles/memory-pair.ts';

export const kib = 1024;
export const blockBytes = 64 * kib;

/** Files of one machine and of its backup, in a directory that outlives single seeds. */
export class SeedFiles {
  readonly ram: string;
  readonly disk: string;
  readonly backupRam: string;
  readonly backupDisk: string;
  readonly remains = new SeedRemains();
  readonly ramBytes: number;
  readonly diskBytes: number;

  constructor(dir: string, sizes: { readonly ramBytes: number; readonly diskBytes: number }) {
    this.ram = path.join(dir, 'ram');
    this.disk = path.join(dir, 'disk');
    this.backupRam = path.join(dir, 'backup.ram');
    this.backupDisk = path.join(dir, 'backup.disk');
    this.ramBytes = sizes.ramBytes;
    this.diskBytes = sizes.diskBytes;
    for (const [file, bytes] of [
      [this.ram, sizes.ramBytes],
      [this.disk, sizes.diskBytes],
    ] as const) {
      fs.writeFileSync(file, '');
      fs.truncateSync(file, bytes);
    }
  }

  /** What the guest would do. */
  write(file: 'ram' | 'disk', offset: number, bytes: Buffer): void {
    const fd = fs.openSync(this[file], 'r+');
    fs.writeSync(fd, bytes, 0, bytes.length, offset);
    fs.closeSync(fd);
  }

  areEqual(): boolean {
    const same = (a: string, b: string): boolean => fs.readFileSync(a).equals(fs.readFileSync(b));
    return same(this.ram, this.backupRam) && same(this.disk, this.backupDisk);
  }
}

/** One attempt, up to its end or to the moment when its link breaks. */
export class SeedAttempt {
  readonly pair: MemoryPair = memoryLinkPair();
  readonly begin: SeedBegin;
  readonly receiver: SeedReceiver;
  readonly holdings: BackupHoldings;
  readonly shadow: RamShadow;
  readonly ram: BulkStream;
  readonly disk: BulkStream;
  readonly pace: Pace;
  readonly #deviceState: BulkStream;

  constructor(files: SeedFiles, seedId: string, bandwidth?: Bandwidth) {
    const { a, b } = this.pair;
    const lost = new AbortController();
    a.onClose((closed) => lost.abort(new Error(closed.message)));
    this.begin = {
      type: 'seedBegin',
      seedId,
      ramBytes: files.ramBytes,
      disks: [{ id: 'd0', bytes: files.diskBytes }],
    };
    this.holdings = new BackupHoldings(this.begin, lost.signal);
    a.onMessage((message) => {
      if (message.kind === 'blob') this.holdings.takePiece(message);
      else if (message.kind === 'control' && message.control.type === 'seedHave') {
        this.holdings.takeHave(message.control);
      }
    });
    this.receiver = new SeedReceiver({
      begin: this.begin,
      ramFile: files.backupRam,
      diskImages: { d0: files.backupDisk },
      remains: files.remains,
    });
    b.onMessage((message) => {
      if (message.kind === 'blob') this.receiver.take(message);
      else if (message.kind === 'control' && message.control.type === 'seedOffer') {
        this.receiver.takeOffer(message.control);
      }
    });
    const have: Control = this.receiver.holdings;
    b.send({ kind: 'control', term: term(1), control: have });
    this.receiver.sendDigests({ link: b, term: term(1) }).catch(() => undefined);
    this.shadow = new RamShadow(files.ram, `${files.ram}.seed`, blockBytes);
    this.pace = new Pace(lost.signal);
    const common = { link: a, term: term(1), ...(bandwidth ? { bandwidth } : {}) };
    this.#deviceState = new BulkStream({ ...common, stream: seedStreams.deviceState });
    this.ram = new BulkStream({ ...common, stream: seedStreams.ram });
    this.disk = new BulkStream({ ...common, stream: seedStreams.disk(0) });
  }

  /** The cut: from here on the streams are ended by the test. Sends the device state. */
  async offer(deviceState: Buffer): Promise<void> {
    this.pair.a.send({
      kind: 'control',
      term: term(1),
      control: {
        ...this.begin,
        type: 'seedOffer',
        deviceStateBytes: deviceState.length,
        logPosition: logPosition(1),
        icount: icount(1),
      },
    });
    await this.#deviceState.bytes(0, deviceState);
    await this.#deviceState.end(deviceState.length);
  }

  /** Breaks the link; the backup keeps its RAM as a node would. */
  break(files: SeedFiles): void {
    this.pair.break();
    this.receiver.close();
    const kept = `${files.backupRam}.kept`;
    fs.renameSync(files.backupRam, kept);
    files.remains.keep({ ramFile: kept, interrupted: this.begin.seedId });
    this.shadow.close();
  }

  async finish(): Promise<void> {
    await this.receiver.settle();
    this.shadow.close();
    this.pair.a.close('done');
  }
}
