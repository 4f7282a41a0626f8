// The driver lets a machine be heard when its core says so, and not before; told to stop, it stops.
import { expect, it, vi } from 'vitest';
import { term } from '../../src/base/units.ts';
import { withResolvers } from '../../src/base/with-resolvers.ts';
import type { CardEgresses } from '../../src/egress/cards.ts';
import { Concerns } from '../../src/node/concerns.ts';
import { NodeDriver, type NodeDriverOptions } from '../../src/node/driver.ts';
import type { Logger } from '../../src/node/logger.ts';
import type { CopiedMachine } from '../../src/node/machine/copied.ts';
import type { RecordedMachine } from '../../src/node/machine/recorded.ts';
import { SerialPorts } from '../../src/node/machine/serial-ports.ts';
import { Outputs } from '../../src/node/outputs.ts';
import { Reporter } from '../../src/node/report.ts';
import type { SpokenTerm } from '../../src/node/spoken.ts';
import type { Arbiter } from '../../src/ports/arbiter.ts';
import type { CopyReport, MachineReport } from '../../src/ports/machine.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { FaultyArbiter } from '../doubles/faulty-arbiter.ts';
import { MemoryArbiter } from '../doubles/memory-arbiter.ts';
import { memoryLinkPair } from '../doubles/memory-pair.ts';
import { hangMs } from '../time.ts';

const silent = () => undefined;
const quiet = { info: silent, warn: silent, error: silent } as unknown as Logger;

/** A driver with a machine, a copy and a disk that do what the test says. */
function driving(
  arbiter: Arbiter,
  save: () => Promise<void>,
  boot: Promise<void> = Promise.resolve(),
  dial: 'answers' | 'nobody' = 'answers',
) {
  const said: string[] = [];
  const { a, b } = memoryLinkPair({
    hello: { standing: { role: 'primary', isGranted: false, spoken: term(1), logged: term(0) } },
  });
  const egress = {
    open: async () => void said.push('open'),
    announce: () => said.push('announce'),
    send: (card: number, frames: readonly Buffer[]) => said.push(`card ${card}: ${frames}`),
    close: async () => void said.push('close'),
  } as unknown as CardEgresses;
  const reporter = new Reporter();
  const outputs = new Outputs({ cards: 1, egress, serials: new SerialPorts([]), reporter });
  const reports = {
    machine: silent as (report: MachineReport) => void,
    copy: silent as (report: CopyReport) => void,
  };
  const machine = {
    handlers: {},
    figures: {},
    tick: silent,
    sendMarker: silent,
    destroy: () => queueMicrotask(() => reports.machine({ type: 'gone' })),
  } as unknown as RecordedMachine;
  const copy = {
    tick: silent,
    taken: { drainMs: 0, loadMs: 0, backlogBytes: 0, halted: { completions: 0 } },
    granted: silent,
    takeOver: () => reports.copy({ type: 'tookOver' }),
    destroy: () => queueMicrotask(() => reports.copy({ type: 'gone' })),
  } as unknown as CopiedMachine;
  const machines = {
    newMachine: (_: unknown, report: (report: MachineReport) => void) => {
      reports.machine = report;
      return { machine, outputs };
    },
    newCopy: ({ report }: { report: (report: CopyReport) => void }) => {
      reports.copy = report;
      return copy;
    },
    boot: async () => {
      said.push('boot');
      await boot;
    },
    begin: silent,
    machineGone: silent,
    speaks: () => said.push('speaks'),
    logged: () => term(0),
    canRestart: async () => false,
    checkBoot: silent,
  } as unknown as NodeDriverOptions['machines'];
  const reach = async () => {
    if (dial === 'nobody') throw new Error('nobody answers');
    return b;
  };
  const driver = new NodeDriver({
    core: {
      ...{
        node: 'b',
        holder: 'b:1',
        spoken: term(0),
        seen: term(0),
        startAnew: false,
        isPrepared: false,
      },
      ...{ ack: 'received', onBackupLost: 'runAlone', epochMs: 20, restartWaitMs: 0 },
      detector: { silenceMs: 60_000, heartbeatMs: 20_000 },
    },
    spoken: { save } as unknown as SpokenTerm,
    ...{ arbiter, machines, layout: layoutFor('7.2'), macs: ['52:54:00:00:00:01'] },
    ...{ peer: { dial: reach, watch: silent } },
    ...{ reporter, log: quiet },
    concerns: new Concerns({ reporter, log: quiet }),
  });
  /** The guest says something. */
  const speak = (text: string) => {
    outputs.push({ kind: 'nic', index: 0 }, Buffer.from(text));
    reports.machine({ type: 'outputs', count: 1 });
  };
  return { driver, said, reports, primary: a, speak };
}

