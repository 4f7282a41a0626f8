// The echo client must see each line that is lost, doubled, changed, and the end of its connection.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/lab/endpoint.ts';
import { EchoClient, echoLine } from '../../src/lab/load-echo.ts';
import { until } from '../egress/outside.ts';
import { FakeGuest } from './fake-guest.ts';

let guest: FakeGuest;
let endpoint: Endpoint;
beforeEach(async () => {
  guest = new FakeGuest();
  endpoint = (await guest.start()).echo;
});
afterEach(() => guest.stop());

const fifth = echoLine(5);

async function echoFor(lines: number) {
  const client = new EchoClient({ endpoint, lineMs: 1, drainMs: 50 });
  await until(`${lines} lines`, () => client.record().sent >= lines);
  return client.stop();
}

describe('EchoClient', () => {
  test('a good connection', async () => {
    const record = await echoFor(20);
    expect(record.received).toBe(record.sent);
    expect(record).toMatchObject({ lost: 0, doubled: 0, damaged: 0, broken: undefined });
  });

  test('lines cut anywhere are put together', async () => {
    guest.echoThrough = (text) => {
      for (const socket of guest.echoSockets) {
        for (const letter of text) socket.write(letter, 'latin1');
      }
      return '';
    };
    const record = await echoFor(10);
    expect(record).toMatchObject({ lost: 0, doubled: 0, damaged: 0, received: record.sent });
  });

  test.each([
    ['a lost line', (text: string) => text.replace(fifth, ''), { lost: 1 }],
    ['a doubled line', (text: string) => text.replace(fifth, fifth + fifth), { doubled: 1 }],
    ['a changed line', (text: string) => text.replace(fifth, `5 x\n`), { damaged: 1, lost: 1 }],
    ['a line of the future', (text: string) => text.replace(fifth, echoLine(999)), { damaged: 1 }],
  ])('%s', async (_name, through, found) => {
    guest.echoThrough = through;
    expect(await echoFor(20)).toMatchObject({ broken: undefined, ...found });
  });

  test('echoes that never come are lost when the wait for them is over', async () => {
    const client = new EchoClient({ endpoint, lineMs: 1, drainMs: 50 });
    await until('5 lines', () => client.record().received >= 5);
    guest.echoThrough = () => '';
    await until('10 lines', () => client.record().sent >= 10);
    expect(client.record().lost).toBe(0);
    const record = await client.stop();
    expect(record.lost).toBe(record.sent - record.received);
    expect(record.lost).toBeGreaterThan(0);
  });

  test.each([
    [
      'reset',
      'ECONNRESET',
      (guest: FakeGuest) => guest.echoSockets.forEach((s) => void s.resetAndDestroy()),
    ],
    [
      'closed',
      'closed by the guest',
      (guest: FakeGuest) => guest.echoSockets.forEach((s) => void s.end()),
    ],
  ])('a connection that is %s is told once and not opened again', async (_how, reason, end) => {
    const told: string[] = [];
    const client = new EchoClient({ endpoint, lineMs: 1, onBroken: (why) => told.push(why) });
    await until('5 lines', () => client.record().received >= 5);
    end(guest);
    await until('told', () => told.length > 0);
    const record = await client.stop();
    expect(record.broken).toBe(reason);
    expect(told).toEqual([reason]);
    expect(guest.echoSockets.size).toBe(1);
  });

  test('a silence is measured', async () => {
    const client = new EchoClient({ endpoint, lineMs: 1 });
    await until('5 lines', () => client.record().received >= 5);
    const held: string[] = [];
    guest.echoThrough = (text) => {
      held.push(text);
      return '';
    };
    await new Promise((resolve) => setTimeout(resolve, 80));
    guest.echoThrough = (text) => held.splice(0).join('') + text;
    const before = client.record().received;
    await until('it goes on', () => client.record().received > before);
    const record = await client.stop();
    expect(record.longestGapMs).toBeGreaterThan(70);
    expect(record.lost).toBe(0);
  });
});
