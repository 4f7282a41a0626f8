// What src/ports/machine.ts promises, of any machine and its copy: the simulated ones and QEMU's
// pass the same test.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Epoch, epoch, type LogPosition } from '../../src/base/units.ts';
import type {
  Copy,
  CopyReport,
  MachineReport,
  ProtectedMachine,
  RecordedRun,
} from '../../src/ports/machine.ts';

/** A machine that runs, and what it has reported. */
export interface MachineRig {
  readonly machine: ProtectedMachine<never>;
  readonly reports: readonly MachineReport[];
  /** Lets things happen until it is so; fails when nothing more can be hoped for. */
  until(isSo: () => boolean): Promise<void>;
  /** Lets things happen for a while that is long for a machine. */
  pass(): Promise<void>;
  /**
   * Seeds a copy over a link of its own, ships it what is recorded from the seed's cut on, and
   * tells it of each cut right behind the log up to there.
   */
  copy(): Promise<CopyRig>;
  close(): Promise<void>;
}

export interface CopyRig {
  readonly copy: Copy;
  readonly reports: readonly CopyReport[];
}

type Of<Report, Type> = Extract<Report, { type: Type }>;

const of = <Report extends { type: string }, Type extends Report['type']>(
  reports: readonly Report[],
  type: Type,
): Of<Report, Type>[] =>
  reports.filter((report): report is Of<Report, Type> => report.type === type);

/**
 * What a primary does for its copy: ships what is recorded, and says what has its place in that.
 */
export function serving(to: {
  readonly ship: (run: RecordedRun) => void;
  readonly sendCut: (cutId: string) => void;
}): (report: MachineReport) => void {
  let shippedTo: LogPosition | undefined;
  let made: Of<MachineReport, 'cutMade'> | undefined;
  return (report) => {
    if (report.type === 'seedCut') shippedTo = report.position;
    if (report.type === 'cutMade') made = report;
    if (report.type === 'recorded' && shippedTo !== undefined && report.run.from >= shippedTo) {
      to.ship(report.run);
      shippedTo = report.run.to;
    }
    if (made === undefined || made.position !== shippedTo) return;
    to.sendCut(made.cutId);
    made = undefined;
  };
}

