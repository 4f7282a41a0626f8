// The HTTP clients must notice whatever goes wrong, name it, and go on.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/lab/endpoint.ts';
import { judgeCounter } from '../../src/lab/judge-counter.ts';
import { runCounter, runReader } from '../../src/lab/load-clients.ts';
import type { AcknowledgedValue } from '../../src/lab/load-record.ts';
import { RequestTally } from '../../src/lab/load-requests.ts';
import { until } from '../egress/outside.ts';
import { FakeGuest } from './fake-guest.ts';

let guest: FakeGuest;
let endpoint: Endpoint;
let tally: RequestTally;
let end: AbortController;
beforeEach(async () => {
  guest = new FakeGuest();
  endpoint = (await guest.start()).http;
  tally = new RequestTally();
  end = new AbortController();
});
afterEach(() => guest.stop());

/** With a deadline that only a test of silence reaches. */
const common = () => ({ endpoint, tally, signal: end.signal, pauseMs: 1, timeoutMs: 60_000 });
const reasons = () => tally.failures.map(({ client, reason }) => `${client}: ${reason}`);

async function readUntil(holds: () => boolean, options = common()): Promise<void> {
  const reader = runReader(options);
  await until('the reader came that far', holds);
  end.abort();
  await reader;
}

describe('a reader', () => {
  test('reads and finds nothing wrong', async () => {
    await readUntil(() => tally.ok >= 10);
    expect(tally.failed).toBe(0);
    expect(tally.latencyMs.count).toBe(tally.ok);
  });

  test.each([
    ['reset', 'reader: connection reset'],
    ['cut short', 'reader: connection reset'],
  ] as const)('survives and reports: %s', async (fault, reason) => {
    guest.nextRead = fault;
    await readUntil(() => tally.ok >= 3);
    expect(reasons()).toEqual([reason]);
    expect(tally.failures[0]?.atMs).toBeGreaterThan(1.6e12);
  });

  test('survives and reports: silence', async () => {
    guest.nextRead = 'silence';
    await readUntil(() => tally.ok >= 3, { ...common(), timeoutMs: 100 });
    // A busy machine may be late with an answer, too; the one that never came is the first.
    expect(reasons()[0]).toBe('reader: no answer for 100 ms');
    expect(new Set(reasons()).size).toBe(1);
    expect(tally.failures[0]?.atMs).toBeGreaterThan(1.6e12);
  });

  test('a guest that went back in time is a failure, though each answer looks good', async () => {
    const reader = runReader(common());
    await until('some reads', () => tally.ok >= 5);
    guest.ledger = 0;
    await until('noticed', () => tally.failed > 0);
    end.abort();
    await reader;
    expect(reasons()[0]).toMatch(/^reader: the guest went back: ledger \d+ to 1/);
  });

  test('nobody there: refused', async () => {
    const { port } = endpoint;
    await guest.stop();
    const reader = runReader({ ...common(), endpoint: { host: '127.0.0.1', port } });
    await until('noticed', () => tally.failed > 0);
    end.abort();
    await reader;
    expect(reasons()[0]).toBe('reader: connection refused');
    await guest.start();
  });
});

describe('a counter', () => {
  async function countWith(fault: FakeGuest['nextCount']): Promise<AcknowledgedValue[]> {
    const acknowledged: AcknowledgedValue[] = [];
    const counter = runCounter({
      ...common(),
      name: 'run.0',
      acknowledged: (value) => {
        acknowledged.push(value);
        if (acknowledged.length === 3) guest.nextCount = fault;
      },
    });
    await until('ten counts', () => acknowledged.length >= 10);
    end.abort();
    await counter;
    return acknowledged;
  }
  const verdict = (acknowledged: AcknowledgedValue[]) =>
    judgeCounter(guest.journal.join(''), acknowledged);

  test('remembers every value with its token', async () => {
    const acknowledged = await countWith(undefined);
    expect(acknowledged.slice(0, 2)).toMatchObject([
      { value: 1, token: 'run.0-1' },
      { value: 2, token: 'run.0-2' },
    ]);
    expect(verdict(acknowledged)).toMatchObject({ lost: 0, doubled: 0 });
  });

  test.each([
    ['reset', 'counter: connection reset'],
    ['nonsense', "counter: wrong answer: 'hello'"],
    ['status 507', 'counter: status 507'],
  ] as const)(
    'a failed count is reported and not taken for acknowledged: %s',
    async (fault, reason) => {
      const acknowledged = await countWith(fault);
      expect(reasons()).toEqual([reason]);
      expect(verdict(acknowledged)).toMatchObject({ lost: 0, doubled: 0 });
    },
  );

  test('a guest that forgets an acknowledged value is caught by the judge', async () => {
    expect(verdict(await countWith('forget'))).toMatchObject({ lost: 1, doubled: 0 });
  });

  test('a guest that counts a request twice is caught by the judge', async () => {
    expect(verdict(await countWith('count twice')).doubled).toBeGreaterThan(0);
  });
});
