/** Both links, in memory and over a WebSocket on loopback, keep the same contract. */

import { term } from '../../src/base/units.ts';
import type { Link } from '../../src/ports/link.ts';
import { dial } from '../../src/wire/dial.ts';
import type { Identity } from '../../src/wire/hello.ts';
import { listen } from '../../src/wire/listener.ts';
import { memoryLinkPair } from '../doubles/memory-pair.ts';
import { describeLinkContract } from './link-contract.ts';
import { startProxy } from './tcp-proxy.ts';

const identity = (node: string): Identity => ({
  node,
  pair: 'p',
  qemu: '7.2.22',
  logLayout: '7.2',
  vmFingerprint: 'f',
  term: term(1),
});

describeLinkContract('in memory', () => {
  const pair = memoryLinkPair();
  return Promise.resolve({ ...pair, cleanUp: () => Promise.resolve() });
});

describeLinkContract('over a WebSocket', async () => {
  let accept: (link: Link) => void = () => undefined;
  const accepted = new Promise<Link>((resolve) => {
    accept = resolve;
  });
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity('b'),
    onLink: accept,
  });
  const proxy = await startProxy(listener.port);
  const a = await dial({ host: '127.0.0.1', port: proxy.port, identity: identity('a') });
  const b = await accepted;
  return {
    a,
    b,
    break: () => proxy.break(),
    cleanUp: async () => {
      a.close('test over');
      b.close('test over');
      proxy.close();
      await listener.close();
    },
  };
});