export function describeMachineContract(what: string, open: () => Promise<MachineRig>): void {
  describe(`${what}: the contract of a machine`, () => {
    let rig: MachineRig;
    let next = 1;
    beforeEach(async () => {
      rig = await open();
    });
    afterEach(() => rig.close());

    const markers = (): Epoch[] =>
      of(rig.reports, 'recorded').flatMap(({ run }) => run.markers.map((marker) => marker.epoch));
    const recordedTo = (): LogPosition | undefined => of(rig.reports, 'recorded').at(-1)?.run.to;
    const has = (type: MachineReport['type']) => (): boolean => of(rig.reports, type).length > 0;
    /** Gives a marker, and waits until it has come back. */
    const mark = async (): Promise<void> => {
      const given = epoch(next);
      next += 1;
      rig.machine.sendMarker(given, true);
      await rig.until(() => markers().includes(given));
    };

    /** Gives markers, as a primary does, until it is so: a cut is judged by the log behind it. */
    const whileMarking = async (isSo: () => boolean): Promise<void> => {
      for (let left = 200; !isSo(); left -= 1) {
        if (left === 0) throw new Error('it did not become so');
        await mark();
        await rig.pass();
      }
    };

    it('what it records is contiguous, and each marker comes back in it, once and in order', async () => {
      for (let count = 0; count < 5; count += 1) await mark();
      const runs = of(rig.reports, 'recorded').map(({ run }) => run);
      for (const [index, run] of runs.entries()) {
        expect(run.to).toBeGreaterThan(run.from);
        if (index > 0) expect(run.from).toBe(runs[index - 1]?.to);
        for (const { position } of run.markers) {
          expect(position).toBeGreaterThanOrEqual(run.from);
          expect(position).toBeLessThan(run.to);
        }
      }
      const seen = markers();
      expect(seen).toEqual([...seen].sort((one, other) => one - other));
      expect(new Set(seen).size).toBe(seen.length);
    });

    it('stopped, it has told all of its log, and executes nothing until it goes on', async () => {
      await mark();
      rig.machine.stop();
      await rig.until(has('stopped'));
      const { logEnd } = of(rig.reports, 'stopped')[0] as Of<MachineReport, 'stopped'>;
      expect(recordedTo()).toBeGreaterThanOrEqual(logEnd);
      const seen = markers().length;
      await rig.pass();
      expect(markers()).toHaveLength(seen);
      rig.machine.go();
      await rig.until(has('continued'));
      // Its copy would have to do the same: that is said first.
      const order = rig.reports.map(({ type }) => type);
      expect(order.indexOf('wentOn')).toBeGreaterThan(order.indexOf('stopped'));
      expect(order.indexOf('wentOn')).toBeLessThan(order.indexOf('continued'));
      await mark();
    });

    it('slowed down for a while, it goes on as if nothing had been', async () => {
      rig.machine.slowDown(0.5);
      await mark();
      rig.machine.slowDown(0);
      await mark();
      expect(of(rig.reports, 'machineFailed')).toEqual([]);
      expect(of(rig.reports, 'wentOn')).toEqual([]);
    });

    it('a copy is seeded, executes the log, and is equal at a cut', async () => {
      await mark();
      const copied = await rig.copy();
      await whileMarking(() => of(copied.reports, 'copyReady').length > 0);
      await whileMarking(has('seedEnded'));
      expect(of(rig.reports, 'seedEnded').map(({ problem }) => problem)).toEqual([undefined]);
      // The cut of the seed comes while nothing behind it was told.
      const at = rig.reports.findIndex(({ type }) => type === 'seedCut');
      const { position } = of(rig.reports, 'seedCut')[0] as Of<MachineReport, 'seedCut'>;
      const before = rig.reports.slice(0, at).filter((report) => report.type === 'recorded');
      for (const { run } of before) expect(run.to).toBeLessThanOrEqual(position);
      await mark();
      copied.copy.granted();
      rig.machine.cut({ cutId: '1', number: 1 });
      await whileMarking(has('cutEnded'));
      expect(of(rig.reports, 'cutEnded')[0]).toEqual({ type: 'cutEnded', cutId: '1' });
      await whileMarking(() => of(copied.reports, 'compared').length > 0);
      expect(of(copied.reports, 'compared')).toEqual([
        { type: 'compared', cutId: '1', differences: [] },
      ]);
      const received = of(copied.reports, 'received').map(({ to }) => to);
      expect(received).toEqual([...received].sort((one, other) => one - other));
    });

    it('a copy whose machine is gone takes over, and is a machine then', async () => {
      const copied = await rig.copy();
      await whileMarking(() => of(copied.reports, 'copyReady').length > 0);
      await mark();
      rig.machine.destroy();
      await rig.until(has('gone'));
      const told = rig.reports.length;
      copied.copy.takeOver();
      await rig.until(() =>
        copied.reports.some(({ type }) => type === 'tookOver' || type === 'takeoverFailed'),
      );
      expect(of(copied.reports, 'takeoverFailed')).toEqual([]);
      expect(of(copied.reports, 'tookOver')).toHaveLength(1);
      // Nothing is heard of what is gone.
      await rig.pass();
      expect(rig.reports).toHaveLength(told);
      expect(of(rig.reports, 'gone')).toHaveLength(1);
    });

    it('a copy that is destroyed says that it is gone, once and last', async () => {
      const copied = await rig.copy();
      await whileMarking(() => of(copied.reports, 'copyReady').length > 0);
      copied.copy.destroy();
      copied.copy.destroy();
      await rig.until(() => of(copied.reports, 'gone').length > 0);
      await rig.pass();
      expect(of(copied.reports, 'gone')).toHaveLength(1);
      expect(copied.reports.at(-1)?.type).toBe('gone');
      expect(of(copied.reports, 'tookOver')).toEqual([]);
    });
  });
}
