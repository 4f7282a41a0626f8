/**
 * A snapshot that is asked for where only the backup runs: the backup asks its primary, which makes the
 * cut and says what became of it.
 *
 *   backup                              primary
 *     snapshotRequest {requestId, label?}  ->
 *                                       <-     cut {.., keep}, as for any snapshot
 *     kept                              ->
 *                                       <-     snapshotResult {requestId, snapshot? | problem?}
 */
import { asError, UnderstudyError } from '../../base/errors.ts';
import { type Resolvers, withResolvers } from '../../base/with-resolvers.ts';
import type { SnapshotRequest, SnapshotResult } from '../../ports/link.ts';
import { snapshotLimits } from '../../restore/limits.ts';

/** What a backup has asked for on one link. */
export class SnapshotRequests {
  readonly #send: (request: SnapshotRequest) => void;
  readonly #waiting = new Map<string, Resolvers<string>>();
  #next = 1;
  #whyEnded: string | undefined;

  constructor(send: (request: SnapshotRequest) => void) {
    this.#send = send;
  }

  /**
   * Resolves with the snapshot's id when it is in the store. Throws `store` when the primary could not have it
   * kept, `link` without a primary, `resources` when too much was asked for.
   */
  async ask(label?: string): Promise<string> {
    if (this.#whyEnded !== undefined) throw linkEnded(this.#whyEnded);
    if (this.#waiting.size >= snapshotLimits.requestsMax) {
      throw new UnderstudyError(
        'resources',
        `${this.#waiting.size} snapshots were asked for already, and wait for the primary`,
        { mayPass: true, hint: 'wait for them: each is a cut of its own' },
      );
    }
    const requestId = String(this.#next);
    this.#next += 1;
    const waiting = withResolvers<string>();
    this.#waiting.set(requestId, waiting);
    const named = label === undefined ? {} : { label };
    this.#send({ type: 'snapshotRequest', requestId, ...named });
    return await waiting.promise;
  }

  /** The primary's answer. One that nobody waits for is passed over. */
  take({ requestId, snapshot, problem }: SnapshotResult): void {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    if (snapshot !== undefined) waiting?.resolve(snapshot);
    else waiting?.reject(new UnderstudyError('store', problem ?? 'The primary kept no snapshot'));
  }

  /** The link is over: no answer will come. */
  end(reason: string): void {
    this.#whyEnded ??= reason;
    for (const waiting of this.#waiting.values()) waiting.reject(linkEnded(reason));
    this.#waiting.clear();
  }
}

/** The primary's side: has the cut kept by `take`. Never rejects. */
export async function answerRequest(
  { requestId, label }: SnapshotRequest,
  take: (label?: string) => Promise<string>,
): Promise<SnapshotResult> {
  try {
    return { type: 'snapshotResult', requestId, snapshot: await take(label) };
  } catch (thrown) {
    return { type: 'snapshotResult', requestId, problem: asError(thrown).message };
  }
}

function linkEnded(reason: string): UnderstudyError {
  return new UnderstudyError(
    'link',
    `The link to the primary ended before it said that a snapshot was kept: ${reason}`,
    { mayPass: true, hint: '`understudy snapshot ls` tells whether it was kept all the same' },
  );
}
