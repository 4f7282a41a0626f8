/**
 * A guest that does only what its log says: state and log in, state and outputs out.
 *
 * Intuition: all that lockstep needs of a machine is that it is a function of its starting state
 * and its event log. This one hashes what it is told, writes the hash to its disk now and then, and
 * tells the world about both. Any event lost, doubled or reordered changes every output behind it.
 */

/** A disk request of the guest: number `id` writes `value`. */
export interface DiskWrite {
  readonly id: number;
  readonly value: number;
}

export interface GuestOutput {
  /** Counts the outputs of one machine since its boot, over all its takeovers. */
  readonly index: number;
  readonly value: number;
  /** Disk writes that were complete when the guest said this. */
  readonly completed: number;
}

/** A word of a machine of another pair: `member` said it, as its `number`th in `said`'s terms. */
export interface HeardWord {
  readonly member: number;
  readonly number: number;
}

export type GuestEvent =
  | { readonly kind: 'input'; readonly value: number; readonly from?: HeardWord | undefined }
  | { readonly kind: 'marker'; readonly epoch: number }
  /** A disk request completed. */
  | { readonly kind: 'block'; readonly id: number }
  | { readonly kind: 'shutdown' };

/** Bytes that an event takes in the log. */
export const eventBytes = (event: GuestEvent): number => (event.kind === 'marker' ? 25 : 9);

/** As many requests as this guest lets be under way. */
const pendingMax = 6;

export interface GuestState {
  hash: number;
  icount: number;
  outputs: number;
  nextRequest: number;
  completed: number;
  off: boolean;
  /** Requests under way, in order of issue. */
  pending: DiskWrite[];
  /** The last word that it heard of each member of its group. */
  heard: number[];
}

export function bootGuest(nextRequest: number, diskDigest: number): GuestState {
  return {
    hash: mix(0x811c9dc5, diskDigest),
    icount: 0,
    outputs: 0,
    nextRequest,
    completed: 0,
    off: false,
    pending: [],
    heard: [],
  };
}

export function cloneGuest(state: GuestState): GuestState {
  const { hash, icount, outputs, nextRequest, completed, off } = state;
  const [pending, heard] = [[...state.pending], [...state.heard]];
  return { hash, icount, outputs, nextRequest, completed, off, pending, heard };
}

/** The guest was stopped and goes on: devices do what is in no log. */
export function goOn(state: GuestState): void {
  state.hash = mix(state.hash, 0x5eed);
}

export interface Reaction {
  readonly output: GuestOutput | undefined;
  readonly write: DiskWrite | undefined;
}

const nothing: Reaction = { output: undefined, write: undefined };

/** Executes one event. Throws when the event cannot happen in this state: a divergence. */
export function execute(state: GuestState, event: GuestEvent): Reaction {
  switch (event.kind) {
    case 'marker':
      return nothing;
    case 'shutdown':
      state.off = true;
      return nothing;
    case 'input': {
      state.hash = mix(state.hash, event.value);
      if (event.from !== undefined) hear(state, event.from);
      state.icount += 100 + (event.value & 63);
      const write = event.value % 3 === 0 ? issue(state) : undefined;
      const output = event.value % 2 === 0 ? say(state) : undefined;
      return { output, write };
    }
    case 'block': {
      const index = state.pending.findIndex(({ id }) => id === event.id);
      if (index < 0) throw new Error(`request ${event.id} completed, but is not under way`);
      state.pending.splice(index, 1);
      state.hash = mix(state.hash, event.id);
      state.icount += 20;
      state.completed += 1;
      return { output: say(state), write: undefined };
    }
  }
}

/** One number for a whole state. */
export function digestOf(state: GuestState): number {
  let digest = mix(state.hash, state.icount);
  for (const { id, value } of state.pending) digest = mix(mix(digest, id), value);
  return mix(mix(digest, state.outputs), state.completed);
}

export function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x5bd1e995);
  mixed ^= mixed >>> 15;
  return Math.imul(mixed, 0x2c1b3c6d) | 0;
}

function hear({ heard }: GuestState, { member, number }: HeardWord): void {
  heard[member] = Math.max(heard[member] ?? 0, number);
}

function issue(state: GuestState): DiskWrite | undefined {
  if (state.pending.length >= pendingMax) return undefined;
  const write = { id: state.nextRequest, value: state.hash | 1 };
  state.nextRequest += 1;
  state.pending.push(write);
  return write;
}

function say(state: GuestState): GuestOutput {
  const output = { index: state.outputs, value: state.hash, completed: state.completed };
  state.outputs += 1;
  return output;
}
