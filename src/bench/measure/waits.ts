/**
 * Section: what outputs wait at the gate, and what clients feel of it; the log of an idle guest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Distribution } from '../../base/distribution.ts';
import { LoadProcess } from '../../lab/load-process.ts';
import type { Arrangement } from '../results.ts';
import type { Guest } from './guest.ts';
import { benchLimits } from './limits.ts';
import type { NodeFigures } from './node-figures.ts';
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
  if (arrangement !== 'pair') {
    const options = { append: idleGuest };
    await session.withGuest(arrangement, options, (guest) => latencies(session, guest, seconds));
    return;
  }
  await session.withPair({ append: idleGuest }, async (guest, figures) => {
    await measureIdle(session, figures, seconds, 'an idle pair', 0);
    await latencies(session, guest, seconds);
    takeHold(session, figures, 'idle');
  });
  // A pair of its own: a node's holds are told since it is protected.
  await session.withPair({}, async (_guest, figures) => {
    const load = new LoadProcess(session.world, { runName: `hold${process.pid}` });
    try {
      session.status('a pair under the load of the demo');
      await sleep(seconds * 1000);
      takeHold(session, figures, 'http');
    } finally {
      await load.stop().catch(() => undefined);
    }
  });
}

/** The idle log of a guest whose timer goes on ticking when it is idle. */
export async function measureTimerRate(session: Session, seconds: number): Promise<void> {
  const { tickHz } = benchLimits;
  await session.withPair({ append: `nohz=off ${idleGuest}` }, (_guest, figures) =>
    measureIdle(session, figures, seconds, 'an idle guest with a ticking timer', tickHz),
  );
}

/** Of a guest without a ticking timer also the lag. */
async function measureIdle(
  session: Session,
  figures: NodeFigures,
  seconds: number,
  what: string,
  tickHz: number,
): Promise<void> {
  await sleep(benchLimits.idleSettleMs);
  session.status(what);
  const stretch = await figures.during('idle', () => sleep(seconds * 1000), tickHz);
  if (stretch === undefined) return;
  session.results.logs.push(stretch.log);
  if (tickHz === 0) session.results.lags.push(stretch.lag);
}

function takeHold({ results }: Session, { hold, memory }: NodeFigures, load: 'idle' | 'http') {
  if (hold !== undefined) {
    const { p50Ms, p99Ms, count: outputs } = hold;
    results.holds.push({ load, p50Ms, p99Ms, outputs });
  }
  results.memory.push(...memory);
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
