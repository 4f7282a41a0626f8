// A bridge or a socket that a takeover would need, and that is gone, is told before there is one.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { EgressWatch } from '../../src/node/egress-watch.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();

test('an egress that is away is a concern of a node that does not use it', async () => {
  const socket = path.join(dir, 'passt.socket');
  const told: (string | undefined)[] = [];
  let isInUse = false;
  const watch = new EgressWatch({
    specs: ['none', `stream:${socket}`],
    isInUse: () => isInUse,
    concerns: { tell: (about, problem) => told.push(`${about}: ${problem}`) },
  });
  watch.look();
  expect(told.splice(0)).toEqual([
    'network: a takeover would run without a network. ' +
      `Cannot use 'stream:${socket}' as egress: there is no socket '${socket}'`,
  ]);
  const server = net.createServer().listen(socket);
  await new Promise((resolve) => server.once('listening', resolve));
  watch.look();
  expect(told.splice(0)).toEqual(['network: undefined']);
  await new Promise((resolve) => server.close(resolve));
  fs.rmSync(socket, { force: true });
  isInUse = true;
  watch.look();
  expect(told).toEqual(['network: undefined']);
});
