// A node believes its arbiter only while it is the one that it knows, and claims nothing from one
// that is empty, another one, not its peer's, or another pair's.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { KnownArbiter } from '../../src/core/known-arbiter.ts';
import { type ArbiterMemory, IdentifiedArbiter } from '../../src/node/identified-arbiter.ts';
import type { Hello, Standing } from '../../src/ports/link.ts';
import { state } from '../arbiter/contract.ts';
import { FaultyArbiter, faultsInOrder } from '../doubles/faulty-arbiter.ts';
import { MemoryArbiter } from '../doubles/memory-arbiter.ts';

/** What a node's state directory is to it, over its lives. */
class Memory implements ArbiterMemory {
  readonly place = '/state/web-a.arbiter.json';
  known: KnownArbiter | undefined;
  failure: Error | undefined;

  async save(known: KnownArbiter): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.known = known;
  }
}

interface Life {
  readonly holder?: string;
  readonly hasSpoken?: boolean;
  readonly memory?: Memory;
}

function living(inner: MemoryArbiter | FaultyArbiter, life: Life = {}) {
  const { holder = 'a:1', hasSpoken = false, memory = new Memory() } = life;
  const name = "The arbiter in '/srv/web'";
  return new IdentifiedArbiter({
    ...{ inner, name, pairFile: '/etc/web.yaml', memory, holder, hasSpoken, saveAfterMs: 0 },
  });
}

const nowhere: Standing = { role: 'none', isGranted: false, spoken: term(0), logged: term(0) };

const hello = (arbiter: string | undefined, standing: Partial<Standing> = {}): Hello => ({
  ...{ protocol: 7, node: 'b', pair: 'web', qemu: '7.2.22', logLayout: '7.2', term: term(1) },
  vmFingerprint: 'f00d',
  ...(arbiter === undefined ? {} : { arbiter }),
  standing: { ...nowhere, ...standing },
});

const first = (arbiter: IdentifiedArbiter, holder = 'a:1') =>
  arbiter.compareAndSet(undefined, state(1, holder));
const second = (arbiter: IdentifiedArbiter) =>
  arbiter.compareAndSet(state(1, 'b:1'), state(2, 'a:1'));

/** One whose first term somebody else has. */
async function givenToPeer(): Promise<{ inner: MemoryArbiter; identity: string }> {
  const inner = new MemoryArbiter();
  await inner.compareAndSet(undefined, state(1, 'b:1'));
  const { identity } = await inner.setUp();
  return { inner, identity };
}

describe('an arbiter that was never set up', () => {
  it('is waited for, and what to run is said', async () => {
    const inner = new MemoryArbiter({ isSetUp: false });
    const arbiter = living(inner);
    for (const ask of [() => arbiter.read(), () => first(arbiter)]) {
      await expect(ask()).rejects.toMatchObject({
        ...{ code: 'arbiter', mayPass: true },
        message: "The arbiter in '/srv/web' was never set up for this pair",
        hint: expect.stringContaining('`understudy init --pair /etc/web.yaml` once') as string,
      });
    }
    expect(arbiter.identity).toBeUndefined();
    const { identity } = await inner.setUp();
    expect(await arbiter.read()).toBeUndefined();
    expect(arbiter.identity).toBe(identity);
    expect(await first(arbiter)).toEqual({ won: true });
  });
});

