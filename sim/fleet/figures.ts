/**
 * Where each figure of the fleet comes from. Ours were measured on real pairs; the rest is said by
 * others.
 */

export interface Figure {
  readonly value: number;
  readonly source: string;
}

const ours = (value: number, source: string): Figure => ({ value, source });

export const figures = {
  takeoverMs: ours(97, 'p50 of 10 kills, ./scripts/demo --rounds 10 --seconds 3, README'),
  takeoverMaxMs: ours(150, 'most of 10 kills, same run'),
  reprotectSeconds: ours(5, 'a killed node protects again 3.9 to 4.7 s after its start, same run'),
  bootSeconds: ours(6, 'the guest is up 5.57 s after its start, same run'),
  holdMs: ours(
    2,
    'p50 of the wait at the output gate: 1 to 2 ms on loopback, docs/measurements.md',
  ),
  silenceMs: ours(300, 'src/base/limits.ts'),
  /** Assumed: what a server does to its owner. */
  hostMtbfHours: {
    value: 4_380,
    source: 'assumed: a host fails, or is restarted without warning, twice a year',
  },
  hostRepairHours: { value: 4, source: 'assumed: someone comes and repairs it' },
  rackMtbfHours: {
    value: 43_800,
    source: 'assumed: a rack loses power or its switch every 5 years',
  },
  rackRepairHours: { value: 2, source: 'assumed' },
  wanRoundTripMs: { value: 30, source: 'assumed: two sites some 1,500 km apart' },
  /** What others publish. */
  restartHaSeconds: {
    value: 120,
    source:
      'Proxmox VE documentation, High Availability: "error detection and fail-over takes about 2 minutes"',
  },
  restartHaFastSeconds: {
    value: 60,
    source: 'restarts after a host failure under vSphere HA are commonly given as 1 to 2 minutes',
  },
} as const satisfies Readonly<Record<string, Figure>>;
