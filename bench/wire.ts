/**
 * The wire and the arbiter: throughput of log and bulk, and the time from a log frame to its ack,
 * between two processes over loopback; a compare-and-set on the disk of the temporary directory.
 *
 *   npx tsx bench/wire.ts [--json]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileArbiter } from '../src/arbiter/file.ts';
import { icount, logPosition, term } from '../src/base/units.ts';
import type { ArbiterState } from '../src/ports/arbiter.ts';
import type { AckFrame, Link, LogFrame } from '../src/ports/link.ts';
import { dial } from '../src/wire/dial.ts';
import { decodeFrame, encodeFrame } from '../src/wire/frames.ts';
import type { Identity } from '../src/wire/hello.ts';
import { listen } from '../src/wire/listener.ts';

const MiB = 1024 * 1024;

const identity = (node: string): Identity => ({
  node,
  pair: 'bench',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'bench',
  term: term(1),
});

const logOf = (from: number, payload: Buffer): LogFrame => ({
  kind: 'log',
  term: term(1),
  from: logPosition(from),
  to: logPosition(from + payload.length),
  icount: icount(from),
  rawBytes: payload.length,
  codec: 0,
  payload,
});

const ackOf = (position: number): AckFrame => ({
  kind: 'ack',
  term: term(1),
  received: logPosition(position),
  appliedIcount: icount(position),
});

/** The other process: takes everything and acknowledges each log frame. */
async function receive(): Promise<void> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity('b'),
    onLink: (link) => {
      link.onMessage((message) => {
        if (message.kind === 'log') link.send(ackOf(message.to));
        if (message.kind === 'blob' && message.last) link.send(ackOf(message.offset));
      });
      link.onClose(() => process.exit(0));
    },
  });
  process.send?.(listener.port);
}

class Acks {
  #position = 0;
  #wake: () => void = () => undefined;

  constructor(link: Link) {
    link.onMessage((message) => {
      if (message.kind !== 'ack') return;
      this.#position = message.received;
      this.#wake();
    });
  }

  async until(position: number): Promise<void> {
    while (this.#position < position) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  reset(): void {
    this.#position = 0;
  }
}

/** Sends `bytes` of log in frames of one size; returns frames a second. */
async function logRate(link: Link, acks: Acks, frameBytes: number, bytes: number): Promise<number> {
  const payload = Buffer.alloc(frameBytes, 1);
  const frames = Math.ceil(bytes / frameBytes);
  acks.reset();
  const start = performance.now();
  for (let i = 0; i < frames; i += 1) {
    link.send(logOf(i * frameBytes, payload));
    if (i % 64 === 63) await nextTurn();
    while (link.status().logQueuedBytes > 4 * MiB) await nextTurn();
  }
  await acks.until(frames * frameBytes);
  return frames / ((performance.now() - start) / 1000);
}

/** Sends `bytes` of bulk; returns bytes a second. */
async function bulkRate(link: Link, acks: Acks, bytes: number): Promise<number> {
  acks.reset();
  const start = performance.now();
  await sendBulk(link, bytes, () => false);
  await acks.until(bytes);
  return bytes / ((performance.now() - start) / 1000);
}

async function sendBulk(link: Link, bytes: number, stop: () => boolean): Promise<void> {
  const payload = Buffer.alloc(MiB / 4, 1);
  for (let offset = 0; offset < bytes && !stop(); offset += payload.length) {
    await link.ready();
    const last = offset + payload.length >= bytes;
    link.send({
      kind: 'blob',
      term: term(1),
      stream: 0,
      offset: last ? bytes : offset,
      last,
      payload,
    });
  }
}

/** Milliseconds from sending a small log frame to its ack, sorted. */
async function ackTimes(link: Link, acks: Acks, count: number): Promise<number[]> {
  const payload = Buffer.alloc(300, 1);
  const times: number[] = [];
  acks.reset();
  for (let i = 0; i < count; i += 1) {
    const start = performance.now();
    link.send(logOf(i * payload.length, payload));
    await acks.until((i + 1) * payload.length);
    times.push(performance.now() - start);
    const next = start + 0.5;
    while (performance.now() < next) await nextTurn();
  }
  return times.sort((a, b) => a - b);
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Microseconds to encode and decode one frame of 300 bytes of log. */
function codecMicros(): number {
  const frame = logOf(0, Buffer.alloc(300, 1));
  const rounds = 300_000;
  for (let i = 0; i < 20_000; i += 1) decodeFrame(encodeFrame(frame));
  const start = performance.now();
  for (let i = 0; i < rounds; i += 1) decodeFrame(encodeFrame(frame));
  return ((performance.now() - start) * 1000) / rounds;
}

async function casTimes(count: number): Promise<number[]> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'understudy-bench-'));
  const arbiter = new FileArbiter({ directory });
  await arbiter.setUp();
  const times: number[] = [];
  let current: ArbiterState | undefined;
  for (let i = 1; i <= count; i += 1) {
    const next = { term: term(i), holder: 'bench' };
    const start = performance.now();
    await arbiter.compareAndSet(current, next);
    times.push(performance.now() - start);
    current = next;
  }
  await arbiter.close();
  await rm(directory, { recursive: true });
  return times.sort((a, b) => a - b);
}

async function measure(port: number): Promise<Record<string, number>> {
  const link = await dial({ host: '127.0.0.1', port, identity: identity('a') });
  const acks = new Acks(link);
  await logRate(link, acks, 300, 4 * MiB); // warm up
  const small = await logRate(link, acks, 300, 24 * MiB);
  const large = await logRate(link, acks, 64 * 1024, 1024 * MiB);
  const bulk = await bulkRate(link, acks, 2048 * MiB);
  const idle = await ackTimes(link, acks, 2000);
  let stop = false;
  const flood = sendBulk(link, Number.MAX_SAFE_INTEGER, () => stop);
  const underBulk = await ackTimes(link, acks, 2000);
  stop = true;
  await flood;
  link.close('measured');
  const cas = await casTimes(300);
  return {
    codec_us: codecMicros(),
    log_300B_frames_per_s: small,
    log_300B_mb_per_s: (small * 300) / 1e6,
    log_64KiB_mb_per_s: (large * 65_536) / 1e6,
    blob_mb_per_s: bulk / 1e6,
    ack_ms_p50: quantile(idle, 0.5),
    ack_ms_p99: quantile(idle, 0.99),
    ack_under_bulk_ms_p50: quantile(underBulk, 0.5),
    ack_under_bulk_ms_p99: quantile(underBulk, 0.99),
    cas_ms_p50: quantile(cas, 0.5),
    cas_ms_p99: quantile(cas, 0.99),
  };
}

async function main(): Promise<void> {
  const script = fileURLToPath(import.meta.url);
  const child: ChildProcess = fork(script, ['receive'], { execArgv: ['--import', 'tsx'] });
  const port = await new Promise<number>((resolve) =>
    child.once('message', (message) => resolve(Number(message))),
  );
  const result = await measure(port);
  const rounded = Object.entries(result).map(
    ([name, value]) => [name, Number(value.toPrecision(4))] as const,
  );
  if (process.argv.includes('--json')) console.log(JSON.stringify(Object.fromEntries(rounded)));
  else console.log(`wire: ${rounded.map(([name, value]) => `${name}=${value}`).join(' ')}`);
  if (child.connected) child.disconnect();
}

await (process.argv[2] === 'receive' ? receive() : main());
