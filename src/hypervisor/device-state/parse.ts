/**
 * The device-state file: every part of a stopped machine but its RAM, as QEMU saves it.
 *
 * Written by the QMP command `xen-save-devices-state` (qemu_save_device_state in
 * migration/savevm.c), all numbers big-endian:
 *
 *     u32 magic "QEVM"   u32 version 3
 *     then sections, each:
 *       u8 0x04 (full)  u32 section id  u8 length, name  u32 instance  u32 version
 *       data, whose length is not stored
 *       u8 0x7e (footer)  u32 section id
 *     u8 0x00 (end of file). No description of the fields follows.
 *
 * How long the data of a section is only its device knows. But a section ends with a footer that
 * repeats its id, and after it comes the header of a section that was not there yet, or the end of
 * the file. We look for that and, should such bytes have been data by chance (or by a guest's
 * malice), go back and try the next place: a file is read only when it divides as a whole into
 * sections with different ids and different names. The sections we interpret, `timer` and `replay`,
 * come first, before any byte that a guest can choose.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { hypervisorLimits } from '../limits.ts';

/** One device's part; `from` and `to` are byte offsets of its data in the file. */
export interface DeviceSection {
  readonly id: number;
  /** QEMU's idstr, for example `0000:00:03.0/virtio-net`. */
  readonly name: string;
  /** Tells devices of one kind apart: the two `dma` controllers are 0 and 1. */
  readonly instance: number;
  /** Of the layout of the data, by QEMU's vmstate description. */
  readonly version: number;
  readonly from: number;
  readonly to: number;
}

export interface DeviceState {
  readonly bytes: Buffer;
  readonly sections: readonly DeviceSection[];
}

const magic = 0x5145564d; // "QEVM"
const fileVersion = 3;
const fileHeaderBytes = 8;
const sectionFull = 0x04;
const sectionFooter = 0x7e;
const endOfFile = 0x00;
const footerBytes = 5;

/**
 * Divides a device-state file into its sections. The buffer is kept, not copied.
 *
 * @throws UnderstudyError `state-format`, with the position, when it is cut short, damaged, or no
 * such file.
 */
export function parseDeviceState(bytes: Buffer): DeviceState {
  if (bytes.length > hypervisorLimits.deviceStateBytes) {
    throw damaged(`it has ${bytes.length} bytes, more than any machine's`, 0);
  }
  if (bytes.length < fileHeaderBytes + 1) {
    throw damaged(`it has ${bytes.length} bytes, too few for a header`, bytes.length);
  }
  if (bytes.readUInt32BE(0) !== magic) throw damaged('it does not begin with "QEVM"', 0);
  const version = bytes.readUInt32BE(4);
  if (version !== fileVersion) throw damaged(`version ${version}, expected ${fileVersion}`, 4);
  return { bytes, sections: divide(bytes) };
}

/** A section whose end is still searched: where the search for its footer goes on. */
interface Attempt {
  readonly header: SectionHeader;
  searchFrom: number;
}

type SectionHeader = Omit<DeviceSection, 'to'>;

/** The sections, by depth-first search; damage is reported at the farthest place reached. */
function divide(bytes: Buffer): DeviceSection[] {
  const first = readHeader(bytes, fileHeaderBytes);
  if (first === undefined) throw damaged('no section begins here', fileHeaderBytes);
  const path: Attempt[] = [{ header: first, searchFrom: first.from }];
  const ids = new Set([first.id]);
  const names = new Set([nameOf(first)]);
  let farthest = first;
  let steps = 0;
  for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
    const { header } = last;
    steps += 1;
    if (steps > hypervisorLimits.deviceStateSteps) break;
    const to = findFooter(bytes, header.id, last.searchFrom);
    if (to === undefined) {
      path.pop();
      ids.delete(header.id);
      names.delete(nameOf(header));
      continue;
    }
    last.searchFrom = to + 1;
    const after = to + footerBytes;
    if (after === bytes.length - 1 && bytes[after] === endOfFile) {
      // Where the search goes on is one past where the data ends.
      return path.map((attempt) => ({ ...attempt.header, to: attempt.searchFrom - 1 }));
    }
    const next = readHeader(bytes, after);
    if (next === undefined || ids.has(next.id) || names.has(nameOf(next))) continue;
    path.push({ header: next, searchFrom: next.from });
    ids.add(next.id);
    names.add(nameOf(next));
    if (next.from > farthest.from) farthest = next;
  }
  throw damaged(
    `section '${farthest.name}' (id ${farthest.id}) does not end, or nothing valid follows it`,
    farthest.from,
  );
}

function nameOf({ name, instance }: { name: string; instance: number }): string {
  return `${name}#${instance}`;
}

/** Where the data of a section may end, from `from` on: at a footer with its id. */
function findFooter(bytes: Buffer, id: number, from: number): number | undefined {
  const footer = Buffer.alloc(footerBytes);
  footer[0] = sectionFooter;
  footer.writeUInt32BE(id, 1);
  const at = bytes.indexOf(footer, from);
  return at === -1 || at + footerBytes >= bytes.length ? undefined : at;
}

function readHeader(bytes: Buffer, at: number): SectionHeader | undefined {
  const nameLength = bytes[at + 5];
  if (bytes[at] !== sectionFull || nameLength === undefined || nameLength === 0) return undefined;
  const nameAt = at + 6;
  const from = nameAt + nameLength + 8;
  if (from > bytes.length) return undefined;
  const name = bytes.toString('latin1', nameAt, nameAt + nameLength);
  if (!/^[\x20-\x7e]+$/.test(name)) return undefined;
  return {
    id: bytes.readUInt32BE(at + 1),
    name,
    instance: bytes.readUInt32BE(from - 8),
    version: bytes.readUInt32BE(from - 4),
    from,
  };
}

/** An error with the place of the damage, as every reader of these files reports it. */
export function damaged(what: string, position: number): UnderstudyError {
  return new UnderstudyError(
    'state-format',
    `Cannot read device state: at byte ${position}: ${what}`,
    { hint: 'make a new cut; if it happens again, run `understudy doctor` to check QEMU' },
  );
}

/** The one section with this name (and instance). */
export function findSection(
  state: DeviceState,
  name: string,
  instance = 0,
): DeviceSection | undefined {
  return state.sections.find((s) => s.name === name && s.instance === instance);
}
