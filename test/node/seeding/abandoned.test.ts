// A seed whose log cannot be kept is given up by the backup, says why, and is not tried again at
// once; the primary hears of it in time.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { logPosition, millis, term } from '../../../src/base/units.ts';
import { withResolvers } from '../../../src/base/with-resolvers.ts';
import { type BackupEnd, BackupNode } from '../../../src/core/backup-node.ts';
import type { NodeEffect, NodeEvent, Note } from '../../../src/core/effects.ts';
import { rules } from '../../../src/core/rules.ts';
import type { VmConfig } from '../../../src/hypervisor/config.ts';
import type { Logger } from '../../../src/node/logger.ts';
import { CopiedMachine, type CopiedMachineOptions } from '../../../src/node/machine/copied.ts';
import { LogShipper } from '../../../src/node/machine/log-shipper.ts';
import { Reporter } from '../../../src/node/report.ts';
import { SeedRemains } from '../../../src/node/seeding/remains.ts';
import type { Control, SeedBegin } from '../../../src/ports/link.ts';
import { DurableLogReader } from '../../../src/restore/durable-log.ts';
import { encodeEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../../src/rrlog/packer.ts';
import { memoryLinkPair } from '../../doubles/memory-pair.ts';
import { hangMs } from '../../time.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
const layout = layoutFor('7.2');
const from = logPosition(12);
const begin: SeedBegin = { type: 'seedBegin', seedId: '1.1', ramBytes: 65_536, disks: [] };

/** A stopped machine re-arms the timer that judges its clock. */
const rearming = Buffer.concat([
  encodeEvent(layout, { kind: 'checkpoint', checkpoint: 'clock-virtual-rt' }),
  ...Array.from({ length: 3 }, () =>
    encodeEvent(layout, { kind: 'clock', clock: 'virtual-rt', value: 500n }),
  ),
]);

/**
 * Log as a recorder writes it: clock readings, which nothing makes smaller; `rearmedIn`: a segment.
 */
function segments(count: number, rearmedIn?: number): Segment[] {
  const start = { position: from, icount: 0 as never };
  const tail = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 1, start });
  return Array.from({ length: count }, (_, number) => {
    const readings = Array.from({ length: 200 }, (_unused, index) =>
      encodeEvent(layout, { kind: 'clock', clock: 'host', value: BigInt(number * index) }),
    );
    const step = encodeEvent(layout, { kind: 'instruction', count: 1 });
    const end = number === rearmedIn ? [rearming] : [];
    return tail.push(Buffer.concat([step, ...readings, ...end])) as Segment;
  });
}

interface Outcome {
  readonly end: BackupEnd;
  readonly pauseMs: number;
  /** Why the copy was discarded. */
  readonly reason: string;
}

