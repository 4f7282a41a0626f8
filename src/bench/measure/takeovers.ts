/**
 * Section: takeovers under the load of the demo, by a kill and on purpose, over guests of several
 * sizes; and what a seed and a cut cost, which there are many of on the way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { demoLimits } from '../../lab/limits.ts';
import { LoadProcess } from '../../lab/load-process.ts';
import type { NodeProcess } from '../../lab/node-process.ts';
import { drillAndWatch, killAndWatch } from '../../lab/takeover.ts';
import { askNode, type WatchEvent } from '../../observe/control-client.ts';
import { benchLimits } from './limits.ts';
import type { Session } from './session.ts';

export interface TakeoverPlan {
  readonly memoryBytes: number;
  readonly kills: number;
  readonly drills: number;
  /** Compares of the states before each takeover. */
  readonly cuts: number;
}

export async function measureTakeovers(session: Session, plan: TakeoverPlan): Promise<void> {
  const { memoryBytes } = plan;
  const size = `${memoryBytes / 2 ** 20} MiB`;
  await session.withGuest('pair', { memoryBytes }, async (guest) => {
    const load = new LoadProcess(session.world, { runName: `bench${process.pid}` });
    let [primary, backup] = guest.nodes as [NodeProcess, NodeProcess];
    try {
      for (let made = 0; made < plan.kills + plan.drills; made += 1) {
        const cause = made < plan.kills ? 'kill' : 'drill';
        session.status(`${cause} ${made + 1} of ${plan.kills + plan.drills}, guest of ${size}`);
        // A compare leaves the backup behind for a moment: the takeover is not to be one of that
        // moment.
        for (let cut = 0; cut < plan.cuts; cut += 1) await oneCut(session, primary);
        const lag = watchLag(backup);
        await sleep(benchLimits.takeoverLoadMs);
        const watch = cause === 'kill' ? killAndWatch : drillAndWatch;
        const lagMs = lag.stop();
        const times = await watch(primary, backup);
        session.results.takeovers.push({ cause, memoryBytes, lagMs, ...times });
        await sleep(demoLimits.settleMs);
        const before = primary;
        primary = backup;
        backup = await reseed(session, guest.stage, before, primary, cause, memoryBytes);
      }
    } finally {
      await load.stop().catch(() => undefined);
    }
  });
}

/** The node that was primary comes back as the backup. A killed one is started again. */
async function reseed(
  session: Session,
  stage: { start(name: string): NodeProcess },
  before: NodeProcess,
  primary: NodeProcess,
  cause: 'kill' | 'drill',
  memoryBytes: number,
): Promise<NodeProcess> {
  const seen: Partial<Record<'cut' | 'seeded', WatchEvent>> = {};
  const watching = primary.events.subscribe((event) => {
    if (event.type === 'seeded' || (event.type === 'cut' && event.purpose === 'seed')) {
      seen[event.type] = event;
    }
  });
  const begun = performance.now();
  const backup = cause === 'kill' ? stage.start(before.name) : before;
  await backup.until('protecting');
  const ms = performance.now() - begun;
  watching.unsubscribe();
  const { cut, seeded } = seen;
  // A drilled node begins to seed before anybody looks: its time would be too short.
  if (cause === 'kill' && cut?.type === 'cut' && seeded?.type === 'seeded') {
    session.results.seeds.push({
      memoryBytes,
      diskBytes: seeded.haveBytes + seeded.diskBytes,
      ms,
      stoppedMs: cut.pauseMs,
      ramMs: cut.ramMs,
      sentBytes: seeded.bytes,
    });
  }
  return backup;
}

/** The last lag that a backup told. */
function watchLag(backup: NodeProcess): { stop(): number } {
  let ms = 0;
  const watching = backup.events.subscribe((event) => {
    if (event.type === 'lag') ms = event.ms;
  });
  return {
    stop: () => {
      watching.unsubscribe();
      return ms;
    },
  };
}

/** A compare of both states. */
async function oneCut(session: Session, primary: NodeProcess): Promise<void> {
  const cut = primary.next((event) => event.type === 'cut');
  cut.catch(() => undefined);
  const begun = performance.now();
  const answer = await askNode<{ ok: boolean; error?: string; equal?: boolean }>(
    primary.control,
    'verify',
  );
  const compareMs = performance.now() - begun;
  if (!answer.ok) throw new UnderstudyError('cut', answer.error ?? 'no cut was made');
  const { pauseMs, ramMs } = await cut;
  const equal = answer.equal === true;
  session.results.cuts.push({ pauseMs: pauseMs - ramMs, ramMs, compareMs, equal });
}
