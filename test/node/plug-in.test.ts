// A machine that took over and has no network: it is tried again until it has one, and says so.
import { expect, it } from 'vitest';
import { Concerns } from '../../src/node/concerns.ts';
import { plugIn } from '../../src/node/plug-in.ts';
import { Reporter } from '../../src/node/report.ts';
import { quiet } from './machineless.ts';

const tries = (failures: number) => {
  const concerns = new Concerns({ reporter: new Reporter(), log: quiet });
  const said: string[] = [];
  let made = 0;
  const outputs = {
    open: async (): Promise<void> => {
      made += 1;
      said.push(...concerns.present.map(({ about, problem }) => `${about}: ${problem}`));
      if (made <= failures) throw new Error(`bridge ${made} is gone`);
    },
  };
  const problem = new Error('bridge 0 is gone');
  return { said, concerns, options: { outputs, macs: [], problem, concerns }, count: () => made };
};

it('is tried until it is there, and says why it is not while it lasts', async () => {
  const { said, concerns, options, count } = tries(2);
  await plugIn({ ...options, isOver: () => false });
  const why = (bridge: number) =>
    `egress: the machine runs without a network: bridge ${bridge} is gone. It is tried again`;
  expect([count(), said, concerns.present]).toEqual([3, [why(0), why(1), why(2)], []]);
});

it('is tried no more when the machine is gone, and is no concern then', async () => {
  const { concerns, options, count } = tries(100);
  await plugIn({ ...options, isOver: () => count() >= 1 });
  expect([count(), concerns.present]).toEqual([1, []]);
});
