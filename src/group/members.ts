/**
 * What a group asks of its members: the primary of each, through the control socket of its node on
 * this host, and the store that its backup writes to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import type { LogPosition } from '../base/units.ts';
import type { LineWish } from '../core/effects.ts';
import { groupLimits, type MemberAnswer, type MemberWish } from '../core/group.ts';
import { errorOf, type Refusal } from '../node/refusal.ts';
import { changingStoreAt } from '../observe/change-store.ts';
import { askNode } from '../observe/control-client.ts';
import { primaryNode } from '../observe/pair-nodes.ts';
import { whileOpen } from '../store/while-open.ts';
import type { GroupMember } from './group-file.ts';
import { logEnd } from './log-end.ts';

/** Between two looks at what a store has: log is stored once a second. */
const storePollMs = 200;
/** A node that stands still is not waited for; what it holds it lets go by itself. */
const lineAnswerMs = 3_000;

export class MemberDriver {
  readonly #member: GroupMember;
  /** Control socket of its primary, when it was last asked for a snapshot. */
  #control: string | undefined;

  constructor(member: GroupMember) {
    this.#member = member;
  }

  /** Answers once, whatever happens: what fails is a refusal. */
  async ask(wish: MemberWish): Promise<MemberAnswer> {
    try {
      switch (wish.wish) {
        case 'snapshot':
          return await this.#snapshot(wish.label);
        case 'stored':
          return await this.#stored(wish.snapshot, wish.position);
        default:
          return await within(lineAnswerMs, this.#line(wish));
      }
    } catch (thrown) {
      const known = thrown instanceof UnderstudyError ? thrown : undefined;
      const code = known?.code === 'cut' || known?.code === 'store' ? known.code : 'link';
      const mayPass = known?.mayPass === true ? { mayPass: true } : {};
      return { type: 'refused', code, problem: reasonOf(thrown), ...mayPass };
    }
  }

  /** Removes a snapshot that no set names. Throws `store`. */
  async drop(snapshot: string): Promise<void> {
    await changingStoreAt(this.#member.store, async (store) => {
      await store.remove(snapshot);
      await store.collect();
    });
  }

  async #snapshot(label: string): Promise<MemberAnswer> {
    const { control } = await primaryNode(this.#member.pairFile);
    this.#control = control;
    return await answerOf(askNode(control, 'snapshot', { label }));
  }

  async #line(wish: LineWish): Promise<MemberAnswer> {
    const control = this.#control ?? (await primaryNode(this.#member.pairFile)).control;
    const { wish: command, ...more } = wish;
    return await answerOf(askNode(control, command, more));
  }

  #stored(id: string, position: LogPosition): Promise<MemberAnswer> {
    return whileOpen(this.#member.store, 'read', async (store) => {
      const { manifest } = await store.open(id);
      for (let waitedMs = 0; ; waitedMs += storePollMs) {
        const upTo = await logEnd(store, manifest);
        if (upTo >= position || waitedMs >= groupLimits.storeMs) return { type: 'stored', upTo };
        await sleep(storePollMs);
      }
    });
  }
}

async function answerOf(asking: Promise<Refusal | ({ ok: true } & object)>): Promise<MemberAnswer> {
  const answer = await asking;
  if ('error' in answer) throw errorOf(answer as Refusal);
  const { ok: _, ...rest } = answer as { ok: true };
  return ('snapshot' in rest ? { type: 'kept', ...rest } : rest) as MemberAnswer;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const end = new AbortController();
  const late = sleep(ms, undefined, { signal: end.signal }).then(() => {
    throw new UnderstudyError('link', `The primary did not answer within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    end.abort();
    late.catch(() => undefined);
    work.catch(() => undefined);
  }
}
