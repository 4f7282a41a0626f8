/**
 * `client-main HOST:PORT`: asks the guest for pages from where it can be reached, and times the
 * answers.
 *
 * A line of JSON in, a line of JSON out, several at a time. It lives as long as its standard input:
 * starting a program for each request would take longer than most of what is measured.
 */
import { createInterface } from 'node:readline';
import { asError } from '../../base/errors.ts';
import { parseEndpoint } from '../../lab/endpoint.ts';
import { fetchText } from '../../lab/request.ts';
import type { ClientAnswer, ClientRequest } from './client.ts';

const endpoint = parseEndpoint(process.argv[2] ?? '');
if (endpoint === undefined) {
  process.stderr.write(
    `the argument must be HOST:PORT: current value is '${process.argv[2] ?? ''}'\n`,
  );
  process.exit(2);
}

/** Asks `count` times, `connections` at a time; a connection for each. */
async function ask(request: ClientRequest): Promise<Omit<ClientAnswer, 'id'>> {
  const { path, count, connections, timeoutMs } = request;
  const latenciesMs: number[] = [];
  let body = '';
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const begun = performance.now();
      body = await fetchText(endpoint as NonNullable<typeof endpoint>, path, { timeoutMs });
      latenciesMs.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: connections }, worker));
  return { ms: performance.now() - begun, latenciesMs, body };
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = JSON.parse(line) as ClientRequest;
    const answer = (what: Omit<ClientAnswer, 'id'>): void => {
      process.stdout.write(
        `${JSON.stringify({ id: request.id, ...what } satisfies ClientAnswer)}\n`,
      );
    };
    ask(request).then(answer, (thrown: unknown) =>
      answer({ ms: 0, latenciesMs: [], body: '', error: asError(thrown).message }),
    );
  })
  .on('close', () => process.exit());
