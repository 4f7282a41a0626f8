/**
 * Reads pages of the guest, in the world where it can be reached.
 *
 *     page-reader-main HOST:PORT
 *
 * Takes `{id, path}` and says `{id, text}` or `{id, problem}`, a line each, in any order. Ends with
 * its input.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../base/errors.ts';
import { parseEndpoint } from './endpoint.ts';
import type { PageAnswer, PageQuestion } from './page-reader.ts';
import { fetchText } from './request.ts';

/** Who is refused asks again at once: a guest that boots has better things to do. */
const refusedMs = 50;

const endpoint = parseEndpoint(process.argv[2] ?? '');
if (endpoint === undefined) throw new Error('the argument must be HOST:PORT');

const input = createInterface({ input: process.stdin });
input.on('line', async (line) => {
  const { id, path } = JSON.parse(line) as PageQuestion;
  const answer = await fetchText(endpoint, path).then(
    (text): PageAnswer => ({ id, text }),
    async (error: unknown): Promise<PageAnswer> => {
      await sleep(refusedMs);
      return { id, problem: asError(error).message };
    },
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
input.on('close', () => process.exit());
