/** What simulated nodes say to each other: the messages of src/ports/link.ts, with values for bytes. */

import type { Term } from '../src/base/units.ts';
import type { PeerStanding } from '../src/core/membership.ts';
import type { Heartbeat } from '../src/ports/link.ts';
import type { GuestEvent } from './guest.ts';
import type { MachineImage } from './machine.ts';

export interface SimLog {
  readonly kind: 'log';
  readonly term: Term;
  readonly from: number;
  readonly to: number;
  readonly events: readonly GuestEvent[];
  /** The sender died while it wrote: the end is not a whole event. */
  readonly torn?: boolean;
}

export interface SimAck {
  readonly kind: 'ack';
  readonly term: Term;
  readonly received: number;
}

export type SimControl =
  | { readonly type: 'seed'; readonly image: MachineImage }
  | { readonly type: 'seedReady' }
  | { readonly type: 'grant' }
  | { readonly type: 'handOver' }
  | { readonly type: 'compare'; readonly position: number; readonly digest: number }
  | { readonly type: 'powerOff' }
  | { readonly type: 'staleTerm'; readonly refused: Term; readonly current: Term }
  | Heartbeat;

export type SimMessage =
  | SimLog
  | SimAck
  | { readonly kind: 'control'; readonly term: Term; readonly control: SimControl };

export interface SimHello {
  readonly node: string;
  readonly term: Term;
  readonly standing: PeerStanding;
}
