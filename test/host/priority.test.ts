// A thread that is served first still stands still while it waits for one that is not: Node has
// several, and all of them are raised.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { compiled } from '../compiled/program.ts';

const realTime = 2;

it('all threads of a node that has the rights are served before its machines', ({ skip }) => {
  const main = compiled('test/host/raised-main.ts');
  const said = execFileSync(process.execPath, [main], { encoding: 'utf8' });
  const { raised, policies } = JSON.parse(said) as { raised: boolean; policies: number[] };
  if (!raised || !policies.includes(realTime)) return skip(); // it takes CAP_SYS_NICE
  expect(policies.length).toBeGreaterThan(2);
  expect(new Set(policies)).toEqual(new Set([realTime]));
});
