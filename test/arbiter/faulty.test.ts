// The simulator's arbiter: a bad network may cost terms, and must never give one to two holders.
import { describe, expect, it } from 'vitest';
import {
  type ArbiterFault,
  arbiterFaults,
  FaultyArbiter,
  faultsInOrder,
  seededFaults,
} from '../doubles/faulty-arbiter.ts';
import { MemoryArbiter } from '../doubles/memory-arbiter.ts';
import { describeArbiterContract, state } from './contract.ts';

describeArbiterContract('memory', async () => {
  const arbiter = new MemoryArbiter({ isSetUp: false });
  return { open: async () => arbiter, cleanUp: async () => undefined };
});

function faulty(...faults: ArbiterFault[]) {
  const inner = new MemoryArbiter();
  let waits = 0;
  const arbiter = new FaultyArbiter(inner, {
    nextFault: faultsInOrder(faults),
    wait: async () => {
      waits += 1;
    },
  });
  return { inner, arbiter, waits: () => waits };
}

describeArbiterContract('faulty, without faults and slow', async () => {
  const inner = new MemoryArbiter({ isSetUp: false });
  const nextFault = (operation: string): ArbiterFault => (operation === 'read' ? 'slow' : 'none');
  const wait = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    open: async () => new FaultyArbiter(inner, { nextFault, wait }),
    cleanUp: async () => undefined,
  };
});

describe('the faulty arbiter', () => {
  it('unreachable: nothing happened', async () => {
    const { inner, arbiter } = faulty('unreachable', 'unreachable');
    await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toMatchObject({
      code: 'arbiter',
    });
    await expect(arbiter.read()).rejects.toMatchObject({ code: 'arbiter' });
    expect(await inner.read()).toBeUndefined();
  });

  it('reply lost: it happened', async () => {
    const { inner, arbiter } = faulty('replyLost');
    await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toMatchObject({
      code: 'arbiter',
    });
    expect(await inner.read()).toEqual(state(1, 'a'));
  });

  it('slow, either way: it waits, and is right', async () => {
    const { arbiter, waits } = faulty('slow', 'slowReply');
    expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    expect(await arbiter.read()).toEqual(state(1, 'a'));
    expect(waits()).toBe(2);
  });

  it('duplicate: the answer is that of the second, which finds the first', async () => {
    const { arbiter } = faulty('duplicate');
    const answer = await arbiter.compareAndSet(undefined, state(1, 'a'));
    expect(answer).toEqual({ won: false, current: state(1, 'a') });
  });

  it('late duplicate of an old claim: changes nothing any more', async () => {
    const { inner, arbiter } = faulty('lateDuplicate');
    expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
    await inner.compareAndSet(state(1, 'a'), state(2, 'b'));
    expect(await arbiter.read()).toEqual(state(2, 'b'));
  });

  it('a seed gives the same faults each time, and every kind of them', () => {
    const faults = (seed: number) => {
      const next = seededFaults(seed, 3);
      return Array.from({ length: 1000 }, next);
    };
    expect(faults(7)).toEqual(faults(7));
    expect(faults(7)).not.toEqual(faults(8));
    expect(new Set(faults(7))).toEqual(new Set(arbiterFaults));
    const share = faults(7).filter((fault) => fault !== 'none').length / 1000;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.42);
  });
});
