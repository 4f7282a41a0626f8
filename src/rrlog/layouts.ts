/**
 * Event kinds of QEMU's record/replay log.
 *
 * The log numbers its kinds by the order of C enumerations (`enum ReplayEvents` in
 * replay/replay-internal.h), and three of those ranges depend on other enumerations: the
 * asynchronous events, the causes of a shutdown (qapi/run-state.json) and the checkpoints
 * (include/sysemu/replay.h). QEMU bumps its version word only for some changes, so a layout is
 * chosen by the caller, by QEMU release.
 *
 * All known releases number their kinds alike, and differ in payloads:
 *
 *   7.2    word 0xe0200c
 *   10.0   the same word; a fifth kind of INPUT event (multi-touch, since 8.1)
 *   11.0   word 0xe0200d; AUDIO_IN without its place in the ring
 *   11.1   word 0xe0200e; a key of INPUT is a Linux key code, and nothing says of what kind it is
 */
import { UnderstudyError } from '../base/errors.ts';
import { type QemuRelease, qemuReleases } from '../base/qemu-releases.ts';
import { bounds } from './bounds.ts';

/** Bytes before the first event: u32 version, 8 bytes never written (`HEADER_SIZE` in replay.c). */
export const headerBytes = 12;

/** A group of kinds with the same payload. */
type EventFamily =
  | 'instruction'
  | 'interrupt'
  | 'exception'
  | 'bh'
  | 'bh-oneshot'
  | 'input'
  | 'input-sync'
  | 'char-read'
  | 'block'
  | 'net'
  | 'shutdown'
  | 'char-write'
  | 'char-read-all'
  | 'char-read-all-error'
  | 'audio-out'
  | 'audio-in'
  | 'random'
  | 'clock'
  | 'checkpoint'
  | 'end';

/** Causes of a SHUTDOWN event, in the order of `ShutdownCause` in qapi/run-state.json. */
export const shutdownCauses = [
  'none',
  'host-error',
  'host-qmp-quit',
  'host-qmp-system-reset',
  'host-signal',
  'host-ui',
  'guest-shutdown',
  'guest-reset',
  'guest-panic',
  'subsystem-reset',
  'snapshot-load',
] as const;
export type ShutdownCause = (typeof shutdownCauses)[number];

/** Clocks of a CLOCK event (`enum ReplayClockKind` in include/sysemu/replay.h). */
export const clockNames = ['host', 'virtual-rt'] as const;
export type ClockName = (typeof clockNames)[number];

/** Points of a CHECKPOINT event (`enum ReplayCheckpoint` in include/sysemu/replay.h). */
export const checkpointNames = [
  'clock-warp-start',
  'clock-warp-account',
  'reset-requested',
  'suspend-requested',
  'clock-virtual',
  'clock-host',
  'clock-virtual-rt',
  'init',
  'reset',
] as const;
export type CheckpointName = (typeof checkpointNames)[number];

/** How the reader finds the size of an event. Values below `shape.input` are the size itself. */
export const shape = {
  unknown: 0,
  input: 0x40,
  audioIn: 0x41,
  /** `array | n`: a u32 length at offset n of the event, then that many bytes. */
  array: 0x80,
} as const;

/** One numbering of event kinds. Get it from {@link layoutFor}. */
export interface Layout extends Payloads {
  readonly qemu: QemuRelease;
  /** Number of kinds; the largest kind is END, one below. */
  readonly count: number;
  /** Name of each kind, such as `clock:host`; families with one member carry the family's name. */
  readonly names: readonly string[];
  readonly families: readonly EventFamily[];
  /** First kind of each family. */
  readonly first: Readonly<Record<EventFamily, number>>;
  /** For all 256 values of a kind byte: how to find the event's size (see `shape`). */
  readonly shapes: Uint8Array;
  /** For all 256 values: the largest length in an event that has one. */
  readonly lengthMax: Uint32Array;
}

/** What a release does in its own way. */
interface Payloads {
  /** The version word (`REPLAY_VERSION` in replay.c). */
  readonly version: number;
  /** Input event types 0 to this minus one are known (`InputEventKind` in qapi/ui.json). */
  readonly inputTypes: number;
  /** Whether a key is a Linux key code; before, it is a number or a QCode, and says which. */
  readonly hasKeyCodes: boolean;
  /** Bytes of AUDIO_IN before its samples: kind, u64 samples, and u64 place in the ring if any. */
  readonly audioInHead: 9 | 17;
}

