/**
 * Asks the guest's PostgreSQL over one connection, one question after the other.
 *
 *     asking-main HOST SECONDS
 *
 * Says the median of what an answer took, milliseconds, as a line of JSON.
 */
import pg from 'pg';
import { median } from '../../src/bench/report/stats.ts';

const [host = '', seconds = '5'] = process.argv.slice(2);
const client = new pg.Client({ host, user: 'postgres' });
await client.connect();
const took: number[] = [];
const until = performance.now() + Number(seconds) * 1000;
while (performance.now() < until) {
  const begun = performance.now();
  await client.query('select 1');
  took.push(performance.now() - begun);
}
await client.end();
process.stdout.write(`${median(took)}\n`);
