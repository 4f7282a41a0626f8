// The simulated machine and its copy keep the contract that the real ones keep.
import { SimCopy } from '../../sim/copy.ts';
import { SimDisk } from '../../sim/disk.ts';
import { bootGuest } from '../../sim/guest.ts';
import { History } from '../../sim/history.ts';
import { SimMachine, type SimRun } from '../../sim/machine.ts';
import type { SimHello, SimLog } from '../../sim/messages.ts';
import { type ConnectionEnd, Network } from '../../sim/network.ts';
import { soundSeams } from '../../sim/seams.ts';
import { calmCondition } from '../../sim/settings.ts';
import { World } from '../../sim/world.ts';
import { term } from '../../src/base/units.ts';
import type { CopyReport, MachineReport } from '../../src/ports/machine.ts';
import {
  type CopyRig,
  describeMachineContract,
  type MachineRig,
  serving,
} from '../ports/machine-contract.ts';

const tickMs = 10;

async function open(): Promise<MachineRig> {
  const world = new World(11);
  const condition = calmCondition(world.prng);
  const reports: MachineReport[] = [];
  let take: (report: MachineReport) => void = () => undefined;
  const state = bootGuest(0, 1);
  const machine = new SimMachine({
    ...{ world, condition, state, disk: new SimDisk(), history: History.ofBoot(1, state) },
    term: () => term(1),
    complete: soundSeams.complete,
    report: ({ index: _, ...report }) => {
      reports.push(report);
      take(report);
    },
  });
  const copy = async (): Promise<CopyRig> => {
    const [a, b] = connect(world);
    const copyReports: CopyReport[] = [];
    const copied = new SimCopy({
      ...{ world, condition, end: b, term: term(1), seams: soundSeams, isDurable: false },
      disk: new SimDisk(),
      keep: () => undefined,
      report: (report) => copyReports.push(report),
    });
    b.handlers = {
      onMessage: (message) => {
        if (message.kind === 'control' && message.control.type === 'cut') {
          copied.compare(message.control);
        } else copied.take(message);
      },
      onClose: () => undefined,
    };
    const seeding = machine.seed('1.1', a);
    a.handlers = { onMessage: (message) => seeding.take(message), onClose: () => undefined };
    take = serving({
      ship: (run) => {
        const { events, from, to } = run as SimRun;
        a.send({ kind: 'log', term: term(1), from, to, events } as SimLog);
      },
      sendCut: (cutId) => machine.sendCut(cutId, a),
    });
    const tick = (): void => {
      copied.tick(world.now);
      world.after(tickMs, tick);
    };
    tick();
    return { copy: copied, reports: copyReports };
  };
  return {
    machine,
    reports,
    copy,
    until: async (isSo) => {
      world.run(world.now + 20_000, isSo);
      if (!isSo()) throw new Error('it did not become so within 20 s');
    },
    pass: async () => world.run(world.now + 500),
    close: async () => undefined,
  };
}

/** The two ends of a connection between two hosts. */
function connect(world: World): [ConnectionEnd, ConnectionEnd] {
  const network = new Network(world);
  const hello = (node: string): SimHello => ({ node, term: term(1) });
  const ends: ConnectionEnd[] = [];
  const host = network.host('b');
  host.answer = () => hello('b');
  host.accept = (end) => {
    ends[1] = end;
  };
  network.dial('a', 'b', hello('a'), (end) => {
    if (end !== undefined) ends[0] = end;
  });
  world.run(world.now + 100, () => ends[0] !== undefined);
  const [a, b] = ends;
  if (a === undefined || b === undefined) throw new Error('nobody answered');
  return [a, b];
}

describeMachineContract('the simulated machine', open);
