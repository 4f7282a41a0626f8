/**
 * What a node looks at all the time, around what it runs: its run directory, room on disks, and
 * what a takeover would plug cables into.
 */
import { livingPids } from '../host/processes.ts';
import type { Concerns } from './concerns.ts';
import { EgressWatch, type EgressWatchOptions } from './egress-watch.ts';
import { RoomWatch } from './room-watch.ts';
import type { RunDir } from './run-dir.ts';
import { RunDirWatch } from './run-dir-watch.ts';

export interface SurroundingsOptions {
  readonly runDir: RunDir;
  readonly images: Readonly<Record<string, string>>;
  readonly egress: Omit<EgressWatchOptions, 'concerns'>;
  readonly concerns: Concerns;
  /** The run directory is another one: its sockets are to be made anew. */
  readonly onSocketsLost: () => Promise<void>;
}

/** A second without a run directory is one in which no takeover works. */
const lookMs = 1_000;

export class Surroundings {
  readonly #runDir: RunDirWatch;
  readonly #timer: NodeJS.Timeout;

  /** Looks from now on. */
  constructor({ runDir, images, egress, concerns, onSocketsLost }: SurroundingsOptions) {
    const around = { runDir, concerns, pids: livingPids, onMadeAnew: onSocketsLost };
    this.#runDir = new RunDirWatch(around);
    const room = new RoomWatch({ runDir: runDir.path, images, concerns });
    const cables = new EgressWatch({ ...egress, concerns });
    this.#timer = setInterval(() => {
      cables.look();
      void this.#runDir.look();
      void room.look();
    }, lookMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#runDir.close();
  }
}
