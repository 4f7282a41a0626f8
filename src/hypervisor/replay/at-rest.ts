/**
 * A replayer at rest: at which event of the log it stands, and what its own device state proves
 * about it.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { encodeBlockCompletion } from '../../rrlog/encoder.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import {
  parseDeviceState,
  type ReplaySection,
  replaySection,
} from '../device-state/device-state.ts';

/** What a machine at rest stands at. */
export type RestingEvent = 'end' | 'block' | 'bh-oneshot';

/** A replayer at rest: all log executed, proven by its own device state. */
export interface Halted {
  readonly deviceState: Buffer;
  readonly replay: ReplaySection;
  /** Completions that were made certain because their request was in flight (R8). */
  readonly completions: number;
}

/**
 * Completions for all requests that may be in flight at the end of the log. One of a request that
 * was never made is not consumed, nor are those behind it: feeding more of them than can be in
 * flight is harmless and saves asking one by one. `uncompleted` yields the ids that the log has not
 * completed, ascending.
 */
export function completionsOf(
  layout: Layout,
  disks: number,
  uncompleted: () => Iterable<number>,
): Buffer[] {
  const completions: Buffer[] = [];
  if (disks === 0) return completions;
  for (const id of uncompleted()) {
    completions.push(encodeBlockCompletion(layout, id));
    if (completions.length >= limits.completionsMax * disks) break;
  }
  return completions;
}

/** How many of these a replayer at rest has consumed. */
export function completionsMade(
  layout: Layout,
  replay: ReplaySection,
  uncompleted: () => Iterable<number>,
): number {
  if (replay.dataKind !== layout.first.block) return 0;
  let made = 0;
  for (const id of uncompleted()) {
    if (id >= replay.readEventId) break;
    made += 1;
  }
  return made;
}

/** Throws `takeover` unless it stands at `icount`, at one of the events of `proof`. */
export function proveAtRest(
  { first }: Layout,
  { icount, hasUnread, dataKind }: ReplaySection,
  expected: number,
  proof: readonly RestingEvent[],
): void {
  const kinds = proof.map((name) => first[name]);
  if (icount === expected && hasUnread && kinds.includes(dataKind)) return;
  throw new UnderstudyError(
    'takeover',
    `Not all log was executed: icount ${icount}, expected ${expected}; next event kind ${dataKind} (unread: ${hasUnread}), expected ${kinds.join(' or ')}`,
  );
}

/** What a machine with this state waits at, as a sentence. */
export function waitsAt({ names }: Layout, deviceState: Buffer): string {
  const { dataKind, hasUnread, icount, instructionCount, readEventId } = replaySection(
    parseDeviceState(deviceState),
  );
  if (!hasUnread) return `it waits for log at icount ${icount}`;
  const name = names[dataKind] ?? `kind ${dataKind}`;
  return `event ${name} is not consumed at icount ${icount} (instructions left ${instructionCount}, id ${readEventId})`;
}
