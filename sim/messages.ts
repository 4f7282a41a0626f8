/**
 * What simulated nodes say to each other: the messages of src/ports/link.ts, with values for bytes.
 */
import type { AckFrame, BlobFrame, ControlFrame, Hello, LogFrame } from '../src/ports/link.ts';
import type { GuestEvent } from './guest.ts';
import type { MachineImage } from './image.ts';

export interface SimLog extends LogFrame {
  readonly events: readonly GuestEvent[];
  /** The sender died while it wrote: the end is not a whole event. */
  readonly torn?: boolean;
}

/** All of a seed in one piece. */
export interface SimBlob extends BlobFrame {
  readonly image: MachineImage;
}

export type SimMessage = SimLog | SimBlob | AckFrame | ControlFrame;

export type SimHello = Pick<Hello, 'node' | 'term' | 'standing' | 'arbiter'>;

/** Nothing that is shipped here is bytes. */
export const noBytes = new Uint8Array(0);
