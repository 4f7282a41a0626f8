/**
 * Captures what a machine of the past sends and receives, into one pcap file.
 *
 * QEMU's own capture (`filter-dump`) is put behind each card's replay filter, seen from outside: so
 * it is there before that drops what the guest sends, and gets what comes from the log. It stamps
 * frames with the guest's clock, counted from a second that QEMU does not tell. So the pad is
 * captured, too: it gets the markers, whose epochs the kept log knows the time of.
 *
 *  file     magic a1b2c3d4 | 2 | 4 | 0 | 0 | 262144 | 1 (Ethernet), then records     little-endian
 *  record   seconds | microseconds | bytes here | bytes of the frame | frame         u32 each
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Epoch } from '../base/units.ts';
import type { QemuInstance } from '../hypervisor/qemu/instance.ts';
import { decodeMarkerHead } from '../rrlog/marker.ts';

const fileHeadBytes = 24;
const recordHeadBytes = 16;
const magic = 0xa1b2c3d4;

interface Frame {
  /** Of the guest's clock, from an unknown second on; microseconds. */
  readonly us: number;
  readonly bytes: Buffer;
}

/** When an epoch ended, by the clock on the wall; ascending where there are several. */
export interface EpochTime {
  readonly epoch: Epoch;
  readonly timeMs: number;
}

export class FrameCapture {
  readonly #dir: string;
  readonly #cards: number;
  #machines = 0;

  /** `dir`: where the parts go, on a tmpfs. */
  constructor(dir: string, cards: number) {
    this.#dir = dir;
    this.#cards = cards;
  }

  /** Before the machine loads its state; once for each that goes on in the place of another one. */
  async attach({ monitor }: QemuInstance): Promise<void> {
    const machine = this.#machines;
    this.#machines += 1;
    const netdevs = ['pad', ...Array.from({ length: this.#cards }, (_, card) => `net${card}`)];
    for (const netdev of netdevs) {
      await monitor.execute('object-add', {
        'qom-type': 'filter-dump',
        id: `capture-${netdev}`,
        netdev,
        queue: 'all',
        file: this.#part(machine, netdev),
      });
    }
  }

  /**
   * Writes what was captured, when the machine is gone. Returns how many frames. Throws
   * `resources`.
   */
  write(path: string, epochs: readonly EpochTime[]): number {
    const frames: Frame[] = [];
    let offsetUs = 0;
    for (let machine = 0; machine < this.#machines; machine += 1) {
      // One that lived for less than an epoch began within seconds of the one before.
      offsetUs = wallOffsetUs(readFrames(this.#part(machine, 'pad')), epochs) ?? offsetUs;
      for (let card = 0; card < this.#cards; card += 1) {
        for (const { us, bytes } of readFrames(this.#part(machine, `net${card}`))) {
          frames.push({ us: us + offsetUs, bytes });
        }
      }
    }
    frames.sort((a, b) => a.us - b.us);
    try {
      fs.writeFileSync(path, encodeFrames(frames), { mode: 0o600 });
    } catch (thrown) {
      throw new UnderstudyError('resources', `Cannot write '${path}'`, { cause: asError(thrown) });
    }
    return frames.length;
  }

  #part(machine: number, netdev: string): string {
    return `${this.#dir}/frames-${machine}-${netdev}`;
  }
}

/** From the capture's clock to the one on the wall; `undefined` when no epoch is known to both. */
export function wallOffsetUs(
  markers: readonly Frame[],
  epochs: readonly EpochTime[],
): number | undefined {
  for (const { us, bytes } of markers) {
    const epoch = decodeMarkerHead(bytes)?.epoch;
    const timeMs = epoch === undefined ? undefined : timeOf(epoch, epochs);
    if (timeMs !== undefined) return timeMs * 1000 - us;
  }
  return undefined;
}

/** Epochs are about equally long: between two that are known the time is in proportion. */
function timeOf(epoch: Epoch, epochs: readonly EpochTime[]): number | undefined {
  const after = epochs.findIndex((known) => known.epoch >= epoch);
  const [a, b] = [epochs[after - 1], epochs[after]];
  if (b === undefined || b.epoch === epoch || a === undefined) {
    return b?.epoch === epoch ? b.timeMs : undefined;
  }
  return a.timeMs + ((b.timeMs - a.timeMs) * (epoch - a.epoch)) / (b.epoch - a.epoch);
}

/** The frames of a file that QEMU wrote; a torn one at its end is left out. */
export function readFrames(path: string): Frame[] {
  const bytes = fs.readFileSync(path);
  if (bytes.length < fileHeadBytes || bytes.readUInt32LE(0) !== magic) return [];
  const frames: Frame[] = [];
  for (let at = fileHeadBytes; at + recordHeadBytes <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    const from = at + recordHeadBytes;
    if (from + length > bytes.length) break;
    const us = bytes.readUInt32LE(at) * 1e6 + bytes.readUInt32LE(at + 4);
    frames.push({ us, bytes: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return frames;
}

function encodeFrames(frames: readonly Frame[]): Buffer {
  const head = Buffer.alloc(fileHeadBytes);
  head.writeUInt32LE(magic, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(262_144, 16);
  head.writeUInt32LE(1, 20);
  const parts: Buffer[] = [head];
  for (const { us, bytes } of frames) {
    const record = Buffer.alloc(recordHeadBytes);
    record.writeUInt32LE(Math.floor(us / 1e6), 0);
    record.writeUInt32LE(Math.floor(us % 1e6), 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    parts.push(record, bytes);
  }
  return Buffer.concat(parts);
}
