/**
 * The contract of the port `Link`, as tests: every implementation passes the same ones.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';
import type {
  AckFrame,
  BlobFrame,
  Control,
  ControlFrame,
  Link,
  LinkClosed,
  LinkMessage,
  LogFrame,
} from '../../src/ports/link.ts';
import { wireLimits } from '../../src/wire/limits.ts';

export interface LinkPairUnderTest {
  readonly a: Link;
  readonly b: Link;
  /** Breaks the connection without a word. */
  break(): void;
  cleanUp(): Promise<void>;
}

export const logFrame = (from: number, payload: Uint8Array = Buffer.from('log')): LogFrame => ({
  kind: 'log',
  term: term(3),
  from: logPosition(from),
  to: logPosition(from + payload.length),
  icount: icount(from * 10),
  rawBytes: payload.length,
  codec: 0,
  payload,
});

export const blobFrame = (offset: number, payload: Uint8Array, last = false): BlobFrame => ({
  kind: 'blob',
  term: term(3),
  stream: 1,
  offset,
  last,
  payload,
});

const ackFrame = (position: number): AckFrame => ({
  kind: 'ack',
  term: term(3),
  received: logPosition(position),
  appliedIcount: icount(0),
});

export const controlFrame = (control: Control): ControlFrame => ({
  kind: 'control',
  term: term(3),
  control,
});

const sayFailed = (reason: string): ControlFrame =>
  controlFrame({ type: 'seedFailed', seedId: '1', reason });

/** Collects what arrives and lets a test wait for a number of messages. */
export class Collector {
  readonly messages: LinkMessage[] = [];
  readonly closed: LinkClosed[] = [];
  #wake: (() => void) | undefined;

  constructor(link: Link, take: (message: LinkMessage) => void | Promise<void> = () => undefined) {
    link.onMessage((message) => {
      this.messages.push(message);
      this.#wake?.();
      return take(message);
    });
    link.onClose((closed) => {
      this.closed.push(closed);
      this.#wake?.();
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  untilMessages(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count);
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed.length > 0);
  }
}

/** Waits until the credit that `receiver` granted has reached `sender`. */
export async function creditArrived(sender: Link, receiver: Link): Promise<void> {
  const before = sender.status().receivedBytes;
  receiver.send(controlFrame({ type: 'heartbeat', sentAtMs: 0 }));
  while (sender.status().receivedBytes < before + 30) await turns(1);
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) await new Promise<void>((resolve) => setImmediate(resolve));
};

