/**
 * Turns the state of a halted replayer into one that a fresh replayer can go on from.
 *
 * A halt leaves the sentinel that stopped the machine in the replay section, as an event that was
 * read and not consumed. Without it the section reads like a recorder's: the next event kind is
 * taken from the log (`replay_fetch_data_kind`, replay/replay-internal.c).
 */
import { findSection, parseDeviceState } from './parse.ts';

/** A copy of `bytes` in which no event is unread. */
export function releaseHalt(bytes: Buffer): Buffer {
  const section = findSection(parseDeviceState(bytes), 'replay');
  if (section === undefined) throw new Error('the state of a replayer has a replay section');
  const released = Buffer.from(bytes);
  // Fixed fields before: 2 clocks, icount, instruction_count, and current_event from 10.0 on.
  const hasCurrentEvent = section.to - section.from === 61;
  const kindAt = section.from + 8 + 8 + 8 + 4 + (hasCurrentEvent ? 4 : 0);
  const unreadAt = kindAt + 4;
  const unreadBytes = section.version === 3 ? 1 : 4;
  released.fill(0xff, kindAt, kindAt + 4);
  released.fill(0x00, unreadAt, unreadAt + unreadBytes);
  released.fill(0xff, section.to - 8, section.to);
  return released;
}
