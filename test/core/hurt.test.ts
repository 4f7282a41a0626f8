// A primary whose machine is hurt: it stands because a disk failed, or a part of it does not work,
// and its guest has seen nothing of that. Whoever has a good copy goes on; without one the machine
// is kept, and goes on when it can.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { term } from '../../src/base/units.ts';
import type { NodeEffect } from '../../src/core/effects.ts';
import { helloOf, NodeRig } from './node-rig.ts';

const full = { type: 'hurt', reason: 'the disk is full', stands: true } as const;

const types = (effects: readonly NodeEffect[]): string[] => effects.map(({ type }) => type);

/** What is done within so many milliseconds. */
function pass(rig: NodeRig, ms: number): NodeEffect[] {
  rig.now += ms;
  return rig.step({ type: 'timer' });
}

describe('with a backup that may take over', () => {
  it('is handed over as in a drill', () => {
    const rig = NodeRig.protected();
    expect(types(rig.step(full))).toContain('stop');
    expect(rig.core.state).toBe('handingOver');
    rig.step({ type: 'stopped', logEnd: rig.position });
    const told = rig.step({
      type: 'message',
      link: 9,
      message: { kind: 'ack', term: term(1), received: rig.position, appliedIcount: 0 as never },
    });
    expect(told).toContainEqual(
      expect.objectContaining({
        type: 'send',
        message: expect.objectContaining({ control: { type: 'drill' } }),
      }),
    );
  });

  it('ends when it cannot even be stopped, so that its backup takes over', () => {
    const rig = NodeRig.protected();
    rig.step({ type: 'hurt', reason: 'QEMU does not answer', stands: false });
    const done = rig.step({ type: 'notStopped', reason: 'QEMU does not answer' });
    expect(types(done)).toContain('destroyMachine');
    expect(types(done)).toContain('closeLink');
  });

  it('is never told to go on: no copy does what it would do', () => {
    const rig = NodeRig.protected();
    rig.step(full);
    expect(types(pass(rig, limits.drillMs - 1))).not.toContain('go');
  });
});

describe('without a backup', () => {
  it('is told to go on, again and again and ever more seldom, until it is healed', () => {
    const rig = NodeRig.alone();
    rig.step(full);
    expect(types(pass(rig, limits.hurtRetryMs - 1))).not.toContain('go');
    expect(types(pass(rig, 1))).toContain('go');
    rig.step({ type: 'continued' });
    rig.step(full);
    expect(types(pass(rig, 2 * limits.hurtRetryMs - 1))).not.toContain('go');
    expect(types(pass(rig, 1))).toContain('go');
    rig.step({ type: 'notContinued', reason: 'its monitor does not answer' });
    expect(rig.core.role).toBe('primary');
    expect(types(pass(rig, limits.hurtRetryMaxMs))).toContain('go');
    rig.step({ type: 'continued' });
    rig.step({ type: 'healed' });
    expect(types(pass(rig, limits.hurtRetryMaxMs))).not.toContain('go');
  });

  it('is not told to go on when a part hangs under a machine that runs', () => {
    const rig = NodeRig.alone();
    rig.step({ ...full, stands: false });
    expect(types(pass(rig, limits.hurtRetryMaxMs))).not.toContain('go');
  });

  it('seeds nobody before it is healed, and says why', () => {
    const rig = NodeRig.alone();
    rig.step(full);
    const refused = rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(1)) });
    expect(refused).toEqual([
      { type: 'closeLink', link: 9, reason: 'the machine is hurt: the disk is full' },
    ]);
    rig.step({ type: 'healed' });
    expect(types(rig.step({ type: 'linkOpened', link: 10, hello: helloOf(term(1)) }))).toContain(
      'seed',
    );
  });
});

it('gives a backup up that may not take over yet', () => {
  const rig = NodeRig.alone();
  rig.step({ type: 'linkOpened', link: 9, hello: helloOf(term(1)) });
  expect(rig.core.state).toBe('seeding');
  const done = rig.step(full);
  expect(done).toContainEqual(expect.objectContaining({ type: 'closeLink', link: 9 }));
  expect(rig.core.state).toBe('alone');
});
