// Which node of a pair belongs to this machine: where it listens must be one of its addresses.
import os from 'node:os';
import { expect, it } from 'vitest';
import { isOwnAddress, listensHere } from '../../src/host/own-address.ts';

const own = Object.values(os.networkInterfaces()).flatMap((addresses) => addresses ?? []);

it('loopback, addresses of the interfaces, the wildcards, and names of them', async () => {
  for (const host of ['127.0.0.1', '::1', 'localhost', ...own.map(({ address }) => address)]) {
    expect(isOwnAddress(host)).toBe(true);
    expect(await listensHere(host)).toBe(true);
  }
  for (const host of ['0.0.0.0', '::']) expect(await listensHere(host)).toBe(true);
});

it('not an address of another machine, and not a name that nobody knows', async () => {
  expect(isOwnAddress('192.0.2.1')).toBe(false);
  expect(await listensHere('192.0.2.1')).toBe(false);
  expect(await listensHere('2001:db8::1')).toBe(false);
  await expect(listensHere('nobody.invalid')).rejects.toThrow('nobody.invalid');
});