/** The core of a backup and its copy at one end of a link, joined as a node's driver does it. */
function backup(logs: Pick<CopiedMachineOptions, 'spool' | 'durableLog'>) {
  const { a, b } = memoryLinkPair();
  const heard: Control[] = [];
  const acks: number[] = [];
  a.onMessage((message) => {
    if (message.kind === 'control') heard.push(message.control);
    if (message.kind === 'ack') acks.push(message.received);
  });
  const remains = new SeedRemains();
  const silent = () => undefined;
  const notes: Note[] = [];
  const [ended, gone] = [withResolvers<Outcome>(), withResolvers<void>()];
  let copy: CopiedMachine | undefined;
  let reason = '';
  let room: void | Promise<void>;
  const perform = (effect: NodeEffect): void => {
    if (effect.type === 'makeCopy') {
      copy = new CopiedMachine({
        vm: {} as VmConfig, // nothing is started: no seed is ever complete here
        layout,
        dir: path.join(dir, 'machine'), // it goes with the copy
        pidDir: dir,
        ramFile: path.join(dir, 'ram'),
        diskImages: {},
        link: b,
        term: effect.term,
        remains,
        ...logs,
        recorderHandlers: { onSegment: silent, onError: silent },
        prepareToSpeak: () => Promise.resolve(),
        report: (report) => {
          if (report.type === 'gone') gone.resolve();
          else step(report);
        },
        reporter: new Reporter(),
        log: { info: silent, warn: silent, error: silent } as unknown as Logger,
      });
    }
    if (effect.type === 'feed') room = copy?.take(effect.message);
    if (effect.type === 'compare') {
      copy?.compare(effect.cut);
      // There is no replica that could find anything: what it would say lets the next cut come.
      step({ type: 'compared', cutId: effect.cut.cutId, differences: [] });
    }
    if (effect.type === 'discardCopy') {
      reason = effect.reason;
      copy?.destroy();
    }
    if (effect.type === 'send') b.send(effect.message);
    if (effect.type === 'closeLink') b.close(effect.reason);
    if (effect.type === 'noted') notes.push(effect.what);
  };
  const effects: NodeEffect[] = [];
  const performAll = (): void => {
    for (let todo = effects.shift(); todo !== undefined; todo = effects.shift()) perform(todo);
  };
  const core = new BackupNode(
    {
      link: 1,
      hello: { node: 'a', term: term(1) },
      ack: logs.durableLog === undefined ? 'received' : 'durable',
      detector: { silenceMs: 60_000, heartbeatMs: 20_000 },
      rules,
      emit: (effect) => effects.push(effect),
      claim: silent,
      onEnd: (end, pauseMs) => {
        performAll();
        ended.resolve({ end, pauseMs, reason });
      },
    },
    millis(performance.now()),
  );
  const events: NodeEvent[] = [];
  let isStepping = false;
  const step = (event: NodeEvent): void => {
    events.push(event);
    if (isStepping) return;
    isStepping = true;
    try {
      for (let next = events.shift(); next !== undefined; next = events.shift()) {
        core.step(next, millis(performance.now()));
        performAll();
      }
    } finally {
      isStepping = false;
    }
  };
  performAll();
  b.onMessage((message) => {
    room = undefined;
    step({ type: 'message', link: 1, message });
    return room;
  });
  const send = (control: Control) => a.send({ kind: 'control', term: term(1), control });
  send(begin);
  const cut = { deviceStateBytes: 1, logPosition: from, icount: 0 as never };
  send({ ...begin, ...cut, type: 'seedOffer' });
  const shipper = new LogShipper(a, layout);
  return {
    ...{ heard, acks, notes, send, remains },
    ...{ ended: ended.promise, gone: gone.promise },
    ship: (segment: Segment) => shipper.ship(segment, term(1), false),
    tick: () => copy?.tick(),
    stop: async () => {
      copy?.destroy();
      await gone.promise;
    },
  };
}

