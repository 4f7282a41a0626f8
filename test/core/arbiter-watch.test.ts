// A node that needs its arbiter for nothing looks at it all the same: what it says may end a
// machine, and an arbiter that could not be claimed from is seen before a takeover needs it.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { term } from '../../src/base/units.ts';
import { NodeRig } from './node-rig.ts';

/** What the node has told of its arbiter, in order; `undefined`: nothing is wrong any more. */
const told = (rig: NodeRig): (string | undefined)[] =>
  rig.all('concern').map(({ about, problem }) => (about === 'arbiter' ? problem : about));

const lookAt = (rig: NodeRig) => rig.pass(limits.arbiterLookMs + limits.coreTimerMs);

describe('a primary', () => {
  it('that is alone ends its machine when another process of its name has the term (3)', () => {
    const rig = NodeRig.alone();
    rig.arbiter = { term: term(2), holder: 'a:life2' };
    rig.holds.add('destroyMachine');
    lookAt(rig);
    expect([rig.core.role, rig.all('destroyMachine')]).toEqual([
      'none',
      [{ type: 'destroyMachine', reason: 'node a:life2 holds a newer term' }],
    ]);
  });

  it('keeps its machine standing while the newer term has yet to be proved (3)', () => {
    const rig = NodeRig.protected();
    rig.arbiter = { term: term(2), holder: 'b:x', unproven: true };
    lookAt(rig);
    expect([rig.core.state, rig.all('destroyMachine')]).toEqual(['yielding', []]);
  });

  it.each([
    ['nothing', undefined, 'no term'],
    ['its term in the name of somebody else', { term: term(1), holder: 'c:x' }, 'term 1 of c:x'],
  ])('says that it has another arbiter when that knows %s, and goes on (4)', (_, state, said) => {
    const rig = NodeRig.protected();
    rig.arbiter = state;
    lookAt(rig);
    expect(told(rig)).toEqual([
      expect.stringContaining(`it knows ${said}, and this node is primary in term 1`),
    ]);
    expect(rig.core.state).toBe('protected');
    rig.arbiter = { term: term(1), holder: 'a:life1' };
    lookAt(rig);
    expect(told(rig).slice(1)).toEqual([undefined]);
  });

  it('looks no more often than that, and tells the same thing once (1, 2)', () => {
    const rig = NodeRig.protected();
    rig.arbiter = undefined;
    const before = rig.all('readArbiter').length;
    rig.pass(10 * limits.arbiterLookMs + limits.coreTimerMs);
    expect(rig.all('readArbiter').length - before).toBeLessThanOrEqual(10);
    expect(rig.all('readArbiter').length - before).toBeGreaterThanOrEqual(9);
    expect(told(rig)).toHaveLength(1);
  });
});

describe('a backup that may take over', () => {
  it('says so when the arbiter does not answer, and when it does again (1, 2)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('readArbiter');
    lookAt(rig);
    const { ask } = rig.all('readArbiter').at(-1) ?? { ask: 0 };
    rig.step({ type: 'arbiterFailed', ask, reason: 'the share is away', mayPass: true });
    expect(told(rig)).toEqual([expect.stringMatching(/^the share is away. Until it answers/)]);
    rig.holds.delete('readArbiter');
    rig.pass(limits.arbiterLookAgainMs + limits.coreTimerMs);
    expect(told(rig).slice(1)).toEqual([undefined]);
    expect(rig.core.state).toBe('protecting');
  });

  it('says in one line why it does not answer (2)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('readArbiter');
    lookAt(rig);
    const { ask } = rig.all('readArbiter').at(-1) ?? { ask: 0 };
    const reason = 'It is away\n  because: it was killed\n  try: Start it again.';
    rig.step({ type: 'arbiterFailed', ask, reason, mayPass: true });
    expect(told(rig)).toEqual([
      expect.stringMatching(
        /^It is away; because: it was killed; try: Start it again. Until [^\n]*$/,
      ),
    ]);
  });

  it('says so when a question waits, before it has failed (2)', () => {
    const rig = NodeRig.protecting();
    rig.holds.add('readArbiter');
    rig.pass(limits.arbiterLookMs + limits.arbiterSilentMs + 2 * limits.coreTimerMs);
    expect(told(rig)).toEqual([expect.stringContaining('it has not answered for')]);
  });

  it('takes a newer term for the business of its primary (3)', () => {
    const rig = NodeRig.protecting();
    rig.arbiter = { term: term(2), holder: 'b:x' };
    lookAt(rig);
    expect([rig.core.state, told(rig)]).toEqual(['protecting', []]);
  });

  it('says that it has another arbiter than its primary (4)', () => {
    const rig = NodeRig.protecting();
    rig.arbiter = undefined;
    lookAt(rig);
    expect(told(rig)).toEqual([expect.stringContaining('this node is backup in term 1')]);
  });
});

describe('a node that looks for its place', () => {
  it('says what it waits for before its arbiter has failed to answer (2)', () => {
    const rig = new NodeRig({}, 'readArbiter');
    rig.pass(limits.arbiterSilentMs + 2 * limits.coreTimerMs);
    expect(told(rig)).toEqual([expect.stringContaining('it has not answered for')]);
  });
});
