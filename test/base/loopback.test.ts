// Plain text must be allowed on this machine only, however an address is written.
import { expect, it } from 'vitest';
import { isLoopback } from '../../src/base/loopback.ts';

it.each(['127.0.0.1', '127.8.9.255', '::1', '[::1]', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])(
  '%s never leaves the machine',
  (host) => expect(isLoopback(host)).toBe(true),
);

it.each([
  ...['0.0.0.0', '::', '', '10.0.0.1', 'example.org', 'localhost.example.org'],
  ...['127.0.0.1.example.org', '127.0.0', '127.0.0.256', '127.0.0.01', '1127.0.0.1'],
])("'%s' may leave it", (host) => expect(isLoopback(host)).toBe(false));
