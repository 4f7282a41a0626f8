/**
 * Faults by name, each with what it does to the pair. A run draws which of them may strike.
 *
 * `strike` returns how long the fault lasts, or nothing when it is over at once; `heal` undoes it.
 */
import { arbiterFaults } from './arbiter-faults.ts';
import {
  anyNode,
  change,
  changePath,
  crash,
  cutOne,
  type Fault,
  forAWhile,
  restartLater,
} from './strike.ts';

export const faults: readonly Fault[] = [
  { name: 'crash of a process', weight: 16, strike: (pair) => crash(pair, 'process') },
  { name: 'loss of power', weight: 10, strike: (pair) => crash(pair, 'power') },
  {
    name: 'crash at a step',
    weight: 8,
    strike: (pair) => {
      const node = anyNode(pair);
      if (!node.isUp) return false;
      node.process.crashIn = pair.world.prng.between(1, 30);
      pair.world.after(900, () => pair.startIfDown(node));
      return undefined; // counted when it happens
    },
  },
  {
    name: 'torn log',
    weight: 4,
    strike: (pair) => {
      const node = pair.primary;
      if (node === undefined) return false;
      node.tearLog();
      node.crash('process');
      restartLater(pair, node);
      return true;
    },
  },
  {
    name: 'process stands still',
    weight: 8,
    strike: (pair) => {
      // A primary that goes on later must not obey what waited for it.
      const node = pair.world.prng.chance(700) ? pair.primary : anyNode(pair);
      if (node?.isUp !== true || node.process.isPaused) return false;
      return forAWhile(pair, pair.world.prng.pick([60, 400, 2000]), () => {
        node.process.pause();
        return () => node.process.go();
      });
    },
  },
  {
    name: 'clock jump',
    weight: 2,
    strike: (pair) => {
      anyNode(pair).process.jumpClock(pair.world.prng.pick([20, 250, 1000, 60_000]));
      return true;
    },
  },
  {
    name: 'connection reset',
    weight: 5,
    strike: (pair) => {
      pair.network.resetAll();
      return true;
    },
  },
  {
    name: 'partition',
    weight: 5,
    strike: (pair) =>
      forAWhile(pair, 1200, () => {
        const undo = [cutOne(pair, 'a', 'b'), cutOne(pair, 'b', 'a')];
        return () => {
          for (const heal of undo) heal();
        };
      }),
  },
  {
    name: 'asymmetric partition',
    weight: 6,
    strike: (pair) =>
      forAWhile(pair, 1200, () =>
        pair.world.prng.chance(500) ? cutOne(pair, 'a', 'b') : cutOne(pair, 'b', 'a'),
      ),
  },
  {
    name: 'half-open link',
    weight: 4,
    strike: (pair) => {
      // A host dies without a word and is back before its peer has noticed.
      const node = anyNode(pair);
      if (!node.isUp) return false;
      node.crash('power');
      pair.world.after(pair.world.prng.between(1, 150), () => pair.startIfDown(node));
      return true;
    },
  },
  {
    name: 'packet loss',
    weight: 3,
    strike: (pair) => forAWhile(pair, 1500, () => changePath(pair, { lossPermille: 300 })),
  },
  {
    name: 'duplication',
    weight: 2,
    strike: (pair) => forAWhile(pair, 1500, () => changePath(pair, { doublePermille: 300 })),
  },
  {
    name: 'reordering',
    weight: 2,
    strike: (pair) =>
      forAWhile(pair, 1500, () => changePath(pair, { overtakePermille: 300, jitterMs: 4 })),
  },
  {
    name: 'delay',
    weight: 4,
    strike: (pair) =>
      forAWhile(pair, 1500, () =>
        changePath(pair, { delayMs: pair.world.prng.pick([5, 50, 150]), jitterMs: 10 }),
      ),
  },
  {
    name: 'message of an older term',
    weight: 3,
    strike: (pair) => pair.replayOldMessage(),
  },
  {
    name: 'slow disk',
    weight: 3,
    strike: (pair) => {
      const slowly = (): number => pair.world.prng.between(20, 300);
      return change(pair, anyNode(pair), {
        ...{ diskMs: slowly, spoolMs: slowly, rememberMs: slowly },
      });
    },
  },
  {
    name: 'full spool',
    weight: 2,
    strike: (pair) => change(pair, anyNode(pair), { spoolMs: () => undefined }),
  },
  {
    name: 'stalled backup',
    weight: 2,
    strike: (pair) => {
      const copy = pair.backup?.copy;
      if (copy === undefined) return false;
      copy.isStalled = true;
      return true;
    },
  },
  {
    name: 'takeover cannot be proved',
    weight: 5,
    strike: (pair) => {
      const { backup, world } = pair;
      if (backup === undefined || !pair.isProtected) return false;
      change(pair, backup, { takeoverFails: () => true }, 3000);
      // Its primary lives, and is not heard for a while.
      return forAWhile(pair, world.prng.pick([150, 600]), () =>
        cutOne(pair, backup.name === 'b' ? 'a' : 'b', backup.name),
      );
    },
  },
  {
    name: 'starved nodes',
    weight: 4,
    strike: (pair) => {
      // Both hosts are busy: a backup is far behind, its primary late to be heard.
      const { primary, backup, world } = pair;
      if (primary === undefined || backup === undefined || !pair.isProtected) return false;
      let ticks = 0;
      const copySpeed = (): number => {
        ticks += 1;
        return ticks % 2;
      };
      change(pair, backup, { copySpeed }, 4000);
      return forAWhile(pair, 3000, () => {
        let isOver = false;
        world.after(world.prng.between(200, 1500), () => {
          if (!isOver && primary.isUp) primary.process.pause();
        });
        return () => {
          isOver = true;
          primary.process.go();
        };
      });
    },
  },
  {
    name: 'part of a backup fails',
    weight: 8,
    drawnPermille: 150,
    strike: (pair) => {
      const copy = pair.backup?.copy;
      copy?.breakDown();
      return copy !== undefined;
    },
  },
  {
    name: 'diverged backup',
    weight: 6,
    strike: (pair) => {
      const copy = pair.backup?.copy;
      if (copy?.history === undefined) return false;
      copy.diverge();
      return true;
    },
  },
  {
    name: 'slow copy',
    weight: 8,
    strike: (pair) => {
      // Of a pair that is protected: others have no lag.
      const node = pair.backup;
      if (node === undefined) return false;
      let ticks = 0;
      const copySpeed = (): number => {
        ticks += 1;
        return ticks % 2;
      };
      return change(pair, node, { copySpeed }, 8000);
    },
  },
  {
    name: 'full disk',
    weight: 3,
    strike: (pair) =>
      change(pair, anyNode(pair), { rememberMs: () => undefined, spoolMs: () => undefined }),
  },
  {
    name: 'monitor does not answer',
    weight: 6,
    strike: (pair) => {
      const fails = (): boolean => pair.world.prng.chance(600);
      return change(pair, anyNode(pair), { stopFails: fails, goFails: fails, cutFails: fails });
    },
  },
  {
    name: 'QEMU ends',
    weight: 3,
    strike: (pair) => {
      const machine = pair.primary?.machine;
      if (machine === undefined) return false;
      machine.fail();
      return true;
    },
  },
  {
    name: 'disk under a machine fails',
    weight: 4,
    strike: (pair) => {
      const machine = pair.primary?.machine;
      if (machine === undefined) return false;
      return forAWhile(pair, pair.world.prng.pick([100, 1000, 6000]), () => {
        machine.breakDown();
        return () => machine.mend();
      });
    },
  },
  ...arbiterFaults,
];