it('a spool that is full: the primary is told how full it gets, then that the seed is over', async () => {
  const { heard, notes, ship, tick, ended, gone, remains } = backup({
    spool: { path: path.join(dir, 'spool'), budgetBytes: 20_000 },
    durableLog: undefined,
  });
  const log = segments(20);
  for (const segment of log.slice(0, 8)) ship(segment);
  const isTold = (): boolean => {
    tick();
    return heard.some(({ type }) => type === 'seedSpool');
  };
  await vi.waitUntil(isTold, { timeout: hangMs });
  for (const segment of log.slice(8)) ship(segment);

  expect(await ended).toMatchObject({ end: 'discarded', pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'), { timeout: hangMs });
  expect(heard.at(-1)).toMatchObject({ type: 'seedFailed', seedId: '1.1' });
  expect(JSON.stringify(heard.at(-1))).toContain('of 20000 are used');
  const abandoned = notes.find(({ type }) => type === 'seedAbandoned');
  expect(abandoned).toMatchObject({ pauseMs: 2000 });
  await gone;
  expect(fs.existsSync(path.join(dir, 'spool'))).toBe(false);
  // The next seed goes on from the RAM that this one left.
  const kept = remains.moveTo(path.join(dir, 'next.ram'), begin.ramBytes);
  expect(kept).toMatchObject({ interrupted: '1.1' });
});

const spool = { path: path.join(dir, 'spool'), budgetBytes: 1e9 };

it('a disk that fails a flush: the copy is given up, and the primary is told why', async () => {
  const durableLog = {
    path: path.join(dir, 'durable-log'),
    budgetBytes: 1e9,
    flush: () => Promise.reject(new Error('EIO: i/o error, fdatasync')),
  };
  const { heard, ship, ended } = backup({ spool, durableLog });
  for (const segment of segments(1)) ship(segment);
  const outcome = await ended;
  const reason = 'Cannot make log durable: EIO: i/o error, fdatasync';
  expect(outcome).toMatchObject({ end: 'discarded', reason, pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'), { timeout: hangMs });
  expect(heard.at(-1)).toMatchObject({ type: 'seedFailed', seedId: '1.1', reason });
});

it('a durable log that cannot be begun: the same, before any log was taken', async () => {
  const durableLog = { path: path.join(dir, 'not-there/durable-log'), budgetBytes: 1e9 };
  const { heard, ended } = backup({ spool, durableLog });
  expect(await ended).toMatchObject({ end: 'discarded', pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'), { timeout: hangMs });
  expect(JSON.stringify(heard.at(-1))).toContain("Cannot keep log in '");
});

it('the durable log has what the primary shipped, where it begins, and where the primary stood still', async () => {
  const durableLog = { path: path.join(dir, 'durable-log'), budgetBytes: 1e9 };
  const { stop, ship, acks, send } = backup({ spool, durableLog });
  const shipped = segments(5);
  for (const segment of shipped.slice(0, 2)) ship(segment);
  send({ type: 'resumed', position: shipped[1]?.to ?? from });
  for (const segment of shipped.slice(2, 4)) ship(segment);
  const { to: position = from, icount = 0 as never } = shipped[3] ?? {};
  const digest = { ram: [] }; // nothing is compared: there is no copy yet
  send({ type: 'cut', cutId: '1', position, icount, deviceStateBytes: 1, digest });
  for (const segment of shipped.slice(4)) ship(segment);
  await vi.waitUntil(
    () => {
      const reader = new DurableLogReader(durableLog.path);
      const unpacker = new SegmentUnpacker(layout);
      const found: Buffer[] = [];
      const kinds: string[] = [];
      for (let next = reader.read(); next !== undefined; next = reader.read()) {
        kinds.push(next.kind);
        if (next.kind === 'frame') found.push(unpacker.unpack(next.payload));
        if (next.kind === 'cut') expect(next).toMatchObject({ position, icount });
      }
      void reader.close();
      if (found.length < shipped.length) return false;
      expect(reader.base).toMatchObject({ term: 1, seedId: '1.1', position: from, layout: '7.2' });
      expect(found).toEqual(shipped.map(({ bytes }) => bytes));
      expect(kinds).toEqual(['frame', 'frame', 'resumed', 'frame', 'frame', 'cut', 'frame']);
      return true;
    },
    { timeout: hangMs },
  );
  expect(acks.filter((position) => position > 0)).toEqual([]); // it executes nothing yet
  await stop();
});

it('the durable log has the primary’s judgement of its clock at a cut where the copy may have judged too', async () => {
  const durableLog = { path: path.join(dir, 'durable-log'), budgetBytes: 1e9 };
  const { stop, ship, send } = backup({ spool, durableLog });
  const [judgements, digest] = [['aa', 'bb', 'cc'], { ram: [] }];
  const shipped = segments(4, 1); // the second cut's machine was re-armed while it stood still
  for (const [number, segment] of shipped.entries()) {
    ship(segment);
    const { to: position, icount } = segment;
    const judgement = (judgements[number] ?? 'dd').repeat(26);
    const cut = { type: 'cut', cutId: `${number}`, position, icount, digest } as const;
    send({ ...cut, deviceStateBytes: 1, judgement });
  }
  await vi.waitUntil(
    () => {
      const reader = new DurableLogReader(durableLog.path);
      const found: (string | undefined)[] = [];
      for (let next = reader.read(); next !== undefined; next = reader.read()) {
        if (next.kind === 'cut') found.push(next.judgement);
      }
      void reader.close();
      if (found.length < shipped.length) return false;
      expect(found).toEqual([undefined, 'bb'.repeat(26), undefined, undefined]);
      return true;
    },
    { timeout: hangMs },
  );
  await stop();
});
