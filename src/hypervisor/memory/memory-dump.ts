/**
 * A snapshot's memory as an ELF core file, as QEMU's `dump-guest-memory` writes it without paging:
 * gdb, readelf, crash and drgn read it.
 *
 *   ELF header (64-bit, little-endian, core, x86-64) | program headers | notes | memory
 *
 * One PT_LOAD for each range of the guest's physical memory, by physical address, at whole pages of
 * the file, which is sparse. Two notes for the vCPU: CORE/NT_PRSTATUS, and QEMU's own with segments
 * and control registers (QEMUCPUState in target/i386/arch_dump.c), which tells crash where the page
 * tables are. Firmware and video memory are not in it: they are not in our RAM image.
 */
import fs from 'node:fs/promises';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { ramImage, type Snapshot } from '../../ports/snapshot-store.ts';
import { type CpuRegisters, cpuRegisters } from '../device-state/cpu-registers.ts';
import { parseDeviceState } from '../device-state/parse.ts';
import { hypervisorLimits } from '../limits.ts';

const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const pageBytes = 4096;
const GiB = 1024 ** 3;
const KiB = 1024;

/** A range of guest-physical memory, and where it lies in the RAM image. */
export interface MemoryRange {
  readonly physical: number;
  readonly imageOffset: number;
  readonly bytes: number;
}

/**
 * Where the machine `pc` has its memory (pc_init1 in hw/i386/pc_piix.c): below 3.5 GiB in one
 * piece, from that size on 3 GiB low and the rest from 4 GiB on. Video memory covers 640 to 768
 * KiB.
 */
export function physicalMemory(ramBytes: number): MemoryRange[] {
  const low = ramBytes >= 3.5 * GiB ? 3 * GiB : ramBytes;
  const ranges = [
    { physical: 0, imageOffset: 0, bytes: Math.min(low, 640 * KiB) },
    { physical: 768 * KiB, imageOffset: 768 * KiB, bytes: low - 768 * KiB },
    { physical: 4 * GiB, imageOffset: low, bytes: ramBytes - low },
  ];
  return ranges.filter(({ bytes }) => bytes > 0);
}

/** Writes a new file. Throws `resources` when it cannot, and what reading the snapshot throws. */
export async function writeMemoryDump(snapshot: Snapshot, path: string): Promise<void> {
  const ram = snapshot.manifest.images.find(({ name }) => name === ramImage);
  const registers = cpuRegisters(parseDeviceState(await snapshot.deviceState()));
  const ranges = physicalMemory(ram?.bytes ?? 0);
  const { head, offsets } = encodeHead(ranges, encodeNotes(registers));
  let file: fs.FileHandle;
  try {
    file = await fs.open(path, 'wx', 0o600);
  } catch (thrown) {
    throw cannotWrite(path, thrown);
  }
  try {
    await write(file, path, head, 0);
    const end = ranges.map(({ bytes }, i) => (offsets[i] ?? 0) + bytes).at(-1);
    await file.truncate(end ?? head.length);
    for (const [i, range] of ranges.entries()) {
      await copyRange(snapshot, range, (bytes, at) =>
        write(file, path, bytes, (offsets[i] ?? 0) + at),
      );
    }
    await file.close();
  } catch (error) {
    await file.close().catch(() => undefined);
    await fs.rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function copyRange(
  snapshot: Snapshot,
  range: MemoryRange,
  writeAt: (bytes: Buffer, at: number) => Promise<void>,
): Promise<void> {
  const step = hypervisorLimits.dumpPieceBytes;
  for (let at = 0; at < range.bytes; at += step) {
    const length = Math.min(step, range.bytes - at);
    const bytes = await snapshot.read(ramImage, range.imageOffset + at, length);
    if (bytes.some((byte) => byte !== 0)) await writeAt(bytes, at);
  }
}

async function write(
  file: fs.FileHandle,
  path: string,
  bytes: Buffer,
  position: number,
): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; ) {
      at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
    }
  } catch (thrown) {
    throw cannotWrite(path, thrown);
  }
}

function cannotWrite(path: string, thrown: unknown): UnderstudyError {
  return new UnderstudyError('resources', `Cannot write memory dump '${path}'`, {
    cause: asError(thrown),
    hint: 'name a file that does not exist, on a disk with room for the guest’s memory',
  });
}