export function describeLinkContract(
  name: string,
  makePair: () => Promise<LinkPairUnderTest>,
): void {
  describe(`the link contract: ${name}`, () => {
    let pair: LinkPairUnderTest | undefined;

    afterEach(async () => {
      await pair?.cleanUp();
      pair = undefined;
    });

    const connect = async (): Promise<LinkPairUnderTest> => {
      pair = await makePair();
      return pair;
    };

    it('carries every kind of message unaltered, both ways', async () => {
      const { a, b } = await connect();
      const sent: LinkMessage[] = [
        logFrame(12, Buffer.from([0, 1, 2, 255])),
        ackFrame(Number.MAX_SAFE_INTEGER),
        controlFrame({ type: 'heartbeat', sentAtMs: 12.5, echo: { sentAtMs: 1, heldMs: 0.25 } }),
        controlFrame({ type: 'grant' }),
        controlFrame({
          type: 'seedOffer',
          seedId: 's1',
          ramBytes: 2 ** 40,
          deviceStateBytes: 100_000,
          disks: [{ id: 'd0', bytes: 2 ** 33 }],
          logPosition: logPosition(2 ** 50),
          icount: icount(2 ** 52),
        }),
        blobFrame(2 ** 40, Buffer.alloc(1000, 7), true),
      ];
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const collector = new Collector(to);
        for (const message of sent) from.send(message);
        await collector.untilMessages(sent.length);
        const byKind = (messages: LinkMessage[]): string[] =>
          messages.map((message) => JSON.stringify(message)).sort();
        expect(byKind(collector.messages)).toEqual(byKind(sent));
      }
    });

    it('keeps the order of log, acks and control messages', async () => {
      const { a, b } = await connect();
      const collector = new Collector(b);
      const sent: LinkMessage[] = [];
      for (let i = 0; i < 3000; i += 1) {
        const message = i % 7 === 0 ? sayFailed(`${i}`) : logFrame(i, Buffer.alloc(i % 900, i));
        sent.push(message);
        a.send(message);
      }
      await collector.untilMessages(sent.length);
      // Compared as text: a deep comparison of so many takes seconds.
      const asText = (messages: LinkMessage[]): string[] =>
        messages.map((m) => `${m.kind} ${m.kind === 'log' ? m.from : JSON.stringify(m)}`);
      expect(asText(collector.messages)).toEqual(asText(sent));
    });

    it('lets log overtake bulk that waits, and keeps the order of bulk', async () => {
      const { a, b } = await connect();
      const collector = new Collector(b);
      await creditArrived(a, b);
      const piece = Buffer.alloc(wireLimits.blobPayloadBytes, 1);
      const pieces = 14;
      for (let i = 0; i < pieces; i += 1) a.send(blobFrame(i * piece.length, piece));
      a.send(logFrame(0));
      await collector.untilMessages(pieces + 1);
      const arrivedAt = collector.messages.findIndex((message) => message.kind === 'log');
      // In front of it: at most what the connection held already.
      expect(arrivedAt).toBeLessThanOrEqual(3);
      const offsets = collector.messages.flatMap((m) => (m.kind === 'blob' ? [m.offset] : []));
      expect(offsets).toEqual(Array.from({ length: pieces }, (_, i) => i * piece.length));
    });

    it('never lets bulk overtake a control message sent before it', async () => {
      const { a, b } = await connect();
      const collector = new Collector(b);
      await creditArrived(a, b);
      for (let i = 0; i < 40; i += 1) {
        a.send(logFrame(i, Buffer.alloc(200_000)));
        if (i % 10 === 0) a.send(sayFailed(`${i}`));
        if (i % 10 === 1) a.send(blobFrame(i, Buffer.alloc(1000)));
      }
      await collector.untilMessages(48);
      for (const number of [0, 10, 20, 30]) {
        const control = collector.messages.findIndex(
          (m) =>
            m.kind === 'control' &&
            m.control.type === 'seedFailed' &&
            m.control.reason === `${number}`,
        );
        const blob = collector.messages.findIndex(
          (m) => m.kind === 'blob' && m.offset === number + 1,
        );
        expect(control).toBeLessThan(blob);
      }
    });

    it('hands over what arrived before there was a handler', async () => {
      const { a, b } = await connect();
      a.send(sayFailed('first'));
      a.send(logFrame(0));
      a.send(sayFailed('second'));
      await turns(20);
      const collector = new Collector(b);
      await collector.untilMessages(3);
      expect(collector.messages).toEqual([sayFailed('first'), logFrame(0), sayFailed('second')]);
    });

    it('sends no log or bulk before the receiver listens, and tells how much waits', async () => {
      const { a, b } = await connect();
      a.send(logFrame(0, Buffer.alloc(1000)));
      a.send(blobFrame(0, Buffer.alloc(5000)));
      await turns(20);
      expect(a.status().logInFlightBytes).toBe(0);
      expect(a.status().logQueuedBytes).toBeGreaterThan(1000);
      expect(a.status().bulkQueuedBytes).toBeGreaterThan(5000);
      const collector = new Collector(b);
      await collector.untilMessages(2);
      expect(a.status().logQueuedBytes).toBe(0);
    });

    it('bounds what a slow receiver has to hold, and goes on when it has taken', async () => {
      const { a, b } = await connect();
      const release: (() => void)[] = [];
      let holding = true;
      const collector = new Collector(b, () =>
        holding ? new Promise<void>((resolve) => release.push(resolve)) : undefined,
      );
      const payload = Buffer.alloc(256 * 1024 - 64);
      const frames = 80; // 20 MiB
      for (let i = 0; i < frames; i += 1) a.send(logFrame(i * payload.length, payload));
      const heldBytes = (): number => collector.messages.length * 256 * 1024;
      await collector.until(() => heldBytes() >= wireLimits.logCreditBytes - 256 * 1024);
      await turns(50);
      expect(heldBytes()).toBeLessThanOrEqual(wireLimits.logCreditBytes);
      const { logInFlightBytes, logQueuedBytes } = a.status();
      expect(logInFlightBytes).toBeLessThanOrEqual(wireLimits.logCreditBytes);
      expect(logInFlightBytes + logQueuedBytes).toBeGreaterThan(frames * payload.length);
      holding = false;
      for (const resolve of release) resolve();
      await collector.untilMessages(frames);
    });

    it('lets heartbeats pass log that waits for credit', async () => {
      const { a, b } = await connect();
      const never = new Promise<void>(() => undefined);
      const collector = new Collector(b, (message) => (message.kind === 'log' ? never : undefined));
      const payload = Buffer.alloc(1_000_000);
      for (let i = 0; i < 20; i += 1) a.send(logFrame(i * payload.length, payload));
      await collector.untilMessages(8);
      await turns(20);
      expect(a.status().logQueuedBytes).toBeGreaterThan(0);
      a.send(controlFrame({ type: 'heartbeat', sentAtMs: 1 }));
      await collector.until(() => collector.messages.some((m) => m.kind === 'control'));
    });

    it('holds a sender of bulk back with ready()', async () => {
      const { a, b } = await connect();
      const release: (() => void)[] = [];
      const collector = new Collector(
        b,
        () => new Promise<void>((resolve) => release.push(resolve)),
      );
      const piece = Buffer.alloc(100_000);
      let sent = 0;
      const sender = (async () => {
        for (; sent < 40; sent += 1) {
          await a.ready();
          a.send(blobFrame(sent * piece.length, piece));
        }
      })();
      await collector.until(() => collector.messages.length >= 10);
      await turns(50);
      const boundBytes = wireLimits.bulkCreditBytes + wireLimits.bulkQueueBytes;
      expect(sent * piece.length).toBeLessThanOrEqual(boundBytes + piece.length);
      while (collector.messages.length < 40 || release.length > 0) {
        release.splice(0).forEach((resolve) => {
          resolve();
        });
        await turns(1);
      }
      await sender;
    });

    it('stops a sender of bulk that does not wait', async () => {
      const { a } = await connect();
      const piece = Buffer.alloc(wireLimits.blobPayloadBytes);
      const flood = (): void => {
        for (let i = 0; i < 20; i += 1) a.send(blobFrame(0, piece));
      };
      expect(flood).toThrow(UnderstudyError);
      expect(a.status().bulkQueuedBytes).toBeLessThanOrEqual(wireLimits.bulkQueueHardBytes);
    });

    it('closes when log piles up past its bound', async () => {
      const { a, b } = await connect();
      const closed = new Promise<LinkClosed>((resolve) => a.onClose(resolve));
      const seen = new Promise<LinkClosed>((resolve) => b.onClose(resolve));
      const payload = Buffer.alloc(1_000_000);
      for (let i = 0; i < 70; i += 1) a.send(logFrame(i, payload));
      expect(await closed).toMatchObject({ by: 'us', code: 'overflow' });
      expect(await seen).toMatchObject({ by: 'peer', code: 'overflow' });
    });

    it('replaces an ack that waits by a newer one', async () => {
      const { a, b } = await connect();
      a.send(logFrame(0)); // has no credit yet, so that what follows waits
      for (let i = 1; i <= 100; i += 1) a.send(ackFrame(i));
      a.send(sayFailed('between'));
      a.send(ackFrame(101));
      const collector = new Collector(b);
      await collector.untilMessages(4);
      const seen = collector.messages.map((m) => (m.kind === 'ack' ? m.received : m.kind));
      expect(seen).toEqual(['log', 100, 'control', 101]);
    });

    it('delivers what was sent before close, then tells both sides the reason', async () => {
      const { a, b } = await connect();
      const collectorA = new Collector(a);
      const collectorB = new Collector(b);
      a.send(logFrame(0));
      await collectorB.untilMessages(1);
      a.send(logFrame(3));
      a.send(sayFailed('drained'));
      a.close('the operator said so');
      await Promise.all([collectorA.untilClosed(), collectorB.untilClosed()]);
      expect(collectorB.messages).toEqual([logFrame(0), logFrame(3), sayFailed('drained')]);
      const reason = { code: 'closed', message: 'the operator said so' };
      expect(collectorA.closed).toEqual([{ by: 'us', ...reason }]);
      expect(collectorB.closed).toEqual([{ by: 'peer', ...reason }]);
      expect(a.status().open).toBe(false);
    });

    it('hands nothing over after close, and send does nothing then', async () => {
      const { a, b } = await connect();
      const collectorA = new Collector(a);
      const collectorB = new Collector(b);
      await turns(5);
      b.send(sayFailed('too late'));
      a.close('leaving');
      a.close('twice');
      a.send(sayFailed('nobody hears'));
      await Promise.all([collectorA.untilClosed(), collectorB.untilClosed()]);
      await turns(10);
      expect(collectorA.messages).toEqual([]);
      expect(collectorB.messages).toEqual([]);
      expect(collectorA.closed).toHaveLength(1);
      await expect(a.ready()).rejects.toThrow('The link is closed: leaving');
    });

    it('rejects who waits in ready() when the link closes', async () => {
      const { a } = await connect();
      const piece = Buffer.alloc(wireLimits.blobPayloadBytes);
      for (let i = 0; i < 3; i += 1) a.send(blobFrame(0, piece));
      const waiting = expect(a.ready()).rejects.toThrow(UnderstudyError);
      a.close('done');
      await waiting;
    });

    it('tells a close handler that comes late, once', async () => {
      const { a, b } = await connect();
      const first = new Promise<LinkClosed>((resolve) => b.onClose(resolve));
      a.close('early');
      await first;
      let calls = 0;
      const late = new Promise<LinkClosed>((resolve) =>
        b.onClose((closed) => {
          calls += 1;
          resolve(closed);
        }),
      );
      expect((await late).message).toBe('early');
      await turns(5);
      expect(calls).toBe(1);
    });

    it('says that the peer vanished when the connection breaks', async () => {
      const pairNow = await connect();
      const collectorA = new Collector(pairNow.a);
      const collectorB = new Collector(pairNow.b);
      pairNow.break();
      await Promise.all([collectorA.untilClosed(), collectorB.untilClosed()]);
      expect(collectorA.closed[0]).toMatchObject({ by: 'network', code: 'vanished' });
      expect(collectorB.closed[0]).toMatchObject({ by: 'network', code: 'vanished' });
    });

    it('closes when a handler throws or rejects, and tells the error', async () => {
      for (const fail of [
        () => {
          throw new Error('disk full');
        },
        () => Promise.reject(new Error('disk full')),
      ]) {
        const { a, b, cleanUp } = await connect();
        const collectorA = new Collector(a);
        const collectorB = new Collector(b, fail);
        a.send(sayFailed('x'));
        await Promise.all([collectorA.untilClosed(), collectorB.untilClosed()]);
        expect(collectorB.closed[0]).toMatchObject({ by: 'us', code: 'handler' });
        expect(collectorB.closed[0]?.error?.describe()).toContain('disk full');
        expect(collectorA.closed[0]).toMatchObject({ by: 'peer', code: 'handler' });
        await cleanUp();
      }
    });

    it('lets the sender reuse a payload at once', async () => {
      const { a, b } = await connect();
      const collector = new Collector(b);
      const payload = Buffer.from('aaaa');
      a.send(logFrame(0, payload));
      payload.fill('b');
      a.send(logFrame(4, payload));
      await collector.untilMessages(2);
      const payloads = collector.messages.map((m) => (m.kind === 'log' ? `${m.payload}` : ''));
      expect(payloads).toEqual(['aaaa', 'bbbb']);
    });

    it('tells when something last arrived', async () => {
      const { a, b } = await connect();
      const collector = new Collector(b);
      const before = b.status().lastReceivedAt;
      await turns(3);
      a.send(sayFailed('now'));
      await collector.untilMessages(1);
      expect(b.status().lastReceivedAt).toBeGreaterThan(before);
      expect(b.status().receivedBytes).toBeGreaterThan(0);
    });
  });
}
