/**
 * Registers of the vCPU, from the section "cpu" of a device state (vmstate_x86_cpu in
 * target/i386/machine.c, version 12, equal in QEMU 7.2 and 10.0 as far as it is read here):
 *
 *     u64 x 16  rax rcx rdx rbx rsp rbp rsi rdi r8..r15     u64 rip   u64 rflags   u32 hflags
 *     u16 x 4   FPU control, status, tag, format            8 x (u64, u16)  FPU registers
 *     segments  es cs ss ds fs gs ldt tr gdt idt: u32 selector, u64 base, u32 limit, u32 flags each
 *     u32, u64, u64  sysenter      u64 x 4  cr0 cr2 cr3 cr4     u64 x 8  debug registers
 *     u32, u32  A20 mask, MXCSR    16 x (u64, u64)  XMM     u64 x 5  efer star lstar cstar fmask
 *     u64       kernel gs base
 */
import { type DeviceState, damaged, findSection } from './parse.ts';

/** General registers in the order of QEMU's arrays. */
const registerNames = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
  'rip',
  'rflags',
] as const;
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr', 'gdt', 'idt'] as const;

interface Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly flags: number;
}

export interface CpuRegisters {
  readonly general: Readonly<Record<(typeof registerNames)[number], bigint>>;
  readonly segments: Readonly<Record<(typeof segmentNames)[number], Segment>>;
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly kernelGsBase: bigint;
}

const cpuVersion = 12;
const generalBytes = registerNames.length * 8;
const segmentsAt = generalBytes + 4 + 8 + 80;
const segmentBytes = 20;
const controlAt = segmentsAt + segmentNames.length * segmentBytes + 20;
const kernelGsAt = controlAt + 32 + 64 + 8 + 256 + 40;
const readBytes = kernelGsAt + 8;

/** Throws `state-format` when there is no such section, or of another version. */
export function cpuRegisters(state: DeviceState): CpuRegisters {
  const section = findSection(state, 'cpu');
  if (section === undefined) throw damaged('there is no section "cpu"', 0);
  if (section.version !== cpuVersion || section.to - section.from < readBytes) {
    throw damaged(
      `section "cpu" has version ${section.version} and ${section.to - section.from} bytes`,
      section.from,
    );
  }
  const bytes = state.bytes.subarray(section.from, section.to);
  const u64 = (at: number): bigint => bytes.readBigUInt64BE(at);
  const segment = (index: number): Segment => {
    const at = segmentsAt + index * segmentBytes;
    return {
      selector: bytes.readUInt32BE(at),
      base: u64(at + 4),
      limit: bytes.readUInt32BE(at + 12),
      flags: bytes.readUInt32BE(at + 16),
    };
  };
  return {
    general: named(registerNames, (index) => u64(index * 8)),
    segments: named(segmentNames, segment),
    cr0: u64(controlAt),
    cr2: u64(controlAt + 8),
    cr3: u64(controlAt + 16),
    cr4: u64(controlAt + 24),
    kernelGsBase: u64(kernelGsAt),
  };
}

function named<Name extends string, T>(
  names: readonly Name[],
  readAt: (index: number) => T,
): Record<Name, T> {
  return Object.fromEntries(names.map((name, index) => [name, readAt(index)])) as Record<Name, T>;
}
