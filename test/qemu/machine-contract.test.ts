// The machine that QEMU records and its copy keep the contract that the simulated ones keep: so
// what the simulator shows of the protocol holds for them.
import fs from 'node:fs';
import { term } from '../../src/base/units.ts';
import { CardEgresses } from '../../src/egress/cards.ts';
import { bootFromState, type MachinePlace } from '../../src/hypervisor/machine-parts.ts';
import { CopiedMachine } from '../../src/node/machine/copied.ts';
import { LogShipper } from '../../src/node/machine/log-shipper.ts';
import { RecordedMachine, type RecordedSegment } from '../../src/node/machine/recorded.ts';
import { SerialPorts } from '../../src/node/machine/serial-ports.ts';
import { Reporter } from '../../src/node/report.ts';
import { Bandwidth } from '../../src/node/seeding/bandwidth.ts';
import { SeedRemains } from '../../src/node/seeding/remains.ts';
import type { CopyReport, MachineReport } from '../../src/ports/machine.ts';
import { memoryLinkPair } from '../doubles/memory-pair.ts';
import { quiet } from '../node/machineless.ts';
import {
  type CopyRig,
  describeMachineContract,
  type MachineRig,
  serving,
} from '../ports/machine-contract.ts';
import { BootedGuest } from './harness/booted.ts';
import { Lab } from './harness/lab.ts';
import { diskId } from './harness/machine.ts';
import { waitFor } from './harness/wait.ts';

const reporter = new Reporter();
const one = term(1);

function placeIn(lab: Lab): MachinePlace {
  const [dir, ramFile, image] = [lab.fresh('machine'), lab.fresh('ram'), lab.fresh('image')];
  const diskImages = { [diskId]: image };
  return { vm: lab.vm, layout: lab.layout, dir, pidDir: lab.dir, ramFile, diskImages };
}

async function open(): Promise<MachineRig> {
  const lab = await Lab.open();
  const { files, facts } = await BootedGuest.open();
  const place = placeIn(lab);
  fs.copyFileSync(files.disk, place.diskImages[diskId] ?? '');
  const bandwidth = new Bandwidth({
    bytesPerSecond: Number.POSITIVE_INFINITY,
    burstBytes: 1024 * 1024,
  });
  const reports: MachineReport[] = [];
  let take: (report: MachineReport) => void = () => undefined;
  const recorded = (report: (report: MachineReport) => void, of: MachinePlace): RecordedMachine =>
    new RecordedMachine({
      ...{ vm: lab.vm, diskImages: of.diskImages, bandwidth, reporter, log: quiet, report },
      term: () => one,
      onOutput: () => undefined,
      onDiskChanged: () => undefined,
    });
  const machine = recorded((report) => {
    reports.push(report);
    take(report);
  }, place);
  const claim = (): Promise<Buffer> => fs.promises.readFile(files.state);
  const parts = await bootFromState(place, { ramFile: files.ram, facts, claim }, machine.handlers);
  lab.onClose(() => parts.storage.stop());
  lab.onClose(() => parts.recorder.instance.destroy());
  machine.begin(parts, CardEgresses.fromSpecs(lab.vm.nics.map(() => 'none')), new SerialPorts([]));
  let copied: CopiedMachine | undefined;
  const ticks = setInterval(() => {
    machine.tick();
    copied?.tick();
  }, 10);

  const copy = async (): Promise<CopyRig> => {
    const there = placeIn(lab);
    const { a, b } = memoryLinkPair();
    const copyReports: CopyReport[] = [];
    const successor = recorded(() => undefined, there);
    const made = new CopiedMachine({
      ...{ ...there, link: b, term: one, reporter, log: quiet, remains: new SeedRemains() },
      spool: { path: lab.fresh('spool'), budgetBytes: 1024 * 1024 * 1024 },
      recorderHandlers: successor.handlers,
      prepareToSpeak: async () => undefined,
      report: (report) => copyReports.push(report),
    });
    copied = made;
    const isGone = (): boolean => copyReports.some(({ type }) => type === 'gone');
    lab.onClose(async () => {
      const { taken } = made;
      if (taken === undefined) {
        made.destroy();
        await waitFor('the copy to go', () => isGone() || undefined);
        return;
      }
      taken.recorder.close();
      await taken.recorder.instance.destroy();
      await taken.storage.stop();
    });
    b.onMessage((message) => {
      if (message.kind === 'control' && message.control.type === 'cut') {
        made.compare(message.control);
        return undefined;
      }
      return made.take(message);
    });
    const seeding = machine.seed('1.1', a);
    a.onMessage((message) => seeding.take(message));
    const shipper = new LogShipper(a, lab.layout);
    take = serving({
      ship: (run) => shipper.ship((run as RecordedSegment).segment, one, false),
      sendCut: (cutId) => machine.sendCut(cutId, a),
    });
    return { copy: made, reports: copyReports };
  };

  return {
    machine,
    reports,
    copy,
    until: async (isSo) => {
      await waitFor('what was promised', () => isSo() || undefined);
    },
    pass: () => new Promise((resolve) => setTimeout(resolve, 200)),
    close: async () => {
      clearInterval(ticks);
      await lab.close();
    },
  };
}

describeMachineContract("QEMU's machine", open);
