/**
 * Event kinds of QEMU's record/replay log, version word 0xe0200c.
 *
 * The log numbers its kinds by the order of C enumerations (`enum ReplayEvents` in
 * replay/replay-internal.h), and three of those ranges depend on other enumerations: the
 * asynchronous events, the causes of a shutdown (qapi/run-state.json) and the checkpoints
 * (include/sysemu/replay.h). QEMU bumps its version word only for some changes, so a layout is
 * chosen by the caller, by QEMU release.
 *
 * 7.2 and 10.0 number their kinds alike. They differ in one payload: 10.0 knows a fifth kind of
 * INPUT event (multi-touch, since 8.1), which 7.2 cannot replay.
 */
import { UnderstudyError } from '../base/errors.ts';
import { bounds } from './bounds.ts';

/** QEMU releases whose log layout is known. */
export type QemuRelease = '7.2' | '10.0';

/** Bytes before the first event: u32 version, 8 bytes never written (`HEADER_SIZE` in replay.c). */
export const headerBytes = 12;

/** The version word of both known layouts (`REPLAY_VERSION` in replay.c). */
export const logVersion = 0xe0200c;

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
export interface Layout {
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
  /** Input event types 0 to this minus one are known (`InputEventKind` in qapi/ui.json). */
  readonly inputTypes: number;
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

function build(qemu: QemuRelease, inputTypes: number): Layout {
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
    qemu,
    count: names.length,
    names,
    families,
    first: first as Record<EventFamily, number>,
    shapes,
    lengthMax,
    inputTypes,
  };
}

const layouts: Readonly<Record<QemuRelease, Layout>> = {
  '7.2': build('7.2', 4),
  '10.0': build('10.0', 5),
};

/**
 * The layout of the log that a QEMU release writes.
 *
 * @throws UnderstudyError `config` when the release is not known.
 */
export function layoutFor(qemu: string): Layout {
  const layout = Object.hasOwn(layouts, qemu) ? layouts[qemu as QemuRelease] : undefined;
  if (layout === undefined) {
    throw new UnderstudyError('config', `the event log of QEMU ${qemu} is not known`, {
      hint: `name one of ${Object.keys(layouts).join(', ')}`,
    });
  }
  return layout;
}

/**
 * Check the version word of a log's header. QEMU writes it only at a clean exit, so 0 is the
 * word of a log that is being recorded, or whose recorder was killed.
 *
 * @throws UnderstudyError `log-format` for any other word.
 */
export function checkVersion(word: number): void {
  if (word === 0 || word === logVersion) return;
  const found = `0x${word.toString(16).padStart(8, '0')}`;
  throw new UnderstudyError(
    'log-format',
    `event log: unknown version word ${found} at position 0, expected 0x${logVersion.toString(16)}`,
    { hint: 'check that the file is a QEMU record log, and of QEMU 7.2 or 10.0' },
  );
}
