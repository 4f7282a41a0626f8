// The device state of a cut arrives as pieces of one stream.
import { expect, it } from 'vitest';
import { term } from '../../../src/base/units.ts';
import { BlobCollector } from '../../../src/node/machine/blob-collector.ts';
import type { BlobFrame } from '../../../src/ports/link.ts';

const blob = (fields: Partial<BlobFrame>): BlobFrame => ({
  kind: 'blob',
  term: term(1),
  stream: 0,
  offset: 0,
  last: false,
  payload: new Uint8Array(0),
  ...fields,
});

it('gives the bytes when the last piece is there, and refuses any other stream', async () => {
  const collector = new BlobCollector(0, 4);
  collector.take(blob({ offset: 2, payload: Buffer.from('cd') }));
  expect(() => collector.take(blob({ stream: 1 }))).toThrow('stream 1 was not expected');
  expect(() => collector.take(blob({ offset: 3, payload: Buffer.alloc(2) }))).toThrow(
    'was not expected',
  );
  collector.take(blob({ payload: Buffer.from('ab') }));
  collector.take(blob({ offset: 4, last: true }));
  expect((await collector.complete).toString()).toBe('abcd');
});
