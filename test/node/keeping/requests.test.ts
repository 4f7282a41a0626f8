// A backup asks its primary for a snapshot, and is told of each one what became of it.
import { expect, test } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { answerRequest, SnapshotRequests } from '../../../src/node/keeping/requests.ts';
import type { SnapshotRequest } from '../../../src/ports/link.ts';
import { snapshotLimits } from '../../../src/restore/limits.ts';

/** Requests whose primary does `take`. */
function asking(take: (label?: string) => Promise<string>) {
  const sent: SnapshotRequest[] = [];
  const requests: SnapshotRequests = new SnapshotRequests((request) => {
    sent.push(request);
    void answerRequest(request, take).then((result) => requests.take(result));
  });
  return { requests, sent };
}

test('each is answered with its own snapshot, in whatever order', async () => {
  const ends: (() => void)[] = [];
  const { requests, sent } = asking(async (label) => {
    await new Promise<void>((resolve) => ends.unshift(resolve));
    return `id of ${label}`;
  });
  const asked = [requests.ask('one'), requests.ask(), requests.ask('two')];
  for (const end of ends) end();
  expect(await Promise.all(asked)).toEqual(['id of one', 'id of undefined', 'id of two']);
  expect(sent.map(({ label }) => label)).toEqual(['one', undefined, 'two']);
  expect(new Set(sent.map(({ requestId }) => requestId)).size).toBe(3);
});

test('what the primary refuses is refused here, in the same words', async () => {
  const { requests } = asking(() => Promise.reject(new UnderstudyError('cut', 'state is seeding')));
  await expect(requests.ask()).rejects.toMatchObject({ message: 'state is seeding' });
});

test('an answer without a word, twice, or to nobody does no harm', async () => {
  const sent: SnapshotRequest[] = [];
  const requests = new SnapshotRequests((request) => sent.push(request));
  const asked = requests.ask();
  const { requestId = '' } = sent[0] ?? {};
  requests.take({ type: 'snapshotResult', requestId: 'another', snapshot: 'x' });
  requests.take({ type: 'snapshotResult', requestId });
  requests.take({ type: 'snapshotResult', requestId, snapshot: 'late' });
  await expect(asked).rejects.toMatchObject({
    code: 'store',
    message: 'The primary kept no snapshot',
  });
});

test('the primary is lost: what waits is told why, and so is who asks later', async () => {
  const requests = new SnapshotRequests(() => undefined);
  const asked = requests.ask('a');
  requests.end('nothing was heard for 300 ms');
  requests.end('closed');
  for (const one of [asked, requests.ask('b')]) {
    await expect(one).rejects.toMatchObject({
      code: 'link',
      message: expect.stringContaining('The link to the primary ended'),
      hint: expect.stringContaining('snapshot ls'),
    });
    await expect(one).rejects.toThrow('nothing was heard for 300 ms');
  }
});

test('too many at once are refused, and one more goes when one was answered', async () => {
  const sent: SnapshotRequest[] = [];
  const requests = new SnapshotRequests((request) => sent.push(request));
  const asked = Array.from({ length: snapshotLimits.requestsMax }, () => requests.ask());
  await expect(requests.ask()).rejects.toMatchObject({ code: 'resources', mayPass: true });
  expect(sent).toHaveLength(snapshotLimits.requestsMax);
  requests.take({ type: 'snapshotResult', requestId: sent[0]?.requestId ?? '', snapshot: 'id' });
  expect(await asked[0]).toBe('id');
  asked.push(requests.ask());
  expect(sent).toHaveLength(snapshotLimits.requestsMax + 1);
  requests.end('over');
  await Promise.allSettled(asked);
});