/** Not faults, but things that operators and guests do. */
export const deeds: readonly Fault[] = [
  {
    name: 'drill',
    weight: 6,
    strike: (pair) => {
      const node = pair.primary;
      if (node?.state !== 'protected') return false;
      node.ask({ wish: 'drill' });
      // Sometimes whom it is handed to is gone before it has it.
      const { backup, world } = pair;
      if (backup === undefined || !world.prng.chance(300)) return true;
      if (world.prng.chance(500)) change(pair, node, { goFails: () => true });
      world.after(world.prng.between(1, 8), () => {
        if (backup.isUp) backup.crash('process');
        restartLater(pair, backup);
      });
      return true;
    },
  },
  {
    name: 'guest fails',
    weight: 4,
    strike: (pair) => {
      const node = pair.primary;
      node?.ask({ wish: 'goBack', reason: 'its guest failed' });
      return node !== undefined;
    },
  },
  {
    name: 'compare',
    weight: 4,
    strike: (pair) => {
      pair.primary?.ask({ wish: 'compare' });
      return pair.primary !== undefined;
    },
  },
  {
    name: 'snapshot',
    weight: 6,
    strike: (pair) => {
      const node = anyNode(pair);
      if (!node.isUp) return false;
      node.ask({ wish: 'snapshot' });
      return true;
    },
  },
  {
    name: 'guest shuts down',
    weight: 1,
    strike: (pair) => {
      const node = pair.primary;
      if (node?.machine === undefined) return false;
      node.machine.shutDown();
      // Sometimes its node dies on the heels of it.
      if (pair.world.prng.chance(500)) node.process.crashIn = 2;
      return true;
    },
  },
];
