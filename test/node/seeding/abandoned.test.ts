// A seed whose log cannot be kept is given up by the backup, says why, and is not tried again at
// once; the primary hears of it in time.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { logPosition, term } from '../../../src/base/units.ts';
import type { VmConfig } from '../../../src/hypervisor/config.ts';
import { BackupRole, type BackupRoleOptions } from '../../../src/node/backup-role.ts';
import type { Terms } from '../../../src/node/claims.ts';
import type { Logger } from '../../../src/node/logger.ts';
import { LogShipper } from '../../../src/node/machine/log-shipper.ts';
import { type NodeEvent, Reporter } from '../../../src/node/report.ts';
import { SeedRemains } from '../../../src/node/seeding/remains.ts';
import type { Control, SeedBegin } from '../../../src/ports/link.ts';
import { DurableLogReader } from '../../../src/restore/durable-log.ts';
import { encodeEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../../src/rrlog/packer.ts';
import { memoryLinkPair } from '../../doubles/memory-pair.ts';
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

/** A backup role at one end of a link, what it says on it, and what it reports. */
function backup(logs: Pick<BackupRoleOptions, 'spool' | 'durableLog'>) {
  const { a, b } = memoryLinkPair();
  const heard: Control[] = [];
  const acks: number[] = [];
  a.onMessage((message) => {
    if (message.kind === 'control') heard.push(message.control);
    if (message.kind === 'ack') acks.push(message.received);
  });
  const reporter = new Reporter();
  const events: NodeEvent[] = [];
  reporter.events.subscribe((event) => events.push(event));
  const silent = () => undefined;
  const role = new BackupRole({
    vm: {} as VmConfig, // nothing is started: no seed is ever complete here
    layout,
    dir,
    pidDir: dir,
    ramFile: path.join(dir, 'ram'),
    diskImages: {},
    link: b,
    term: term(1),
    detector: { silenceMs: 60_000, heartbeatMs: 20_000 },
    terms: {} as Terms,
    remains: new SeedRemains(),
    ...logs,
    recorderHandlers: { onSegment: silent, onError: silent },
    prepareToSpeak: () => Promise.resolve(),
    reporter,
    log: { info: silent, warn: silent, error: silent } as unknown as Logger,
  });
  const send = (control: Control) => a.send({ kind: 'control', term: term(1), control });
  send(begin);
  const cut = { deviceStateBytes: 1, logPosition: from, icount: 0 as never };
  send({ ...begin, ...cut, type: 'seedOffer' });
  return { role, heard, acks, events, send, shipper: new LogShipper(a, layout, term(1), from) };
}

it('a spool that is full: the primary is told how full it gets, then that the seed is over', async () => {
  const { role, heard, events, shipper } = backup({
    spool: { path: path.join(dir, 'spool'), budgetBytes: 20_000 },
  });
  const log = segments(20);
  for (const segment of log.slice(0, 8)) shipper.ship(segment);
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedSpool'));
  for (const segment of log.slice(8)) shipper.ship(segment);

  const outcome = await role.ended;
  expect(outcome).toMatchObject({ kind: 'discarded', interrupted: '1.1', pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'));
  expect(heard.at(-1)).toMatchObject({ type: 'seedFailed', seedId: '1.1' });
  expect(JSON.stringify(heard.at(-1))).toContain('of 20000 are used');
  const abandoned = events.find(({ type }) => type === 'seedAbandoned');
  expect(abandoned).toMatchObject({ pauseMs: 2000 });
  expect(fs.existsSync(path.join(dir, 'spool'))).toBe(false);
});

const spool = { path: path.join(dir, 'spool'), budgetBytes: 1e9 };

it('a disk that fails a flush: the copy is given up, and the primary is told why', async () => {
  const durableLog = {
    path: path.join(dir, 'durable-log'),
    budgetBytes: 1e9,
    flush: () => Promise.reject(new Error('EIO: i/o error, fdatasync')),
  };
  const { role, heard, shipper } = backup({ spool, durableLog });
  for (const segment of segments(1)) shipper.ship(segment);
  const outcome = await role.ended;
  const reason = 'Cannot make log durable: EIO: i/o error, fdatasync';
  expect(outcome).toMatchObject({ kind: 'discarded', reason, pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'));
  expect(heard.at(-1)).toMatchObject({ type: 'seedFailed', seedId: '1.1', reason });
});

it('a durable log that cannot be begun: the same, before any log was taken', async () => {
  const durableLog = { path: path.join(dir, 'not-there/durable-log'), budgetBytes: 1e9 };
  const { role, heard } = backup({ spool, durableLog });
  expect(await role.ended).toMatchObject({ kind: 'discarded', pauseMs: 2000 });
  await vi.waitUntil(() => heard.some(({ type }) => type === 'seedFailed'));
  expect(JSON.stringify(heard.at(-1))).toContain("Cannot keep log in '");
});

it('the durable log has what the primary shipped, where it begins, and where the primary stood still', async () => {
  const durableLog = { path: path.join(dir, 'durable-log'), budgetBytes: 1e9 };
  const { role, shipper, acks, send } = backup({ spool, durableLog });
  const shipped = segments(5);
  for (const segment of shipped.slice(0, 2)) shipper.ship(segment);
  send({ type: 'resumed', position: shipped[1]?.to ?? from });
  for (const segment of shipped.slice(2, 4)) shipper.ship(segment);
  const { to: position = from, icount = 0 as never } = shipped[3] ?? {};
  const digest = { deviceState: '0', ram: [] }; // nothing is compared: there is no copy yet
  send({ type: 'cut', cutId: '1', position, icount, deviceStateBytes: 1, digest });
  for (const segment of shipped.slice(4)) shipper.ship(segment);
  await vi.waitUntil(() => {
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
  });
  expect(acks.filter((position) => position > 0)).toEqual([]); // it executes nothing yet
  await role.stop();
});

it('the durable log has the primary’s judgement of its clock at a cut where the copy may have judged too', async () => {
  const durableLog = { path: path.join(dir, 'durable-log'), budgetBytes: 1e9 };
  const { role, shipper, send } = backup({ spool, durableLog });
  const [judgements, digest] = [['aa', 'bb', 'cc'], { deviceState: '0', ram: [] }];
  const shipped = segments(4, 1); // the second cut's machine was re-armed while it stood still
  for (const [number, segment] of shipped.entries()) {
    shipper.ship(segment);
    const { to: position, icount } = segment;
    const judgement = (judgements[number] ?? 'dd').repeat(26);
    const cut = { type: 'cut', cutId: `${number}`, position, icount, digest } as const;
    send({ ...cut, deviceStateBytes: 1, judgement });
  }
  await vi.waitUntil(() => {
    const reader = new DurableLogReader(durableLog.path);
    const found: (string | undefined)[] = [];
    for (let next = reader.read(); next !== undefined; next = reader.read()) {
      if (next.kind === 'cut') found.push(next.judgement);
    }
    void reader.close();
    if (found.length < shipped.length) return false;
    expect(found).toEqual([undefined, 'bb'.repeat(26), undefined, undefined]);
    return true;
  });
  await role.stop();
});
