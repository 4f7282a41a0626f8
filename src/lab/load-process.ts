/** The load program as a child inside a world: its lines as calls, its record as a promise. */
import type { LoadFailure, LoadLine, LoadRecord, LoadStats } from './load-record.ts';
import { recordOf } from './record-of.ts';
import type { World, WorldChild } from './world.ts';
import { spawnProgram } from './world-program.ts';

export interface LoadProcessOptions {
  /** Begins the counters' tokens: another one for each run against the same guest. */
  readonly runName: string;
  /** @default 4 */
  readonly readers?: number;
  /** @default 2 */
  readonly counters?: number;
  /** Between two requests of a reader or a counter, ms. @default 20 */
  readonly pauseMs?: number;
  readonly onStats?: (stats: LoadStats) => void;
  readonly onFailure?: (failure: LoadFailure) => void;
}

export class LoadProcess {
  readonly #child: WorldChild;
  readonly #record: Promise<LoadRecord>;

  constructor(world: World, options: LoadProcessOptions) {
    const { http, echo, pingHost } = world;
    this.#child = spawnProgram(world, import.meta.url, 'load-main', [
      ...['--http', `${http.host}:${http.port}`, '--echo', `${echo.host}:${echo.port}`],
      ...(pingHost === undefined ? [] : ['--ping', pingHost]),
      ...['--run', options.runName],
      ...['--readers', String(options.readers ?? 4), '--counters', String(options.counters ?? 2)],
      ...(options.pauseMs === undefined ? [] : ['--pause', String(options.pauseMs)]),
    ]);
    const { onStats, onFailure } = options;
    this.#record = recordOf(this.#child, 'The load program', (line: LoadLine) => {
      if (line.type === 'stats') onStats?.(line);
      else if (line.type === 'failed') onFailure?.(line);
      else return line;
      return undefined;
    });
  }

  /** Lets the load finish; rejects when the program failed, now or earlier. */
  stop(): Promise<LoadRecord> {
    this.#child.stdin.on('error', () => {}); // it ended by itself; the record tells
    this.#child.stdin.end('stop\n');
    return this.#record;
  }
}
