/** What somebody outside sees of the members: the round trips of pings, with their instants. */
import { createInterface } from 'node:readline';
import type { World } from '../../../src/lab/world.ts';

const everyMs = 50;
const reply = /seq=\d+.*?time[=<]([\d.]+)/;

export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
}

export class Pings {
  readonly #trips: { readonly atMs: number; readonly ms: number }[] = [];

  /** Until the world is closed. */
  constructor(world: World, hosts: readonly string[]) {
    for (const host of hosts) {
      const child = world.spawn('ping', ['-n', '-i', String(everyMs / 1000), host]);
      child.stderr.resume();
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, ms] = reply.exec(line) ?? [];
        if (ms !== undefined) this.#trips.push({ atMs: performance.now(), ms: Number(ms) });
      });
    }
  }

  /** Milliseconds, of those that were answered in one of the stretches. */
  within(stretches: readonly Stretch[]): number[] {
    return this.#trips
      .filter(({ atMs }) => stretches.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs))
      .map(({ ms }) => ms);
  }
}
