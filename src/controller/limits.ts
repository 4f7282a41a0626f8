/** Every wait and bound of `understudy host`, with its reason. A unit comes last in each name. */
import { limits } from '../base/limits.ts';

export const controllerLimits = {
  /** A pair file is judged when it was the same for so long: an editor writes it in pieces. */
  settleMs: 500,
  /** Editors and scripts take a file away for a moment; to believe it would stop a machine. */
  goneMs: 3_000,
  /** The directory is looked at so often, whatever it says of changes: NFS says nothing. */
  lookMs: 5_000,
  /** Changes are told one by one; a look takes in all of them. */
  lookSoonMs: 50,
  /** A name is resolved by then, or at the next look. */
  lookupMs: 2_000,
  /** A pair file has some hundred bytes; what is larger is something else. */
  fileBytesMax: 1024 * 1024,
  /** Before the first restart, and up to which it is doubled: an unprotected machine waits. */
  restartMsMin: 500,
  restartMsMax: 60_000,
  /** So many restarts within the window take four minutes: what passes by itself has passed. */
  restartsMax: 10,
  restartWindowMs: 15 * 60_000,
  /** The second node of a new pair waits so long at most for the first one to say what it is. */
  firstNodeMs: 10_000,
  /** A node ends itself after `nodeCloseMs`, whatever hangs; one that does not is stopped. */
  stopMs: limits.nodeCloseMs + 10_000,
  /** Between two looks at what the nodes say of themselves. */
  statusMs: 1_000,
  /** A node that has not answered by then is said not to. */
  answerMs: 3_000,
  /** How soon the end of a node that is no child of this process is seen. */
  adoptedLookMs: 250,
  /** How exact a restart's delay is. */
  tickMs: 200,
  /** The last words of a node that are kept: its reason to end is among them. */
  saidLines: 20,
  /** A line of a log that is longer is torn. */
  lineBytesMax: 64 * 1024,
  /** What a node that has ended said last is in its pipe; somebody else may have it open. */
  lastWordsMs: 500,
} as const;
