/** What a database and a shell in the guest do in a second, and how long an answer takes. */
import { createInterface } from 'node:readline';
import { UnderstudyError } from '../../src/base/errors.ts';
import { median } from '../../src/bench/report/stats.ts';
import { guestNet } from '../../src/lab/guest-net.ts';
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
  const lines = createInterface({ input: session.stdout })[Symbol.asyncIterator]();
  const took: number[] = [];
  const until = performance.now() + seconds * 1000;
  try {
    while (performance.now() < until) {
      const begun = performance.now();
      session.stdin.write(`${took.length}\n`);
      const { done, value } = await lines.next();
      if (done === true || value !== String(took.length)) {
        throw new UnderstudyError('environment', `The ssh session did not echo: '${value}'`);
      }
      took.push(performance.now() - begun);
    }
  } finally {
    session.stdin.end();
  }
  // The first one waits for the session.
  return median(took.slice(1));
}

async function answer(world: World, seconds: number): Promise<number> {
  const child = spawnProgram(world, import.meta.url, 'asking-main', [
    guestNet.address,
    String(seconds),
  ]);
  child.stdin.end();
  let said = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-500);
  });
  await new Promise((resolve) => child.on('close', resolve));
  const ms = Number(said);
  if (said !== '' && ms > 0) return ms;
  throw new UnderstudyError('environment', 'The database did not answer', {
    cause: new Error(complaint.trim()),
  });
}
