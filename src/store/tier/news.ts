/** What a copying process is asked to do, and what it tells. */
import type { ErrorParts } from '../../base/error-parts.ts';
import type { CopiedNode } from '../owner.ts';
import type { Keep } from '../retention.ts';

/** What to copy where. */
export interface CopyOrder {
  /** Directory of the store whose snapshots are copied. */
  readonly from: string;
  /** Directory of the other store: it is there, and is a store or empty. */
  readonly to: string;
  /** The node whose snapshots they are; its pair is the machine. */
  readonly node: CopiedNode;
  /** What stays in the other store; without it all. */
  readonly keep?: Keep;
}

/** Something was kept; copy what is left and end; go on after all. */
export type CopyWord = 'look' | 'finish' | 'goOn';

export type CopyNews =
  /** A snapshot is in the other store, whole; `waiting`: how many are not yet. */
  | {
      readonly type: 'copied';
      readonly id: string;
      /** Written there. */
      readonly bytes: number;
      readonly ms: number;
      readonly waiting: number;
    }
  /** A snapshot was removed from the source before its turn. */
  | { readonly type: 'lost'; readonly id: string }
  /** A snapshot (its id) or piece of log (its path) is damaged in the source. */
  | { readonly type: 'leftOut'; readonly what: string; readonly reason: string };

export type CopyMessage =
  | CopyNews
  /** The place is well: what was asked for a check, or begins now. */
  | { readonly type: 'checked' }
  /** Steps are done, one after the other. */
  | { readonly type: 'working' }
  /** All is copied that can be. */
  | { readonly type: 'upToDate' }
  /** It ends. `isPeers`: the other node of the pair copies to the same store. */
  | { readonly type: 'failed'; readonly error: ErrorParts; readonly isPeers: boolean };