describe('an arbiter that is not what it was', () => {
  it('lost everything: nothing is claimed, in this life or the next, until it is back', async () => {
    const inner = new MemoryArbiter();
    const memory = new Memory();
    const before = living(inner, { memory });
    await before.read();
    await first(before);
    const { identity } = memory.known as KnownArbiter;
    inner.wipe();
    for (const arbiter of [before, living(inner, { memory })]) {
      await expect(arbiter.read()).rejects.toMatchObject({
        ...{ code: 'arbiter', mayPass: true },
        message: `The arbiter in '/srv/web' is empty: this node knows the arbiter of the pair by the identity ${identity}`,
        hint: expect.stringContaining("kept in '/state/web-a.arbiter.json'") as string,
      });
      await expect(first(arbiter)).rejects.toMatchObject({ code: 'arbiter' });
    }
    expect(memory.known?.identity).toBe(identity);
  });

  it('was set up anew, or is another one: both identities are named', async () => {
    const memory = new Memory();
    await living(new MemoryArbiter(), { memory }).read();
    const { identity } = memory.known as KnownArbiter;
    const other = new MemoryArbiter();
    const arbiter = living(other, { memory });
    const error = await arbiter.read().catch((thrown: unknown) => thrown as UnderstudyError);
    expect(error).toMatchObject({ code: 'arbiter', mayPass: false });
    const { identity: theirs } = await other.setUp();
    expect(String(error)).toContain(`its identity is ${theirs}`);
    expect(String(error)).toContain(`knows the arbiter of the pair by ${identity}`);
    expect(memory.known?.identity).toBe(identity);
  });

  it('is seen for the first time, and cannot be remembered: it is not believed', async () => {
    const memory = new Memory();
    memory.failure = new UnderstudyError('arbiter', 'no space left', { mayPass: true });
    const inner = new MemoryArbiter();
    const arbiter = living(inner, { memory });
    await expect(arbiter.read()).rejects.toThrow('no space left');
    await expect(first(arbiter)).rejects.toMatchObject({ code: 'arbiter' });
    memory.failure = undefined;
    expect(await arbiter.read()).toBeUndefined();
  });
});

describe('a pair of the same name', () => {
  it('is there already: the nodes of this one claim nothing, and what to do is said', async () => {
    const { inner } = await givenToPeer();
    const [a, b] = [living(inner), living(inner, { holder: 'b:7' })];
    for (const node of [a, b]) expect(await node.read()).toEqual(state(1, 'b:1'));
    // They have a link with each other, and neither has ever had a machine.
    await a.met(hello(b.identity));
    for (const node of [a, b]) {
      await expect(second(node)).rejects.toMatchObject({
        ...{ code: 'arbiter', mayPass: false },
        message: "The arbiter in '/srv/web' has given 1 term, and this node never took part",
        hint: expect.stringContaining('give this one another name') as string,
      });
    }
    expect(await inner.read()).toEqual(state(1, 'b:1'));
  });

  it('starts at the same moment: one pair has the arbiter, the other one is refused', async () => {
    const inner = new MemoryArbiter();
    const [ours, theirs] = [living(inner), living(inner, { holder: 'a:other' })];
    for (const node of [ours, theirs]) expect(await node.read()).toBeUndefined();
    expect(await first(theirs, 'a:other')).toEqual({ won: true });
    expect(await first(ours)).toMatchObject({ won: false });
    const next = ours.compareAndSet(state(1, 'a:other'), state(2, 'a:1'));
    await expect(next).rejects.toThrow('never took part');
    const further = await theirs.compareAndSet(state(1, 'a:other'), state(2, 'a:other'));
    expect(further).toEqual({ won: true });
  });
});

describe('a node takes part', () => {
  it('from the term that it won, also when the answer was lost, and in its next life', async () => {
    const memory = new Memory();
    const inner = new MemoryArbiter();
    const nextFault = faultsInOrder(['none', 'replyLost']);
    const lossy = new FaultyArbiter(inner, { nextFault, wait: async () => undefined });
    const arbiter = living(lossy, { memory });
    await arbiter.read();
    await expect(first(arbiter)).rejects.toMatchObject({ code: 'arbiter' });
    expect(await arbiter.read()).toEqual(state(1, 'a:1'));
    const again = living(inner, { memory, holder: 'a:2' });
    const next = await again.compareAndSet(state(1, 'a:1'), state(2, 'a:2'));
    expect(next).toEqual({ won: true });
  });

  it('from the first term that an earlier life won and did not live to see', async () => {
    const memory = new Memory();
    const inner = new MemoryArbiter();
    const arbiter = living(inner, { memory });
    await arbiter.read();
    const nextFault = faultsInOrder(['replyLost']);
    const dying = new FaultyArbiter(inner, { nextFault, wait: async () => undefined });
    await expect(first(living(dying, { memory }))).rejects.toMatchObject({ code: 'arbiter' });
    expect(memory.known).toMatchObject({ tookPart: false, claimed: 'a:1' });
    const again = living(inner, { memory, holder: 'a:2' });
    await again.read();
    const next = await again.compareAndSet(state(1, 'a:1'), state(2, 'a:2'));
    expect(next).toEqual({ won: true });
  });

  it.each([
    ['is primary', { role: 'primary' }],
    ['has spoken', { spoken: term(1) }],
  ] as const)('from its link with a peer that %s', async (_, standing) => {
    const { inner, identity } = await givenToPeer();
    const memory = new Memory();
    const arbiter = living(inner, { memory });
    await arbiter.read();
    await arbiter.met(hello(identity, standing));
    expect(memory.known).toEqual({ identity, tookPart: true, seen: 1 });
    expect(await second(arbiter)).toEqual({ won: true });
  });

  it('when it has spoken, as by the state of an earlier version, or --start-anew says so', async () => {
    const { inner } = await givenToPeer();
    const arbiter = living(inner, { hasSpoken: true });
    await arbiter.read();
    expect(await second(arbiter)).toEqual({ won: true });
  });
});

