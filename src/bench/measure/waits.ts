/**
 * Section: what outputs wait at the gate, and what clients feel of it; the log of an idle guest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Distribution } from '../../base/distribution.ts';
import { LoadProcess } from '../../lab/load-process.ts';
import type { Arrangement } from '../results.ts';
import type { Guest } from './guest.ts';
import { benchLimits } from './limits.ts';
import { NodeFigures } from './node-figures.ts';
import type { Session } from './session.ts';

/**
 * The example guest writes a ledger line 16 times a second, each to the disk: an idle one does not.
 */
const idleGuest = 'understudy.ledger_ms=3600000';

/**
 * Latencies of an otherwise idle guest in one arrangement; of a pair also holds, idle log and load.
 */
export async function measureWaits(
  session: Session,
  arrangement: Arrangement,
  seconds: number,
): Promise<void> {
  if (arrangement === 'pair') {
    await measurePairWaits(session, seconds);
    return;
  }
  const guest = await session.guest(arrangement, { append: idleGuest });
  try {
    await latencies(session, guest, seconds);
  } finally {
    await guest.close();
  }
}

async function measurePairWaits(session: Session, seconds: number): Promise<void> {
  const { results } = session;
  const guest = await session.pair({ append: idleGuest });
  const figures = new NodeFigures(guest);
  try {
    await sleep(benchLimits.idleSettleMs);
    session.status('an idle pair');
    const idle = await figures.during('idle', () => sleep(seconds * 1000));
    if (idle !== undefined) {
      results.logs.push(idle.log);
      results.lags.push(idle.lag);
    }
    await latencies(session, guest, seconds);
    const { hold } = figures;
    if (hold !== undefined) results.holds.push(holdRun('idle', hold));
    results.memory.push(...figures.memory);
  } finally {
    figures.close();
    await guest.close();
  }
  await measureLoadedHold(session, seconds);
}

/** The idle log of a guest whose timer goes on ticking when it is idle. */
export async function measureTimerRate(session: Session, seconds: number): Promise<void> {
  const guest = await session.pair({ append: `nohz=off ${idleGuest}` });
  const figures = new NodeFigures(guest);
  try {
    await sleep(benchLimits.idleSettleMs);
    session.status('an idle guest with a ticking timer');
    const { tickHz } = benchLimits;
    const stretch = await figures.during('idle', () => sleep(seconds * 1000), tickHz);
    if (stretch !== undefined) session.results.logs.push(stretch.log);
  } finally {
    figures.close();
    await guest.close();
  }
}

/** A pair of its own: a node's holds are told since it is protected. */
async function measureLoadedHold(session: Session, seconds: number): Promise<void> {
  const guest = await session.pair();
  const figures = new NodeFigures(guest);
  const load = new LoadProcess(session.world, { runName: `hold${process.pid}` });
  try {
    session.status('a pair under the load of the demo');
    await sleep(seconds * 1000);
    const { hold } = figures;
    if (hold !== undefined) session.results.holds.push(holdRun('http', hold));
    session.results.memory.push(...figures.memory);
  } finally {
    await load.stop().catch(() => undefined);
    figures.close();
    await guest.close();
  }
}

async function latencies(
  session: Session,
  { arrangement, client }: Guest,
  seconds: number,
): Promise<void> {
  session.status(`ping and HTTP in arrangement ${arrangement}`);
  const { results } = session;
  const ping = await client.ping((seconds * 1000) / 2);
  if (ping === undefined) {
    session.gap(`ping (${arrangement})`, 'the guest cannot be pinged in this world');
  } else results.latencies.push({ arrangement, what: 'ping', ...ping });
  const http = new Distribution();
  const until = performance.now() + (seconds * 1000) / 2;
  while (performance.now() < until) http.add((await client.ask('/read')).ms);
  const [p50Ms, p99Ms] = [http.p(0.5), http.p(0.99)];
  results.latencies.push({ arrangement, what: 'http', p50Ms, p99Ms, count: http.count });
}

const holdRun = (load: 'idle' | 'http', hold: { p50Ms: number; p99Ms: number; count: number }) => ({
  load,
  p50Ms: hold.p50Ms,
  p99Ms: hold.p99Ms,
  outputs: hold.count,
});
