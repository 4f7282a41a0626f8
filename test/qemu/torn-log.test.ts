// A primary that is killed leaves half an event at the end of its log. The backup executes what is
// whole, proves it, and goes on; the torn event never reaches a machine.
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RequestTracker } from '../../src/rrlog/inflight.ts';
import { segmentReader } from '../../src/rrlog/reader.ts';
import { Lab } from './harness/lab.ts';
import type { Copy, Machine } from './harness/machine.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

/**
 * The bytes of a recorder's file. What was followed is given back to the file system after a
 * while, so they are read as they come.
 */
class RawLog {
  readonly #from: number;
  readonly #fd: number;
  readonly #chunks: Buffer[] = [];
  #at: number;

  constructor(machine: Machine) {
    this.#from = machine.recorder.position;
    this.#at = this.#from;
    this.#fd = fs.openSync(machine.logFile, 'r');
    machine.onSegment(() => this.readOn());
    lab.onClose(async () => fs.closeSync(this.#fd));
  }

  readOn(): void {
    const rest = Buffer.alloc(fs.fstatSync(this.#fd).size - this.#at);
    this.#at += fs.readSync(this.#fd, rest, 0, rest.length, this.#at);
    this.#chunks.push(rest);
  }

  behind(position: number): Buffer {
    return Buffer.concat(this.#chunks).subarray(position - this.#from);
  }
}

/** What a backup makes of `bytes`: a run of whole events, and what is left over. */
function receive(copy: Copy, bytes: Buffer) {
  const requests = new RequestTracker(copy.cut.replay.blockRequestId);
  const tail = copy.newTail('raw', requests);
  const segment = tail.push(bytes);
  return { requests, segment, icount: tail.icount, tornBytes: tail.pendingBytes };
}

test('the primary dies with a torn event at the end of its log', async () => {
  const machine = await lab.booted();
  const log = new RawLog(machine);
  const copy = await machine.seed({ follow: false });
  await machine.console.run('work syncwrite 5; work fork 2; echo before > /data/torn; sync');
  const promised = machine.recorder.icount;
  await new Promise<void>((resolve) => {
    machine.onSegment(({ markers }) => markers.length > 0 && resolve());
  });
  await machine.kill();
  log.readOn();

  let bytes = log.behind(copy.cut.position);
  expect(bytes.length).toBeGreaterThan(10_000);
  const whole = receive(copy, bytes);
  expect(whole.icount).toBe(machine.recorder.icount);
  // As the disk of the log's buffer may have ended with a whole event: tear the last one.
  while (receive(copy, bytes).tornBytes === 0) bytes = bytes.subarray(0, -1);

  const torn = receive(copy, bytes);
  expect(torn.icount).toBeGreaterThanOrEqual(promised);
  copy.replayer.feed(torn.segment?.bytes ?? Buffer.alloc(0));
  const { machine: heir } = await copy.takeOver(torn.icount, torn.requests);
  expect(await heir.console.run('cat /data/torn')).toContain('before');
  expect([...heir.errors, ...copy.errors]).toEqual([]);
});

/** A console write in the middle of what was printed last: an instruction, and what it wrote. */
function aWrite(bytes: Buffer) {
  const { layout } = lab;
  const reader = segmentReader(layout);
  let writes: { instruction: number; write: number; end: number }[] = [];
  let run: { from: number; to: number } | undefined;
  reader.push(bytes);
  while (reader.next()) {
    const { eventOffset: from, nextOffset: to, kind } = reader;
    if (kind === layout.first['char-read']) writes = []; // what came before was an echo
    if (kind === layout.first['char-write'] && run?.to === from) {
      writes.push({ instruction: run.from, write: from, end: to });
    }
    run = kind === layout.first.instruction ? { from, to } : undefined;
  }
  const found = writes[Math.floor(writes.length / 2)];
  if (found === undefined) throw new Error('the guest wrote nothing to its console');
  return found;
}

test.each([
  ['before the instruction that writes', (at: ReturnType<typeof aWrite>) => at.instruction],
  ['in the middle of that', ({ instruction }) => instruction + 3],
  ['behind it, before its write', ({ write }) => write],
  ['in the middle of the write', ({ write }) => write + 4],
  ['behind the write', ({ end }) => end],
])('the primary dies while its guest prints, and its log ends %s', async (_name, cutAt) => {
  const machine = await lab.booted();
  const log = new RawLog(machine);
  const copy = await machine.seed({ follow: false });
  await machine.console.run('seq 200');
  await machine.kill();
  log.readOn();
  const bytes = log.behind(copy.cut.position);
  const whole = receive(copy, bytes).segment?.bytes ?? Buffer.alloc(0);
  const ended = whole.subarray(0, cutAt(aWrite(whole)));

  const requests = new RequestTracker(copy.cut.replay.blockRequestId);
  const tail = copy.newTail('stripped', requests);
  const segment = tail.push(ended);
  copy.replayer.feed(segment?.bytes ?? Buffer.alloc(0));
  const { machine: heir } = await copy.takeOver(tail.icount, requests);
  await heir.console.run('true'); // what it had still to print may end that at once
  expect(await heir.console.run('seq 7 3 10')).toContain('\r\n10\r\n');
  expect([...heir.errors, ...copy.errors]).toEqual([]);
});
