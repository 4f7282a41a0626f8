/**
 * The outside world of the demo: what the guest's clients run in, and where the nodes' frames go.
 *
 * Two kinds. `netns` is a network namespace with a bridge, as a real network has a switch: the
 * guest is a neighbour that can be pinged, and a takeover moves its address to another port.
 * `passt` needs no rights: one user-space gateway, reached through forwarded ports on loopback.
 *
 * What a world owes:
 * 1. `close` removes everything that it made, may be called twice, and ends what `spawn` started.
 * 2. What a killed demo left behind is removed by the next one that opens a world.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Endpoint } from './endpoint.ts';

export type WorldChild = ChildProcessByStdio<Writable, Readable, Readable>;

export interface World {
  readonly kind: 'netns' | 'passt';
  /** Where the guest's services are for programs started with `spawn`. */
  readonly http: Endpoint;
  readonly echo: Endpoint;
  /** The address to ping, where that is possible. */
  readonly canPing: boolean;
  readonly pingHost: string | undefined;
  /** One for each node, in the order of `WorldOptions.nodes`. */
  readonly egressSpecs: readonly string[];
  /** Starts a program in this world with piped standard streams. */
  spawn(command: string, args: readonly string[]): WorldChild;
  close(): Promise<void>;
}