interface Row {
  readonly family: EventFamily;
  readonly shape: number;
  readonly members?: readonly string[];
  readonly lengthMax?: number;
}

/** SHUTDOWN spans `SHUTDOWN_CAUSE__MAX` + 1 kinds: the last one stands for no cause at all. */
const rows: readonly Row[] = [
  { family: 'instruction', shape: 5 },
  { family: 'interrupt', shape: 1 },
  { family: 'exception', shape: 1 },
  { family: 'bh', shape: 9 },
  { family: 'bh-oneshot', shape: 9 },
  { family: 'input', shape: shape.input },
  { family: 'input-sync', shape: 1 },
  { family: 'char-read', shape: shape.array | 2, lengthMax: bounds.charBytesMax },
  { family: 'block', shape: 9 },
  { family: 'net', shape: shape.array | 6, lengthMax: bounds.netBytesMax },
  { family: 'shutdown', shape: 1, members: [...shutdownCauses, 'unused'] },
  { family: 'char-write', shape: 9 },
  { family: 'char-read-all', shape: shape.array | 1, lengthMax: bounds.charBytesMax },
  { family: 'char-read-all-error', shape: 5 },
  { family: 'audio-out', shape: 9 },
  { family: 'audio-in', shape: shape.audioIn, lengthMax: bounds.audioSamplesMax },
  { family: 'random', shape: shape.array | 5, lengthMax: bounds.randomBytesMax },
  { family: 'clock', shape: 9, members: clockNames },
  { family: 'checkpoint', shape: 1, members: checkpointNames },
  { family: 'end', shape: 1 },
];

function build(qemu: QemuRelease): Layout {
  const names: string[] = [];
  const families: EventFamily[] = [];
  const first: Partial<Record<EventFamily, number>> = {};
  const shapes = new Uint8Array(256);
  const lengthMax = new Uint32Array(256);
  for (const row of rows) {
    first[row.family] = names.length;
    for (const member of row.members ?? [undefined]) {
      shapes[names.length] = row.shape;
      lengthMax[names.length] = row.lengthMax ?? 0;
      families.push(row.family);
      names.push(member === undefined ? row.family : `${row.family}:${member}`);
    }
  }
  return {
    ...payloads[qemu],
    qemu,
    count: names.length,
    names,
    families,
    first: first as Record<EventFamily, number>,
    shapes,
    lengthMax,
  };
}

const payloads: Readonly<Record<QemuRelease, Payloads>> = {
  '7.2': { version: 0xe0200c, inputTypes: 4, hasKeyCodes: false, audioInHead: 17 },
  '10.0': { version: 0xe0200c, inputTypes: 5, hasKeyCodes: false, audioInHead: 17 },
  '11.0': { version: 0xe0200d, inputTypes: 5, hasKeyCodes: false, audioInHead: 9 },
  '11.1': { version: 0xe0200e, inputTypes: 5, hasKeyCodes: true, audioInHead: 9 },
};

const layouts = new Map<string, Layout>(qemuReleases.map((qemu) => [qemu, build(qemu)]));

/**
 * The layout of the log that a QEMU release writes.
 *
 * @throws UnderstudyError `config` when the release is not known.
 */
export function layoutFor(qemu: string): Layout {
  const layout = layouts.get(qemu);
  if (layout === undefined) {
    throw new UnderstudyError('config', `the event log of QEMU ${qemu} is not known`, {
      hint: `name one of ${qemuReleases.join(', ')}`,
    });
  }
  return layout;
}

/**
 * Check the version word of a log's header. QEMU writes it only at a clean exit, so 0 is the word
 * of a log that is being recorded, or whose recorder was killed.
 *
 * @throws UnderstudyError `log-format` for another word than that of the release.
 */
export function checkVersion({ qemu, version }: Layout, word: number): void {
  if (word === 0 || word === version) return;
  throw new UnderstudyError(
    'log-format',
    `event log: version word ${wordText(word)} at position 0, expected ${wordText(version)}`,
    { hint: `check that the file is a QEMU record log, and of QEMU ${qemu}` },
  );
}

const wordText = (word: number): string => `0x${word.toString(16).padStart(8, '0')}`;
