/**
 * Section: bytes a second through the parser, the packer and the wire, of a log that was really
 * recorded.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { icount, logPosition, term } from '../../base/units.ts';
import type { Link } from '../../ports/link.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { LogTail } from '../../rrlog/log-tail.ts';
import { SegmentPacker } from '../../rrlog/packer.ts';
import { EventLogReader } from '../../rrlog/reader.ts';
import { dial } from '../../wire/dial.ts';
import type { Identity } from '../../wire/hello.ts';
import { listen } from '../../wire/listener.ts';
import type { ThroughputRun } from '../results.ts';
import { benchLimits } from './limits.ts';
import type { Session } from './session.ts';

export async function measureThroughput(
  session: Session,
  segments: readonly Buffer[],
  layout: Layout,
): Promise<void> {
  session.status('parser, packer and wire');
  const log = Buffer.concat(enough(segments));
  const some = enough(segments, benchLimits.packBytes);
  const someBytes = some.reduce((sum, { length }) => sum + length, 0);
  const recorded = `${(log.length / 1e6).toFixed(0)} MB of recorded log`;
  const rates: readonly (readonly [ThroughputRun['part'], string, number])[] = [
    ['parser', recorded, best(log.length, () => parse(log, layout))],
    ['tail', recorded, best(log.length, () => follow(log, layout))],
    [
      'packer',
      `${some.length} segments as they were sent`,
      best(someBytes, () => pack(some, layout)),
    ],
    ['wire', 'loopback, both ends in one process', await wireRate()],
  ];
  for (const [part, input, bytesPerSecond] of rates) {
    session.results.throughput.push({ part, input, bytesPerSecond });
  }
}

/** Segments up to so many bytes. */
function enough(segments: readonly Buffer[], bytesMax: number = benchLimits.parseBytes): Buffer[] {
  const taken: Buffer[] = [];
  let bytes = 0;
  for (const segment of segments) {
    if (bytes >= bytesMax) break;
    taken.push(segment);
    bytes += segment.length;
  }
  return taken;
}

/** Best of a few: the others are the machine's noise. */
function best(bytes: number, run: () => void): number {
  let seconds = Number.POSITIVE_INFINITY;
  for (let times = 0; times < benchLimits.throughputRuns; times += 1) {
    const begun = performance.now();
    run();
    seconds = Math.min(seconds, (performance.now() - begun) / 1000);
  }
  return bytes / seconds;
}

function parse(log: Buffer, layout: Layout): void {
  const reader = new EventLogReader({ layout, expectHeader: false });
  for (let at = 0; at < log.length; at += benchLimits.readBytes) {
    reader.push(log.subarray(at, at + benchLimits.readBytes));
    while (reader.next());
  }
}

function follow(log: Buffer, layout: Layout): void {
  // No card has this id: nothing is taken for a marker.
  const tail = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 255 });
  for (let at = 0; at < log.length; at += benchLimits.readBytes) {
    tail.push(log.subarray(at, at + benchLimits.readBytes));
  }
}

function pack(segments: readonly Buffer[], layout: Layout): void {
  const packer = new SegmentPacker(layout);
  for (const segment of segments) packer.pack(segment);
}

const identity = (node: string): Identity => ({
  node,
  pair: 'bench',
  qemu: 'none',
  logLayout: '7.2',
  vmFingerprint: 'bench',
  term: term(1),
});

/** Log frames to a listener that acknowledges each one, until the last ack. */
async function wireRate(): Promise<number> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity('b'),
    onLink: (link) => {
      link.onMessage((message) => {
        if (message.kind === 'log') link.send(ackOf(message.to));
      });
    },
  });
  try {
    const { port } = listener;
    const link = await dial({ host: '127.0.0.1', port, identity: identity('a') });
    try {
      return await sendLog(link);
    } finally {
      link.close('done');
    }
  } finally {
    await listener.close();
  }
}

async function sendLog(link: Link): Promise<number> {
  const payload = Buffer.alloc(benchLimits.wireFrameBytes, 1);
  const total = benchLimits.wireBytes;
  const acknowledged = new Promise<void>((resolve) => {
    link.onMessage((message) => {
      if (message.kind === 'ack' && message.received >= total) resolve();
    });
  });
  const begun = performance.now();
  for (let from = 0; from < total; from += payload.length) {
    const to = from + payload.length;
    link.send({
      kind: 'log',
      term: term(1),
      from: logPosition(from),
      to: logPosition(to),
      icount: icount(to),
      rawBytes: payload.length,
      codec: 0,
      payload,
    });
    while (link.status().logQueuedBytes > benchLimits.wireQueueBytes) await nextTurn();
  }
  await acknowledged;
  return total / ((performance.now() - begun) / 1000);
}

const ackOf = (position: number) =>
  ({
    kind: 'ack',
    term: term(1),
    received: logPosition(position),
    appliedIcount: icount(position),
  }) as const;
