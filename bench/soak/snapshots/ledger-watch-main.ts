/**
 * `ledger-watch-main HOST:PORT`: asks the guest for the number of its ledger's last line, again and
 * again, from where it can be reached. Each answer is a line of JSON, a `LedgerSight`. Ends with
 * its input, and with 1 when a request failed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../../src/base/errors.ts';
import { parseEndpoint } from '../../../src/lab/endpoint.ts';
import { nowMs } from '../../../src/lab/gap-watch.ts';
import { parseRead } from '../../../src/lab/load-clients.ts';
import { fetchText } from '../../../src/lab/request.ts';
import type { LedgerSight } from './outside.ts';

/** Shorter than the pause between two lines. */
const pauseMs = 20;

const endpoint = parseEndpoint(process.argv[2] ?? '');
let isEnding = false;
process.stdin.on('end', () => {
  isEnding = true;
});
process.stdin.resume();
try {
  if (endpoint === undefined) throw new Error('the first argument must be HOST:PORT');
  while (!isEnding) {
    const fromMs = nowMs();
    const { ledger } = parseRead(await fetchText(endpoint, '/read'));
    const sight: LedgerSight = { fromMs, toMs: nowMs(), ledger };
    process.stdout.write(`${JSON.stringify(sight)}\n`);
    await sleep(pauseMs);
  }
} catch (thrown) {
  process.stderr.write(`${asError(thrown).message}\n`);
  process.exitCode = 1;
}
process.stdin.destroy();