/** Everything before the memory, and where in the file each range begins. */
function encodeHead(ranges: readonly MemoryRange[], notes: Buffer) {
  const notesAt = elfHeaderBytes + (ranges.length + 1) * programHeaderBytes;
  const head = Buffer.alloc(Math.ceil((notesAt + notes.length) / pageBytes) * pageBytes);
  head.write('\x7fELF\x02\x01\x01', 0, 'latin1'); // 64 bits, little-endian, version 1
  head.writeUInt16LE(4, 16); // ET_CORE
  head.writeUInt16LE(62, 18); // EM_X86_64
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(elfHeaderBytes), 32);
  head.writeUInt16LE(elfHeaderBytes, 52);
  head.writeUInt16LE(programHeaderBytes, 54);
  head.writeUInt16LE(ranges.length + 1, 56);
  const header = (index: number, type: number, offset: number, at: number, bytes: number) => {
    const base = elfHeaderBytes + index * programHeaderBytes;
    head.writeUInt32LE(type, base);
    head.writeBigUInt64LE(BigInt(offset), base + 8);
    head.writeBigUInt64LE(BigInt(at), base + 24); // physical address; the virtual one is 0, as QEMU has it
    head.writeBigUInt64LE(BigInt(bytes), base + 32);
    head.writeBigUInt64LE(BigInt(bytes), base + 40);
  };
  header(0, 4, notesAt, 0, notes.length); // PT_NOTE
  notes.copy(head, notesAt);
  const offsets: number[] = [];
  let offset = head.length;
  ranges.forEach(({ physical, bytes }, i) => {
    header(i + 1, 1, offset, physical, bytes); // PT_LOAD
    offsets.push(offset);
    offset += bytes;
  });
  return { head, offsets };
}

function encodeNotes(registers: CpuRegisters): Buffer {
  return Buffer.concat([
    note('CORE', 1, encodeStatus(registers)), // NT_PRSTATUS
    note('QEMU', 0, encodeCpuState(registers)),
  ]);
}

function note(owner: string, type: number, content: Buffer): Buffer {
  const head = Buffer.alloc(12 + 8); // names of four letters, and their end, take eight bytes
  head.writeUInt32LE(owner.length + 1, 0);
  head.writeUInt32LE(content.length, 4);
  head.writeUInt32LE(type, 8);
  head.write(owner, 12, 'latin1');
  return Buffer.concat([head, content]);
}

/**
 * x86_64_elf_prstatus: the pid is at 32, the registers as in Linux's user_regs_struct from 112 on.
 */
function encodeStatus({ general, segments }: CpuRegisters): Buffer {
  const status = Buffer.alloc(336);
  status.writeUInt32LE(1, 32); // number of the vCPU, from 1
  const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, rip, rflags } = general;
  const { r8, r9, r10, r11, r12, r13, r14, r15 } = general;
  const selector = (name: 'cs' | 'ss' | 'ds' | 'es' | 'fs' | 'gs') =>
    BigInt(segments[name].selector);
  [
    ...[r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, 0n, rip],
    ...[selector('cs'), rflags, rsp, selector('ss'), segments.fs.base, segments.gs.base],
    ...[selector('ds'), selector('es'), selector('fs'), selector('gs')],
  ].forEach((value, i) => {
    status.writeBigUInt64LE(value, 112 + i * 8);
  });
  return status;
}

/** QEMUCPUState, version 1. */
function encodeCpuState({ general, segments, ...control }: CpuRegisters): Buffer {
  const state = Buffer.alloc(440);
  state.writeUInt32LE(1, 0);
  state.writeUInt32LE(state.length, 4);
  const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, rip, rflags } = general;
  const { r8, r9, r10, r11, r12, r13, r14, r15 } = general;
  [
    rax,
    rbx,
    rcx,
    rdx,
    rsi,
    rdi,
    rsp,
    rbp,
    r8,
    r9,
    r10,
    r11,
    r12,
    r13,
    r14,
    r15,
    rip,
    rflags,
  ].forEach((value, i) => {
    state.writeBigUInt64LE(value, 8 + i * 8);
  });
  const { cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt } = segments;
  [cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt].forEach(({ selector, limit, flags, base }, i) => {
    const at = 152 + i * 24;
    state.writeUInt32LE(selector, at);
    state.writeUInt32LE(limit, at + 4);
    state.writeUInt32LE(flags, at + 8);
    state.writeBigUInt64LE(base, at + 16);
  });
  const { cr0, cr2, cr3, cr4, kernelGsBase } = control;
  [cr0, 0n, cr2, cr3, cr4, kernelGsBase].forEach((value, i) => {
    state.writeBigUInt64LE(value, 392 + i * 8);
  });
  return state;
}
