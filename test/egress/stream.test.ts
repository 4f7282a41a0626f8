// Egress over a socket: the contract over unix and TCP sockets, and life with a peer that leaves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type StreamAddress, StreamEgress } from '../../src/egress/stream.ts';
import { egressContract } from './contract.ts';
import { GUEST_MAC, type Outside, StreamPeer, testFrame, textOf, until } from './outside.ts';

async function streamOutside(listen: (peer: StreamPeer) => Promise<StreamAddress>, end = () => {}) {
  const peer = new StreamPeer();
  const egress = new StreamEgress(await listen(peer));
  const outside: Outside = {
    egress,
    seen: peer.seen,
    put: (frame) => peer.put(frame),
    cut: () => Promise.resolve(peer.drop()),
    async remove() {
      await peer.close();
      end();
    },
  };
  return outside;
}

egressContract('stream over a unix socket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-'));
  return streamOutside(
    async (peer) => {
      const path = join(folder, 's');
      await peer.listen(path);
      return { path };
    },
    () => rmSync(folder, { recursive: true }),
  );
});

egressContract('stream over TCP', () =>
  streamOutside(async (peer) => ({ host: '127.0.0.1', port: await peer.listen(0) })),
);

describe('a stream peer that does not behave', () => {
  let peer: StreamPeer;
  let egress: StreamEgress;
  let downs: boolean[];
  beforeEach(async () => {
    peer = new StreamPeer();
    const port = await peer.listen(0);
    egress = new StreamEgress({ host: '127.0.0.1', port }, { openMs: 1000, retryMsMin: 2 });
    downs = [];
    egress.onDown((_reason, recovering) => downs.push(recovering));
  });
  afterEach(async () => {
    await egress.close();
    await peer.close();
  });

  test('the connection breaks: it comes back by itself and announces again', async () => {
    await egress.open();
    egress.announce([GUEST_MAC]);
    await until('announced', () => peer.seen.length > 0);
    peer.drop();
    await until('told', () => downs.length === 1);
    expect(downs).toEqual([true]);
    peer.seen.length = 0;
    await until('connected again', () => egress.stats().connected);
    await until('announced again', () => peer.seen.length > 0);
    peer.seen.length = 0;
    egress.send([testFrame('after')]);
    await until('carried', () => peer.seen.map(textOf).includes('after'));
  });

  test('passt still has its old client: refused three times, then served', async () => {
    peer.refuseNext = 3;
    await egress.open();
    await until('served', () => peer.clients === 4 && egress.stats().connected);
  });

  test('the peer loses step: the connection is closed with the reason and tried again', async () => {
    await egress.open();
    await until('served', () => peer.clients === 1);
    peer.putRaw(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await until('served again', () => peer.clients === 2 && egress.stats().connected);
    expect(downs).toEqual([true]);
  });
});

test('nobody listens: open fails with what to do about it', async () => {
  const egress = new StreamEgress({ path: '/nonexistent/socket' }, { openMs: 30 });
  await expect(egress.open()).rejects.toMatchObject({ code: 'link', hint: /start the program/ });
  await egress.close();
});
