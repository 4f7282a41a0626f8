// A guest's failure is told once, in time, and a guest that cannot speak is not called silent.
import { expect, it } from 'vitest';
import { icount, logPosition } from '../../../src/base/units.ts';
import type { NodeEffect } from '../../../src/core/effects.ts';
import { GuestWatch } from '../../../src/node/watchdog/guest-watch.ts';
import { watchdogLimits } from '../../../src/node/watchdog/limits.ts';

const panic = 'Kernel panic - not syncing: Oops';
const silenceMs = 10_000;

/** A guest that may be heard, on a clock of the test's. */
function watching(policy: { silenceMs?: number } = {}, isHeard = true) {
  const said: string[] = [];
  const machine = { icount: 0 };
  let now = 0;
  const watch = new GuestWatch({
    policy: { panic: ['Kernel panic'], silenceMs: policy.silenceMs },
    icount: () => machine.icount,
    onFailed: ({ kind, icount: at }) => said.push(`${kind} at ${at}`),
    onSpoke: ({ kind }) => said.push(`spoke after ${kind}`),
  });
  const pass = (ms: number): string[] => {
    for (const end = now + ms; now < end; ) {
      now += 5;
      watch.tick(now);
    }
    return said.splice(0);
  };
  const say = (line: string): void => watch.output(Buffer.from(`${line}\n`));
  const tell = (effect: NodeEffect): void => watch.told(effect);
  if (isHeard) tell({ type: 'speak' });
  pass(5);
  return { watch, machine, pass, say, tell, jump: (ms: number) => (now += ms) };
}

it('a panic is told once, when its reasons have been printed', () => {
  const { pass, say, machine } = watching();
  machine.icount = 700;
  say(panic);
  machine.icount = 900;
  say('Call Trace:');
  expect(pass(watchdogLimits.settleMs - 20)).toEqual([]);
  expect(pass(40)).toEqual(['panic at 700']);
  expect(pass(60_000)).toEqual([]);
});

it('a guest that reboots by itself after its panic speaks, and may fail again', () => {
  const { pass, say } = watching();
  say(panic);
  expect(pass(watchdogLimits.settleMs + 10)).toEqual(['panic at undefined']);
  say('Booting');
  expect(pass(5)).toEqual(['spoke after panic']);
  say(panic);
  expect(pass(watchdogLimits.settleMs + 10)).toEqual(['panic at undefined']);
});

it('silence counts from the last word, and is told once', () => {
  const { pass, say, machine } = watching({ silenceMs });
  pass(silenceMs - 100);
  machine.icount = 5;
  say('alive');
  machine.icount = 99;
  expect(pass(silenceMs - 100)).toEqual([]);
  expect(pass(200)).toEqual(['silence at 5']);
  expect(pass(3 * silenceMs)).toEqual([]);
  say('alive');
  expect(pass(5)).toEqual(['spoke after silence']);
  expect(pass(silenceMs + 10)).toEqual(['silence at 99']);
});

it('one that never said a word was well when it began', () => {
  const { pass, machine } = watching({ silenceMs });
  machine.icount = 300;
  pass(5);
  machine.icount = 900;
  expect(pass(silenceMs)).toEqual(['silence at 300']);
});

it('without a policy for it silence is none', () => {
  expect(watching().pass(100 * silenceMs)).toEqual([]);
});

it.each<[string, (guest: ReturnType<typeof watching>) => void]>([
  ['stands on purpose', ({ tell }) => tell({ type: 'stop' })],
  ['stands for its outputs', ({ tell }) => tell({ type: 'slowDown', share: 1 })],
  [
    'stands because a disk failed',
    ({ watch }) => watch.reported({ type: 'hurt', reason: 'full', stands: true }),
  ],
])('a guest that %s is not silent', (_, stand) => {
  const guest = watching({ silenceMs });
  stand(guest);
  expect(guest.pass(5 * silenceMs)).toEqual([]);
  guest.tell({ type: 'slowDown', share: 0 });
  guest.watch.reported({ type: 'healed' });
  guest.watch.reported({ type: 'continued' });
  expect(guest.pass(silenceMs + 10)).toEqual(['silence at undefined']);
});

it('one that is slowed down to a half may take twice as long', () => {
  const { pass, tell } = watching({ silenceMs });
  tell({ type: 'slowDown', share: 0.5 });
  expect(pass(2 * silenceMs - 100)).toEqual([]);
  expect(pass(200)).toHaveLength(1);
});

it('a process that stood still has not listened', () => {
  const { pass, jump } = watching({ silenceMs });
  jump(100 * silenceMs);
  expect(pass(silenceMs - 1_000)).toEqual([]);
});

it('the panic of a copy is known when it has become the machine, and speaks', () => {
  // Goal: the primary dies just behind its guest; a takeover would hide why the guest does nothing.
  const { watch, pass, say, tell } = watching({}, false);
  watch.reported({ type: 'received', to: logPosition(1), executed: icount(40) });
  say(panic);
  watch.reported({ type: 'received', to: logPosition(2), executed: icount(60) });
  expect(pass(60_000)).toEqual([]);
  tell({ type: 'speak' });
  expect(pass(watchdogLimits.settleMs + 10)).toEqual(['panic at 40']);
});
