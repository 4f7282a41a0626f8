/** Whether an address, or a name, is this machine's. */
import { lookup } from 'node:dns/promises';
import os from 'node:os';
import { isLoopback } from '../base/loopback.ts';

const wildcards = ['0.0.0.0', '::'];

/** Of a literal address; a name other than `localhost` is none. */
export function isOwnAddress(host: string): boolean {
  if (isLoopback(host)) return true;
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  const own = Object.values(os.networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some(({ address }) => address.toLowerCase() === bare);
}

/**
 * Whether one who listens there may do so on this machine: one of its addresses, the wildcard, or a
 * name that resolves to one. Rejects when a name cannot be resolved now.
 */
export async function listensHere(host: string): Promise<boolean> {
  if (wildcards.includes(host) || isOwnAddress(host)) return true;
  if (isLiteral(host)) return false;
  // One that takes long has a thread of this process: it is not asked for a second time.
  const asked = asking.get(host) ?? resolveAll(host);
  asking.set(host, asked);
  try {
    return (await asked).some(({ address }) => isOwnAddress(address));
  } finally {
    asking.delete(host);
  }
}

const resolveAll = (host: string) => lookup(host, { all: true });
const asking = new Map<string, ReturnType<typeof resolveAll>>();

const isLiteral = (host: string): boolean => /^[0-9.]+$/.test(host) || host.includes(':');
