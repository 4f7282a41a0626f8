/**
 * Writes a ledger into the guest's PostgreSQL, a row at a time over one connection for each client,
 * and judges at the end what is there.
 *
 *     ledger-main HOST CLIENTS
 *
 * Says lines of JSON (ledger-record.ts). Ends, with its record, when its input does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { asError } from '../../../src/base/errors.ts';
import type { LedgerLine, LedgerRecord } from './ledger-record.ts';

const pauseMs = 50;
const againMs = 500;
/** A guest that boots takes its time. */
const judgeMs = 120_000;
const [host = '', clients = '2'] = process.argv.slice(2);
const stop = new AbortController();

const say = (line: LedgerLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ host, user: 'postgres', connectionTimeoutMillis: 20_000 });
  // Told by what is under way, or by what comes next.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Writes until it is told to stop; what was not acknowledged may be there or not. */
async function write(number: number, acknowledged: number[]): Promise<void> {
  let client: pg.Client | undefined;
  for (let n = 0; !stop.signal.aborted; n += 1) {
    try {
      client ??= await connected();
      await client.query('insert into ledger values ($1, $2)', [number, n]);
      acknowledged.push(n);
      await sleep(pauseMs);
    } catch (thrown) {
      const reason = asError(thrown).message;
      say({ type: 'broken', client: number, atMs: Date.now(), reason });
      client?.end().catch(() => undefined);
      client = undefined;
      await sleep(againMs);
    }
  }
  client?.end().catch(() => undefined);
}

async function judge(acknowledged: readonly number[][]): Promise<LedgerRecord> {
  const client = await patiently(judgeMs);
  const { rows } = await client.query<{ client: number; n: number; times: string }>(
    'select client, n, count(*) as times from ledger group by client, n',
  );
  await client.end();
  const there = new Set(rows.map(({ client: number, n }) => `${number} ${n}`));
  const all = acknowledged.flatMap((values, number) => values.map((n) => `${number} ${n}`));
  return {
    acknowledged: all.length,
    lost: all.filter((row) => !there.has(row)).length,
    doubled: rows.filter(({ times }) => Number(times) > 1).length,
  };
}

/** A connection, also to a database that is starting. */
async function patiently(ms: number): Promise<pg.Client> {
  const deadline = performance.now() + ms;
  for (;;) {
    try {
      return await connected();
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown;
      await sleep(againMs);
    }
  }
}

process.stdin.resume().on('end', () => stop.abort());
process.stdout.on('error', () => process.exit(1)); // the parent is gone
const first = await patiently(judgeMs);
await first.query('create table if not exists ledger (client int, n int)');
await first.end();
const acknowledged = Array.from({ length: Number(clients) }, (): number[] => []);
await Promise.all(acknowledged.map((values, number) => write(number, values)));
say({ type: 'record', ...(await judge(acknowledged)) });
