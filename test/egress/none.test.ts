// No egress: takes everything, carries nothing, and counts what it dropped.
import { expect, test } from 'vitest';
import { NoEgress } from '../../src/egress/none.ts';
import { testFrame } from './outside.ts';

test('drops and counts', async () => {
  const egress = new NoEgress();
  await egress.open();
  egress.send([testFrame('a'), testFrame('b')]);
  egress.announce(['52:54:00:12:34:56']);
  expect(egress.stats()).toEqual({
    connected: false,
    framesSent: 0,
    framesReceived: 0,
    framesDropped: 2,
  });
  await egress.close();
});
