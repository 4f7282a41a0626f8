// What may be written of a watchdog, and how what may not be is refused.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { loadPairConfig } from '../../../src/node/pair-file/pair-config.ts';
import { watchdogKeys, watchdogSchema } from '../../../src/node/pair-file/watchdog-policy.ts';
import { scratchDir } from '../scratch.ts';

const file = path.join(scratchDir(), 'pair.yaml');

/** Of a pair with snapshots. */
function load(watchdog: string, snapshots = 'snapshots: { store: kept, every: 4s }') {
  fs.writeFileSync(
    file,
    `pair: web
vm: vm.yaml
arbiter: file:terms
${snapshots}
watchdog: ${watchdog}
nodes:
  a: { listen: ws://127.0.0.1:7001 }
  b: { listen: ws://127.0.0.1:7002 }
`,
  );
  return loadPairConfig(file, 'a').watchdog;
}

it('says what is not written: a panic of Linux, three times in an hour, an hour of the past', () => {
  expect(load('{ action: restore }')).toEqual({
    ...{ action: 'restore', panic: ['Kernel panic - not syncing'], silenceMs: undefined },
    ...{ restores: 3, withinMs: 3_600_000, losesMs: 3_600_000 },
  });
  const all =
    "{ action: tell, panic: ['PANIC:'], silence: 90s, restores: 1, within: 10m, loses: 30s }";
  expect(load(all)).toEqual({
    ...{ action: 'tell', panic: ['PANIC:'], silenceMs: 90_000 },
    ...{ restores: 1, withinMs: 600_000, losesMs: 30_000 },
  });
});

it.each([
  ['{}', 'watchdog.action: is missing'],
  ['{ action: reboot }', 'watchdog.action: must be tell or restore: current value is "reboot"'],
  ['{ action: tell, silence: 1s }', 'watchdog.silence: must be a time such as 60s, from 5s to 24h'],
  ['{ action: tell, silence: 25h }', 'watchdog.silence: must be a time such as 60s'],
  ['{ action: tell, restores: 0 }', 'watchdog.restores: must be a whole number from 1 to 100'],
  ['{ action: tell, within: 5s }', 'watchdog.within: must be a time such as 1h, from 1m to 24h'],
  ['{ action: tell, loses: 0s }', 'watchdog.loses: must be a time such as 1h, from 1s to 720h'],
  ['{ action: tell, panic: [x] }', 'watchdog.panic.0: must be a list of up to 16 texts'],
  ['{ action: tell, panic: all }', 'watchdog.panic: must be a list of up to 16 texts'],
  ['{ action: tell, panic: [] }', 'watchdog: watches for nothing: give panic or silence'],
  ['{ action: tell, silense: 9s }', "watchdog: unknown key 'silense': did you mean 'silence'?"],
])('%s is refused', (watchdog, says) => {
  expect(() => load(watchdog)).toThrow(says);
});

it('may not restore what is not kept; telling needs nothing', () => {
  expect(() => load('{ action: restore }', '')).toThrow(
    'watchdog.action: restore needs snapshots to go back to',
  );
  expect(load('{ action: tell }', '')?.action).toBe('tell');
});

it('its snapshots must reach further back than a silence', () => {
  const ten = 'snapshots: { store: kept, every: 1s, keep: { last: 10 } }';
  expect(() => load('{ action: restore, silence: 10s }', ten)).toThrow(
    'watchdog.silence: after 10 s no snapshot from before is left, as the last 10 of one every 1 s',
  );
  expect(load('{ action: restore, silence: 9s }', ten)?.silenceMs).toBe(9_000);
  expect(load('{ action: tell, silence: 60s }', ten)?.silenceMs).toBe(60_000);
  const more = ten.replace('last: 10', 'last: 10, hourly: 2');
  expect(load('{ action: restore, silence: 60s }', more)?.silenceMs).toBe(60_000);
});

it('knows its keys, for what is mistyped', () => {
  const parsed = watchdogSchema.parse({ action: 'tell', silence: '60s' });
  expect(watchdogKeys.toSorted()).toEqual(Object.keys(parsed).toSorted());
});
