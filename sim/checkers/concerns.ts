/** A node with a machine or a copy whose arbiter is away says so, before it needs it. */
import { limits } from '../../src/base/limits.ts';
import { type Checker, type Looked, Violation } from './facts.ts';

/** It looks every so often, waits for the answer, and is late now and then. */
const withinMs = limits.arbiterLookMs + limits.arbiterSilentMs + 200;
/** A process that stood still for longer has the time of one that was just started. */
const stoodStillMs = 100;

export class Concerns implements Checker {
  /** Since when each life could have seen that its arbiter is away; and when it last looked. */
  readonly #away = new Map<string, { readonly since: number; readonly at: number }>();

  looked({ atMs, holder, role, reachesArbiter, concern }: Looked): void {
    const before = this.#away.get(holder);
    if (role === 'none' || reachesArbiter || concern !== undefined) {
      this.#away.delete(holder);
      return;
    }
    const isNew = before === undefined || atMs - before.at > stoodStillMs;
    const since = isNew ? atMs : before.since;
    this.#away.set(holder, { since, at: atMs });
    if (atMs - since <= withinMs) return;
    throw new Violation('concerns', `${holder} says nothing of an arbiter that is away`);
  }
}