/** A node that has just taken over from `a`, with a disk that does as `save` does. */
async function takenOver(save: () => Promise<void>) {
  const arbiter = new MemoryArbiter();
  await arbiter.compareAndSet(undefined, { term: term(1), holder: 'a:1' });
  const all = driving(arbiter, save);
  const outcome = all.driver.run();
  await vi.waitUntil(() => all.driver.state === 'seeding', { timeout: hangMs });
  all.reports.copy({ type: 'copyReady', seedId: '1.1' });
  all.primary.send({ kind: 'control', term: term(1), control: { type: 'grant' } });
  await vi.waitUntil(() => all.driver.state === 'protecting', { timeout: hangMs });
  all.primary.close('dies');
  await vi.waitUntil(() => all.driver.role === 'primary', { timeout: hangMs });
  return { ...all, outcome };
}

const off = { type: 'poweredOff', logEnd: 7 } as MachineReport;

it('first machine of a pair: it is remembered, boots, and is announced at once', async () => {
  const saved = withResolvers<void>();
  const { driver, said } = driving(new MemoryArbiter(), () => saved.promise, undefined, 'nobody');
  const outcome = driver.run();
  await vi.waitUntil(() => driver.state === 'booting', { timeout: hangMs });
  expect(said).toEqual([]);
  saved.resolve();
  await vi.waitUntil(() => said.includes('announce'), { timeout: hangMs });
  expect(said).toEqual(['boot', 'speaks', 'open', 'announce']);
  driver.stop();
  expect(await outcome).toBe('stopped');
  await driver.close();
  expect(said.at(-1)).toBe('close');
});

it('told to stop while its machine is started: that is waited for, and ended', async () => {
  const started = withResolvers<void>();
  const save = (): Promise<void> => Promise.resolve();
  const { driver, said } = driving(new MemoryArbiter(), save, started.promise, 'nobody');
  const outcome = driver.run();
  await vi.waitUntil(() => said.includes('boot'), { timeout: hangMs });
  driver.stop();
  expect(await outcome).toBe('stopped');
  const closed = driver.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(said).toEqual(['boot']);
  started.resolve();
  await closed;
  expect(said).toEqual(['boot', 'close']);
});

it('it took over: it is announced when its term is on the disk, and then says what waited', async () => {
  const saved = withResolvers<void>();
  const { driver, said, speak } = await takenOver(() => saved.promise);
  speak('held');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(said).toEqual([]);
  saved.resolve();
  await vi.waitUntil(() => said.includes('card 0: held'), { timeout: hangMs });
  expect(said).toEqual(['speaks', 'open', 'announce', 'card 0: held']);
  driver.stop();
  await driver.close();
});

it('its guest goes off before its term is on the disk: nobody hears of it before', async () => {
  // Goal: a switch that learns an address in a term that nobody remembers is an effect, too.
  const { driver, said, reports, speak, outcome } = await takenOver(() => new Promise(silent));
  speak('last words');
  reports.machine(off);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(said).toEqual([]);
  driver.stop();
  expect(await outcome).toBe('stopped');
  await driver.close();
  expect(said).toEqual(['close']);
});

it('its guest goes off, and then the disk takes its term: its last words are heard', async () => {
  const saved = withResolvers<void>();
  const { said, reports, speak, outcome } = await takenOver(() => saved.promise);
  speak('last words');
  reports.machine(off);
  saved.resolve();
  expect(await outcome).toBe('poweredOff');
  expect(said).toEqual(['speaks', 'open', 'announce', 'card 0: last words', 'close']);
});

it('its machine fails before its term is on the disk: it is not announced', async () => {
  const { driver, said, reports } = await takenOver(() => new Promise(silent));
  reports.machine({ type: 'machineFailed', reason: 'signal 9' });
  await vi.waitUntil(() => driver.role === 'none', { timeout: hangMs });
  expect(said.filter((what) => what !== 'close')).toEqual([]);
  driver.stop();
  await driver.close();
});

it('stopped while it waits for its arbiter: it ends without a place, and answers nobody', async () => {
  const away = new FaultyArbiter(new MemoryArbiter(), {
    nextFault: () => 'unreachable',
    wait: async () => undefined,
  });
  const { driver, said } = driving(away, () => Promise.resolve());
  const outcome = driver.run();
  await vi.waitUntil(() => driver.waitsFor !== undefined, { timeout: hangMs });
  expect(driver.waitsFor).toBe(
    'the arbiter gives no term: The arbiter is unreachable (a fault on purpose)',
  );
  driver.stop();
  expect(await outcome).toBe('stopped');
  await expect(driver.ask({ wish: 'drill' })).rejects.toThrow('This node ended: stopped');
  await driver.close();
  expect(said).toEqual([]);
});
