/** A node with a machine or a copy whose arbiter is away says so, before it needs it. */
import { limits } from '../../src/base/limits.ts';
import { type Checker, type Unwarned, Violation } from './facts.ts';

/** It looks every so often, waits for the answer, and is late now and then. */
const withinMs = limits.arbiterLookMs + limits.arbiterSilentMs + 200;
/** One whose arbiter answered meanwhile, or that stood still, has the time of a new one. */
const pauseMs = 100;

export class Concerns implements Checker {
  /** By life: since when it could have seen it, and when it was last looked at. */
  readonly #silent = new Map<string, { readonly since: number; readonly at: number }>();

  unwarned({ atMs, holder }: Unwarned): void {
    const before = this.#silent.get(holder);
    const isNew = before === undefined || atMs - before.at > pauseMs;
    const since = isNew ? atMs : before.since;
    this.#silent.set(holder, { since, at: atMs });
    if (atMs - since <= withinMs) return;
    throw new Violation('concerns', `${holder} says nothing of an arbiter that is away`);
  }
}