it('whoever asks while the first identity is being remembered waits for that, too', async () => {
  const inner = new MemoryArbiter();
  const memory = new Memory();
  let onDisk: () => void = () => undefined;
  const disk = new Promise<void>((resolve) => {
    onDisk = resolve;
  });
  memory.save = async (known) => {
    await disk;
    memory.known = known;
  };
  const arbiter = living(inner, { memory });
  let answered = 0;
  const asked = [arbiter.read(), arbiter.read()].map((read) =>
    read.then(() => {
      answered += 1;
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toBe(0);
  onDisk();
  await Promise.all(asked);
  expect(answered).toBe(2);
});

describe('the newest term seen', () => {
  it('is remembered: read, won, or heard of at a link', async () => {
    const { inner, identity } = await givenToPeer();
    const memory = new Memory();
    const arbiter = living(inner, { memory, hasSpoken: true });
    const kept = (): Promise<number | undefined> => sleep(5).then(() => memory.known?.seen);
    await arbiter.read();
    expect(await kept()).toBe(1);
    await second(arbiter);
    expect(await kept()).toBe(2);
    await arbiter.met({ ...hello(identity), term: term(5) });
    expect(await kept()).toBe(5);
    // Told as it is: what that means is the core's to say. One that it wins counts again.
    expect(await arbiter.read()).toEqual(state(2, 'a:1'));
    expect(await kept()).toBe(5);
    await arbiter.compareAndSet(state(2, 'a:1'), state(3, 'a:1'));
    expect(await kept()).toBe(3);
  });

  it('is no reason to wait for a disk, nor to fail with it', async () => {
    const { inner } = await givenToPeer();
    const memory = new Memory();
    const arbiter = living(inner, { memory, hasSpoken: true });
    await arbiter.read();
    memory.failure = new UnderstudyError('arbiter', 'no space left', { mayPass: true });
    expect(await second(arbiter)).toEqual({ won: true });
    await sleep(5);
    expect(memory.known?.seen).toBe(1);
    memory.failure = undefined;
    expect(await arbiter.read()).toEqual(state(2, 'a:1'));
    await sleep(5);
    expect(memory.known?.seen).toBe(2);
  });
});

describe('a peer with another arbiter', () => {
  it('keeps this node from claiming until they agree', async () => {
    const arbiter = living(new MemoryArbiter());
    await arbiter.read();
    arbiter.differs("node 'b' has arbiter 'x', node 'a' has 'y'");
    await expect(first(arbiter)).rejects.toMatchObject({
      ...{ code: 'arbiter', mayPass: true },
      message: "The two nodes have two arbiters: node 'b' has arbiter 'x', node 'a' has 'y'",
    });
    // Nor does it look as if all were well between two attempts at a claim.
    await expect(arbiter.read()).rejects.toMatchObject({ mayPass: true });
    await arbiter.met(hello(arbiter.identity));
    expect(await arbiter.read()).toBeUndefined();
    expect(await first(arbiter)).toEqual({ won: true });
  });
});
