// What the guest asks for at its port is asked for, and the error that it gets tells it why.
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { GuestPort } from '../../../src/node/machine/guest-port.ts';
import { SerialHub } from '../../../src/node/machine/serial-hub.ts';

function port(keepAs: ((guest: string) => Promise<string>) | undefined) {
  const hub = new SerialHub();
  const said: string[] = [];
  hub.onInput((bytes) => {
    said.push(String(bytes));
    return Promise.resolve();
  });
  const keep = keepAs && (async (guest: string) => ({ snapshot: await keepAs(guest) }));
  const guestPort = new GuestPort({ hub, keep, log: pino({ level: 'silent' }) });
  const asks = (text: string): void => hub.output(Buffer.from(`${text}\n`));
  return { asks, guestPort, said };
}

test('a checkpoint is kept, and told of then', async () => {
  let store: (id: string) => void = () => undefined;
  const kept: string[] = [];
  const { asks, said } = port((guest) => {
    kept.push(guest);
    return new Promise((resolve) => {
      store = resolve;
    });
  });
  asks('C 0000000a step 1');
  expect([kept, said]).toEqual([['0000000a step 1'], []]);
  store('20261121-215828-123-9f3c01');
  await expect.poll(() => said).toEqual(['S 0000000a\n']);
});

test.each([
  [new UnderstudyError('cut', 'There is nothing to compare: state is alone'), 11],
  [new UnderstudyError('store', 'the one before is still being stored', { mayPass: true }), 11],
  [new UnderstudyError('resources', 'no room'), 28],
  [new UnderstudyError('store', 'damaged'), 5],
  [new Error('a bug'), 5],
])('%s: the guest is told error %i', async (error, number) => {
  const { asks, said } = port(() => Promise.reject(error));
  asks('C 0000000a');
  await expect.poll(() => said).toEqual([`E 0000000a ${number}\n`]);
});

test('a pair that keeps no snapshots says so', async () => {
  const { asks, said } = port(undefined);
  asks('C 0000000a');
  await expect.poll(() => said).toEqual(['E 0000000a 95\n']);
});

test('a machine that goes on from a kept cut is told; what the one before asked for is not', async () => {
  let store: (id: string) => void = () => undefined;
  const { asks, guestPort, said } = port(
    () =>
      new Promise((resolve) => {
        store = resolve;
      }),
  );
  asks('C 0000000a');
  guestPort.begin('0000000b step 2');
  store('id');
  await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual(['R 0000000b\n']);
  guestPort.begin(undefined);
  expect(said).toHaveLength(1);
});
