/**
 * Faults of the arbiter: it is slow, away, empty, set back, or somebody else has a term of it.
 */
import type { Pair } from './pair.ts';
import { anyNode, cutOne, type Fault, forAWhile, restartLater } from './strike.ts';

/** One node or both are among these, until the returned function is called. */
function someIn({ world }: Pair, nodes: Set<string>): () => void {
  const some = world.prng.pick([['a'], ['b'], ['a', 'b']]);
  for (const name of some) nodes.add(name);
  return () => {
    for (const name of some) nodes.delete(name);
  };
}

export const arbiterFaults: readonly Fault[] = [
  {
    name: 'arbiter slow',
    weight: 4,
    strike: (pair) =>
      forAWhile(pair, 2500, () => {
        pair.temper.slowMs = pair.world.prng.pick([50, 400, 700]);
        return () => {
          pair.temper.slowMs = 0;
        };
      }),
  },
  {
    name: 'arbiter away',
    weight: 4,
    strike: (pair) => forAWhile(pair, 1500, () => someIn(pair, pair.temper.unreachable)),
  },
  {
    name: 'arbiter away for long',
    weight: 60,
    drawnPermille: 60,
    strike: (pair) => {
      if (pair.world.now > 2500) return false;
      pair.undo.add(someIn(pair, pair.temper.unreachable));
      return true;
    },
  },
  {
    name: 'arbiter empty',
    weight: 6,
    drawnPermille: 150,
    strike: (pair) => forAWhile(pair, 2500, () => someIn(pair, pair.temper.empty)),
  },
  {
    name: 'new host without its arbiter',
    weight: 8,
    drawnPermille: 150,
    strike: (pair) => {
      // It has the arbiter's directory to mount, and does not reach its peer yet.
      const { primary, arbiter, world, temper } = pair;
      const isSettled = primary?.spoken === arbiter.term && !arbiter.isSetBack;
      if (primary?.core?.term !== arbiter.term || !isSettled) return false;
      const node = primary === pair.a ? pair.b : pair.a;
      node.replaceHost();
      restartLater(pair, node);
      return forAWhile(pair, 2500, () => {
        const join = [cutOne(pair, 'a', 'b'), cutOne(pair, 'b', 'a')];
        temper.empty.add(node.name);
        world.say(node.name, 'has an empty arbiter');
        return () => {
          temper.empty.delete(node.name);
          for (const heal of join) heal();
        };
      });
    },
  },
  {
    name: 'arbiter set back',
    weight: 12,
    drawnPermille: 120,
    strike: (pair) => {
      const { arbiter, world } = pair;
      // Against a node that never heard of the newest term there is no help.
      const haveSeen = [pair.a, pair.b].every(({ seen }) => seen === arbiter.term);
      if (arbiter.term === 0 || arbiter.isSetBack || !haveSeen) return false;
      if (world.prng.chance(500)) {
        const node = anyNode(pair);
        for (const each of [pair.a, pair.b]) each.crash('process');
        world.after(world.prng.between(10, 50), () => pair.startIfDown(node));
        world.after(world.prng.between(3500, 5000), () => {
          for (const each of [pair.a, pair.b]) pair.startIfDown(each);
        });
      }
      const by = world.prng.between(1, arbiter.term);
      return forAWhile(pair, 5000, () => arbiter.setBack(by));
    },
  },
  {
    name: 'second process of a name',
    weight: 12,
    drawnPermille: 120,
    strike: (pair) => {
      const { primary, arbiter } = pair;
      if (primary?.spoken !== arbiter.term || arbiter.isSetBack) return false;
      arbiter.giveTo(`${primary.name}:second`);
      return true;
    },
  },
  {
    name: 'arbiter answers lost',
    weight: 4,
    strike: (pair) =>
      forAWhile(pair, 2500, () => {
        pair.temper.lostPermille = 400;
        return () => {
          pair.temper.lostPermille = 0;
        };
      }),
  },
];
