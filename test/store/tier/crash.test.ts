/**
 * Goal: copying may die at every single step of the other store, lose its power or find the disk
 * full. What is visible there is whole, and the next one goes on with what is missing.
 */
import { expect, it } from 'vitest';
import { logPosition } from '../../../src/base/units.ts';
import { openStore } from '../../../src/store/store.ts';
import { chunkBytes, noise, piece, ramOf, take } from '../snapshots.ts';
import { type Fault, VolatileFiles } from '../volatile-files.ts';
import { here, passOnce, there } from './rig.ts';

/** Two snapshots with log behind each; gives their RAM by id. */
async function makeSource(): Promise<{ source: VolatileFiles; rams: Map<string, Buffer> }> {
  const source = new VolatileFiles();
  const store = await openStore({ directory: here, files: source, catalogue: 'memory' });
  const first = await take(store, { 0: noise(2 * chunkBytes, 1) });
  await store.log.append(piece(1000, 2000));
  const facts = { position: logPosition(2000) };
  const second = await take(store, { 1: noise(chunkBytes, 2) }, { parent: first.id, facts });
  await store.log.append(piece(2000, 2500));
  const rams = new Map<string, Buffer>();
  for (const { id } of [first, second]) rams.set(id, await ramOf(store, id));
  await store.close();
  return { source, rams };
}

async function dieAt(source: VolatileFiles, fault: Fault): Promise<VolatileFiles> {
  const target = new VolatileFiles();
  target.fault = fault;
  await passOnce(source, target).catch((thrown: unknown) => {
    if (!target.isDead && fault.code === undefined) throw thrown;
  });
  return target;
}

/** What is visible is whole; then the rest is copied, and nothing is left over. */
async function judge(
  source: VolatileFiles,
  target: VolatileFiles,
  rams: ReadonlyMap<string, Buffer>,
  why: string,
): Promise<void> {
  for (const name of target.files()) if (name.includes('/owners/')) await target.remove(name);
  const check = async (all: boolean) => {
    const copies = await openStore({ directory: there, files: target, catalogue: 'memory' });
    expect((await copies.verify()).damaged, why).toEqual([]);
    const found = await copies.list();
    for (const { id } of found) {
      expect((await ramOf(copies, id)).equals(rams.get(id)!), `${why}: ${id}`).toBe(true);
    }
    if (all) {
      expect(found.map(({ id }) => id).sort(), why).toEqual([...rams.keys()].sort());
      expect(await copies.log.list({ vm: 'web', run: 'r1' }), why).toHaveLength(2);
      expect((await copies.collect()).chunks, `${why}: what nobody needs`).toBe(0);
    }
    await copies.close();
  };
  await check(false);
  await passOnce(source, target, { owesCollect: true });
  await check(true);
  expect(
    target.files().filter((name) => name.includes('.new-')),
    why,
  ).toEqual([]);
}

it('survives being killed at every step', async () => {
  const { source, rams } = await makeSource();
  const whole = new VolatileFiles();
  await passOnce(source, whole);
  expect(whole.steps).toBeGreaterThan(20);
  for (let step = 0; step < whole.steps; step += 1) {
    for (const when of ['torn', 'after'] as const) {
      const target = await dieAt(source, { step, when });
      await judge(source, target.afterKill(), rams, `killed ${when} ${target.trace.at(-1)}`);
    }
  }
});

it('survives a loss of power at every step, whatever of the rest reached the disk', async () => {
  const { source, rams } = await makeSource();
  const whole = new VolatileFiles();
  await passOnce(source, whole);
  let seed = 1;
  const chance = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 16) % 2 === 0;
  };
  for (let step = 0; step < whole.steps; step += 1) {
    for (const keeps of [() => false, chance, chance]) {
      const target = await dieAt(source, { step, when: 'after' });
      const why = `power lost after ${target.trace.at(-1)}`;
      await judge(source, target.afterPowerLoss(keeps), rams, why);
    }
  }
});

it('a full disk at any step loses nothing, and it goes on when there is room again', async () => {
  const { source, rams } = await makeSource();
  const whole = new VolatileFiles();
  await passOnce(source, whole);
  for (let step = 0; step < whole.steps; step += 1) {
    for (const when of ['before', 'torn'] as const) {
      const target = await dieAt(source, { step, when, code: 'ENOSPC' });
      target.fault = undefined;
      await judge(source, target, rams, `full ${when} step ${step}: ${target.trace[step]}`);
    }
  }
});
