// The simulated network keeps what TCP keeps: the order of one connection, whatever its packets
// meet.
import { describe, expect, it } from 'vitest';
import type { SimHello } from '../../sim/messages.ts';
import { type ConnectionEnd, Network } from '../../sim/network.ts';
import { World } from '../../sim/world.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';

const [none, one] = [term(0), term(1)];
const hello = (node: string): SimHello => {
  return {
    node,
    term: one,
    standing: { role: 'none', isGranted: false, spoken: none, logged: none },
  };
};

describe('a connection of the simulated network', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'delivers in order through cuts and delays, seed %i',
    (seed) => {
      const world = new World(seed);
      const network = new Network(world);
      const arrived: number[] = [];
      const host = network.host('b');
      host.answer = () => hello('b');
      host.accept = (end) => {
        end.handlers = {
          onMessage: (message) => {
            if (message.kind === 'ack') arrived.push(message.received);
          },
          onClose: () => undefined,
        };
      };
      let end: ConnectionEnd | undefined;
      network.dial('a', 'b', hello('a'), (made) => {
        end = made;
      });
      world.run(50);
      Object.assign(network.path('a', 'b'), { delayMs: 5, jitterMs: 9, overtakePermille: 300 });
      let sent = 0;
      for (let step = 0; step < 400; step += 1) {
        if (world.prng.chance(200)) network.setCut('a', 'b', world.prng.chance(500));
        sent += 1;
        const received = logPosition(sent);
        end?.send({ kind: 'ack', term: one, received, appliedIcount: icount(0) });
        world.run(world.now + world.prng.below(4));
      }
      network.setCut('a', 'b', false);
      world.run(world.now + 1000);
      expect(arrived).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
    },
  );
});
