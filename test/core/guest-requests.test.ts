// What processes of the guest ask for is answered once it is true, whatever gets lost on the way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type GuestRequestEffect,
  GuestRequests,
  guestErrors,
} from '../../src/core/guest-requests.ts';

const line = (text: string): Buffer => Buffer.from(`${text}\n`);
const say = (text: string): GuestRequestEffect => ({ type: 'say', text: `${text}\n` });
const keep = (guest: string): GuestRequestEffect => ({ type: 'keep', guest });

describe('a request of the guest', () => {
  it('for a checkpoint is answered when it is in the store', () => {
    const requests = new GuestRequests();
    expect(requests.take(line('C 0000000a before the step'))).toEqual([
      keep('0000000a before the step'),
    ]);
    expect(requests.kept('0000000a before the step')).toEqual([say('S 0000000a')]);
  });

  it('that comes again is not worked on twice, and answered the same', () => {
    const requests = new GuestRequests();
    expect(requests.take(line('C 0000000a'))).toEqual([keep('0000000a')]);
    expect(requests.take(line('C 0000000a'))).toEqual([say('W 0000000a')]);
    expect(requests.kept('0000000a')).toEqual([say('S 0000000a')]);
    expect(requests.take(line('C 0000000a'))).toEqual([say('S 0000000a')]);
  });

  it('that was refused is tried when it comes again', () => {
    const requests = new GuestRequests();
    requests.take(line('C 0000000a'));
    expect(requests.kept('0000000a', guestErrors.EAGAIN)).toEqual([say('E 0000000a 11')]);
    expect(requests.take(line('C 0000000a'))).toEqual([keep('0000000a')]);
  });

  it('takes the place of one whose process is gone', () => {
    const requests = new GuestRequests();
    requests.take(line('C 0000000a'));
    expect(requests.take(line('C 0000000b'))).toEqual([keep('0000000b')]);
    expect(requests.kept('0000000a')).toEqual([]);
    expect(requests.kept('0000000b')).toEqual([say('S 0000000b')]);
  });

  it('whether all is safe is answered at once: its line was let out', () => {
    const requests = new GuestRequests();
    expect(requests.take(line('O 0000000a'))).toEqual([say('S 0000000a')]);
  });

  it('of a machine that goes on from its cut is answered by a restart', () => {
    const requests = new GuestRequests();
    requests.begin();
    expect(requests.restored('0000000a before the step')).toEqual([say('R 0000000a')]);
    // The answer was lost: its port was not read, or the machine was lost again.
    expect(requests.take(line('C 0000000a before the step'))).toEqual([say('R 0000000a')]);
  });

  it('is forgotten when another machine is heard', () => {
    const requests = new GuestRequests();
    requests.take(Buffer.from('C 0000000a\nC 0000'));
    requests.begin();
    expect(requests.kept('0000000a')).toEqual([]);
    expect(requests.take(line('C 0000000a'))).toEqual([keep('0000000a')]);
  });

  it.each([
    ['C 0000000a \u0007', [say('E 0000000a 22')]],
    [`C 0000000a ${'x'.repeat(64)}`, [say('E 0000000a 22')]],
    [`C 0000000a ${'x'.repeat(63)}`, [keep(`0000000a ${'x'.repeat(63)}`)]],
    ['Q 0000000a', [say('E 0000000a 95')]],
    ['C 0000000A', []],
    ['C', []],
    ['', []],
    ['root@guest:~# ', []],
    [`C 0000000a ${'x'.repeat(1_000)}`, []],
  ])('%j is answered, or passed over', (text, effects) => {
    const requests = new GuestRequests();
    expect(requests.take(line(text))).toEqual(effects);
    expect(requests.take(line('O 0000000b')), 'the next one').toEqual([say('S 0000000b')]);
  });

  it('is heard however its bytes are cut', () => {
    const text = 'C 0000000a one\nO 0000000b\n';
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const requests = new GuestRequests();
        const ends = [...cuts, text.length].sort((a, b) => a - b);
        const effects = ends.flatMap((end, index) =>
          requests.take(Buffer.from(text.slice(ends[index - 1] ?? 0, end))),
        );
        expect(effects).toEqual([keep('0000000a one'), say('S 0000000b')]);
      }),
    );
  });
});

