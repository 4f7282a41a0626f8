/** One takeover, made on purpose and watched from its cause to the first output. */
import { askNode, type WatchEvent } from '../observe/control-client.ts';
import type { NodeProcess } from './node-process.ts';
import type { TakeoverTimes } from './report.ts';

type EventOf<T extends WatchEvent['type']> = Extract<WatchEvent, { type: T }>;

const is =
  <T extends WatchEvent['type']>(type: T) =>
  (event: WatchEvent): event is EventOf<T> =>
    event.type === type;

/**
 * Kills the primary's machine and node at once. Throws when the backup does not take over in time.
 */
export function killAndWatch(primary: NodeProcess, backup: NodeProcess): Promise<TakeoverTimes> {
  return watchTakeover(backup, () => primary.killWithMachine());
}

/** Hands the machine over on purpose. */
export function drillAndWatch(primary: NodeProcess, backup: NodeProcess): Promise<TakeoverTimes> {
  return watchTakeover(backup, async () => {
    const at = performance.timeOrigin + performance.now();
    await askNode(primary.control, 'drill');
    return at;
  });
}

/** `cause` resolves with the instant of the takeover's cause, ms since 1970. */
async function watchTakeover(
  backup: NodeProcess,
  cause: () => Promise<number>,
): Promise<TakeoverTimes> {
  const takeover = backup.next(is('takeover'));
  const firstOutput = backup.next(is('firstOutput'));
  for (const promise of [takeover, firstOutput]) promise.catch(() => undefined);
  const at = await cause();
  const [over, output] = await Promise.all([takeover, firstOutput]);
  return {
    detectMs: over.lostAt - at + over.claimMs,
    drainMs: over.drainMs,
    loadMs: over.loadMs,
    firstOutputMs: output.at - over.runningAt,
  };
}
