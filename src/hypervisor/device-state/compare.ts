/**
 * The proof of lockstep: two device states at the same cut must be equal, byte for byte.
 *
 * Two things may differ, because they belong to the host and not to the guest:
 *
 *  - the whole section "replay": one side wrote the log and the other read it;
 *  - in section "timer" (vmstate_timers in softmmu/cpu-timers.c) two words of eight bytes:
 *    `cpu_ticks_offset` at 0, the host's cycle counter, and `cpu_clock_offset` at 16, the host's
 *    monotonic clock. Under icount the guest reads neither: its cycle counter and its virtual
 *    clock come from the instruction count and from clock values in the log.
 *
 * And `halted` in "cpu_common", when an interrupt is pending on both sides: a vCPU that is about to
 * wake up was stopped just before it did (`cpu_handle_halt`, accel/tcg/cpu-exec.c) or just after.
 * It has executed the same instructions, and takes the same interrupt next. Waking, it looks at the
 * APIC, if it was asked to, and finds the interrupt there: then what is pending differs so, too.
 *
 * And where the serial port's FIFOs begin in their rings (serial-fifos.ts): only what is in them
 * counts.
 *
 * All else of "timer" must be equal: the bias and count of instructions, the start of a clock
 * warp, the expiry of the timers that adjust the speed, the shift. They follow from the log.
 */

import { hypervisorLimits } from '../limits.ts';
import { type DeviceSection, type DeviceState, findSection } from './parse.ts';
import { withFifosUnrolled } from './serial-fifos.ts';

/** A run of bytes that differs, or a section that is not the same thing on both sides. */
export interface Difference {
  readonly section: string;
  readonly instance: number;
  /** Of the first differing byte in the section's data. */
  readonly offset: number;
  /** The differing bytes; empty where a side has none there. */
  readonly bytesA: Buffer;
  readonly bytesB: Buffer;
  /** Set when it is not about bytes: the section is missing, or of another version. */
  readonly what?: string;
}

/** Byte ranges of a section's data that may differ. */
const hostWords: Readonly<Record<string, readonly (readonly [from: number, to: number])[]>> = {
  timer: [
    [0, 8],
    [16, 24],
  ],
  replay: [[0, Number.POSITIVE_INFINITY]],
};

/** Runs of differing bytes that are closer than this are one: a word is easier to read whole. */
const joinBytes = 4;

/**
 * All differences that a guest could ever notice; empty is the proof of lockstep (R9). In the order
 * of the file, and at most a thousand.
 */
export function compareDeviceStates(a: DeviceState, b: DeviceState): Difference[] {
  const differences: Difference[] = [];
  for (const section of a.sections) {
    const other = findSection(b, section.name, section.instance);
    if (other === undefined) differences.push(about(section, 'only the first has this section'));
    else differences.push(...compareSections(a, section, b, other));
  }
  for (const section of b.sections) {
    if (findSection(a, section.name, section.instance) === undefined) {
      differences.push(about(section, 'only the second has this section'));
    }
  }
  return differences.slice(0, hypervisorLimits.deviceStateDifferences);
}

function about({ name, instance }: DeviceSection, what: string): Difference {
  const none = Buffer.alloc(0);
  return { section: name, instance, offset: 0, bytesA: none, bytesB: none, what };
}

const interruptHard = 0x02;
const interruptPoll = 0x10;

/** The request of "look at the APIC" becomes that of an interrupt when the vCPU has looked. */
const polled = (request: number): number =>
  (request & interruptPoll) === 0 ? request : (request & ~interruptPoll) | interruptHard;

/**
 * What of section "cpu_common" may differ: u32 halted, 0 or 1, and u32 interrupt_request
 * (`vmstate_cpu_common`, cpu.c), whose differences are in its last byte.
 */
function wakingMayDiffer(a: Buffer, b: Buffer): readonly [number, number][] {
  const isWaking = (data: Buffer): boolean =>
    data.length >= 8 && data.readUInt32BE(0) <= 1 && data.readUInt32BE(4) !== 0;
  if (!isWaking(a) || !isWaking(b)) return [];
  return polled(a.readUInt32BE(4)) === polled(b.readUInt32BE(4)) ? [[0, 8]] : [[0, 4]];
}

function comparable(state: DeviceState, { name, from, to }: DeviceSection): Buffer {
  const data = state.bytes.subarray(from, to);
  return name === 'serial' ? withFifosUnrolled(data) : data;
}

function compareSections(
  a: DeviceState,
  sectionA: DeviceSection,
  b: DeviceState,
  sectionB: DeviceSection,
): Difference[] {
  if (sectionA.version !== sectionB.version) {
    return [about(sectionA, `layout version ${sectionA.version} and ${sectionB.version}`)];
  }
  const dataA = comparable(a, sectionA);
  const dataB = comparable(b, sectionB);
  if (dataA.equals(dataB)) return [];
  const mayDiffer = [...(sectionA.instance === 0 ? (hostWords[sectionA.name] ?? []) : [])];
  if (sectionA.name === 'cpu_common') mayDiffer.push(...wakingMayDiffer(dataA, dataB));
  const length = Math.max(dataA.length, dataB.length);
  const differences: Difference[] = [];
  let from = -1; // of the run under way
  let to = -1;
  const finishRun = (): void => {
    if (from === -1) return;
    const bytesA = dataA.subarray(from, to);
    const bytesB = dataB.subarray(from, to);
    const { name, instance } = sectionA;
    differences.push({ section: name, instance, offset: from, bytesA, bytesB });
  };
  for (let at = 0; at < length; at += 1) {
    if (dataA[at] === dataB[at]) continue;
    if (mayDiffer.some(([first, end]) => at >= first && at < end)) continue;
    if (from === -1 || at - to >= joinBytes) {
      finishRun();
      from = at;
    }
    to = at + 1;
  }
  finishRun();
  return differences;
}

/** Differences for a person: one line each, the first twenty. */
export function describeDifferences(differences: readonly Difference[]): string {
  const shown = 20;
  const lines = differences.slice(0, shown).map((d) => {
    const where = sectionText(d.section, d.instance);
    if (d.what !== undefined) return `${where}: ${d.what}`;
    return `${where} at byte ${d.offset}: ${hex(d.bytesA)} and ${hex(d.bytesB)}`;
  });
  if (differences.length > shown) lines.push(`and ${differences.length - shown} more`);
  return lines.join('\n');
}

/** The name of a section as people read it: `dma`, `dma#1`. */
export function sectionText(name: string, instance: number): string {
  return instance === 0 ? name : `${name}#${instance}`;
}

function hex(bytes: Buffer): string {
  if (bytes.length === 0) return '(nothing)';
  const shown = bytes.subarray(0, 16).toString('hex');
  return bytes.length > 16 ? `${shown}... (${bytes.length} bytes)` : shown;
}