/** A process that asks, a node, and its store; `Requests` may be a broken one. */
function run(steps: readonly number[], Requests: typeof GuestRequests): string[] {
  const findings: string[] = [];
  const store = new Set<string>();
  let node = new Requests();
  let storing: string[] = [];
  let asking = '00000000';
  let next = 1;
  /** The cut that this machine goes on from. */
  let restoredFrom: string | undefined;

  const perform = (effects: readonly GuestRequestEffect[], isLost: boolean): void => {
    for (const effect of effects) {
      if (effect.type === 'keep') storing.push(effect.guest);
      else if (!isLost) hear(effect.text);
    }
  };
  const hear = (text: string): void => {
    const [word, nonce] = text.trim().split(' ');
    if (nonce !== asking || word === 'W') return;
    if (word === 'S' && !store.has(nonce)) findings.push(`${nonce}: saved, and not in the store`);
    if (word === 'R' && restoredFrom !== nonce) findings.push(`${nonce}: no restart of it`);
    if (word === 'S' && restoredFrom === nonce) findings.push(`${nonce}: a restart, not told`);
    if (word === 'E') return; // asks again by and by
    asking = String(next).padStart(8, '0');
    next += 1;
  };
  for (const step of steps) {
    const isLost = step >= 8;
    const kind = step % 8;
    if (kind <= 2) perform(node.take(line(`C ${asking}`)), isLost);
    else if (kind <= 4) {
      const guest = storing.shift();
      if (guest === undefined) continue;
      const isKept = kind === 3;
      if (isKept) store.add(guest);
      perform(node.kept(guest, isKept ? undefined : guestErrors.EAGAIN), isLost);
    } else if (kind === 5) {
      // Another node takes over; what is being stored may be in the store for all that.
      node = new Requests();
      storing = [];
    } else if (kind === 6) {
      const back = [...store].at(-1);
      if (back === undefined) continue;
      node = new Requests();
      storing = [];
      node.begin();
      asking = back;
      restoredFrom = back;
      // Nobody can take over yet: one that is lost before its guest has heard is restored again.
      perform(node.restored(back), false);
    } else node.begin();
  }
  // At last nothing is lost, and all is answered.
  const open = asking;
  for (let round = 0; round < 3 && asking === open; round += 1) {
    perform(node.take(line(`C ${asking}`)), false);
    for (const guest of storing.splice(0)) {
      store.add(guest);
      perform(node.kept(guest), false);
    }
  }
  if (asking === open) findings.push(`${asking}: never answered`);
  return findings;
}

const histories = fc.array(fc.nat(15), { maxLength: 60 });

/** Says that it is kept when it is asked for. */
class Early extends GuestRequests {
  override take(bytes: Uint8Array): GuestRequestEffect[] {
    return super
      .take(bytes)
      .flatMap((effect) =>
        effect.type === 'say'
          ? [effect]
          : [effect, { type: 'say' as const, text: `S ${effect.guest.slice(0, 8)}\n` }],
      );
  }
}

/** Has every restart told as a save. */
class Untold extends GuestRequests {
  override restored(guest: string): GuestRequestEffect[] {
    return super
      .restored(guest)
      .map((effect) => (effect.type === 'say' ? say(`S ${guest.slice(0, 8)}`) : effect));
  }
}

/** Answers no request twice. */
class Once extends GuestRequests {
  #seen = new Set<string>();
  override take(bytes: Uint8Array): GuestRequestEffect[] {
    const text = Buffer.from(bytes).toString();
    if (this.#seen.has(text)) return [];
    this.#seen.add(text);
    return super.take(bytes);
  }
}

describe('through words that are lost, takeovers and restores', () => {
  it('every answer is true, and every request is answered', () => {
    fc.assert(
      fc.property(histories, (steps) => {
        expect(run(steps, GuestRequests)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['saved before it is in the store', Early],
    ['a restart told as a save', Untold],
    ['an answer that is said once only', Once],
  ])('%s: noticed', (_, broken) => {
    const found = fc.check(
      fc.property(histories, (steps) => run(steps, broken).length === 0),
      { numRuns: 2_000 },
    );
    expect(found.failed).toBe(true);
  });
});
