/** What a seed carries. */
import type { GuestState } from './guest.ts';
import type { History } from './history.ts';

/** A machine as it was at a cut. */
export interface MachineImage {
  readonly state: GuestState;
  readonly disk: readonly number[];
  readonly position: number;
  readonly history: History;
}
