/** What a database and a shell in the guest do in a second, and how long an answer takes. */
import { createInterface } from 'node:readline';
import { UnderstudyError } from '../../src/base/errors.ts';
import { median } from '../../src/bench/report/stats.ts';
import { guestNet } from '../../src/lab/guest-net.ts';
import { recordOf } from '../../src/lab/record-of.ts';
import type { World } from '../../src/lab/world.ts';
import { spawnProgram } from '../../src/lab/world-program.ts';
import type { DebianGuest } from '../soak/distribution/guest.ts';

export interface Served {
  /** pgbench's transactions a second, one client. */
  readonly transactions: number;
  /** An answer to `select 1` over the network, milliseconds, median. */
  readonly answerMs: number;
  /** A line that an ssh session echoes, milliseconds, median. */
  readonly echoMs: number;
}

const pgbench = "runuser -u postgres -- sh -c '/usr/lib/postgresql/*/bin/pgbench";
const fillMs = 600_000;
const lateMs = 120_000;

/** `seconds`: of pgbench; a third of it each for the others. */
export async function measureServed(
  world: World,
  guest: DebianGuest,
  seconds: number,
): Promise<Served> {
  await guest.run(`${pgbench} -i -q postgres'`, fillMs);
  const echoMs = await echo(guest, seconds / 3);
  const answerMs = await answer(world, seconds / 3);
  const said = await guest.run(
    `${pgbench} -n -c 1 -T ${Math.ceil(seconds)} postgres'`,
    seconds * 1000 + lateMs,
  );
  const transactions = Number(/^tps = ([\d.]+)/m.exec(said)?.[1]);
  if (Number.isNaN(transactions)) {
    throw new UnderstudyError('environment', `pgbench did not say how fast it was: '${said}'`);
  }
  return { transactions, answerMs, echoMs };
}

/** A line at a time, as somebody types. */
async function echo(guest: DebianGuest, seconds: number): Promise<number> {
  const session = guest.start('cat');
  session.stderr.resume();
  session.stdin.on('error', () => undefined); // its end tells
  const lines = createInterface({ input: session.stdout })[Symbol.asyncIterator]();
  const echoed = async (line: string): Promise<number> => {
    const begun = performance.now();
    session.stdin.write(`${line}\n`);
    const { done, value } = await lines.next();
    if (done !== true && value === line) return performance.now() - begun;
    throw new UnderstudyError('environment', `The ssh session did not echo: '${value}'`);
  };
  try {
    await echoed('the session is there');
    const took: number[] = [];
    const until = performance.now() + seconds * 1000;
    while (performance.now() < until) took.push(await echoed(String(took.length)));
    return median(took);
  } finally {
    session.stdin.end();
  }
}

function answer(world: World, seconds: number): Promise<number> {
  const { address } = guestNet;
  const child = spawnProgram(world, import.meta.url, 'asking-main', [address, String(seconds)]);
  child.stdin.end();
  return recordOf(child, 'Asking the database', (ms: number) => (ms > 0 ? ms : undefined));
}
