/**
 * A node's restarts from snapshots, as its pair file wants them (`snapshots.restart`): looks for
 * one, prepares it, and tells about it. What can go wrong here leaves the node where it would be
 * without: its machine boots from its disks.
 */
import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Term } from '../base/units.ts';
import { refuseMarked } from '../hypervisor/disks/image-marker.ts';
import type { SnapshotManifest } from '../ports/snapshot-store.ts';
import { findRestart, prepareRestart, type Restart } from '../restore/restart.ts';
import type { Concerns } from './concerns.ts';
import type { Logger } from './logger.ts';
import { durableLogPath } from './pair-file/durable-log-place.ts';
import type { PairConfig } from './pair-file/pair-config.ts';
import type { Reporter } from './report.ts';

export interface RestarterOptions {
  readonly config: PairConfig;
  readonly vmFingerprint: string;
  /** As QEMU prints it. */
  readonly qemuVersion: string;
  /** The node's run directory, on a tmpfs. */
  readonly runDir: string;
  /** Where the node's pid files are. */
  readonly pidDir: string;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export class Restarter {
  readonly #options: RestarterOptions;
  /** The last look into the store: a node that waits asks often. */
  #looked: { term: Term; at: number; found: SnapshotManifest | undefined } | undefined;

  constructor(options: RestarterOptions) {
    this.#options = options;
  }

  /** How long a node without all of the log leaves it to its peer to go on; milliseconds. */
  get waitMs(): number {
    const { snapshots } = this.#options.config;
    return snapshots?.restart === 'newest' ? snapshots.restartWaitMs : 0;
  }

  /**
   * The snapshot to go on from when `lastTerm` was the last one before the machine's; never
   * rejects.
   */
  async find(lastTerm: Term): Promise<SnapshotManifest | undefined> {
    const { config, concerns, vmFingerprint, qemuVersion } = this.#options;
    const { snapshots, pair: vm } = config;
    if (snapshots?.restart !== 'newest' || lastTerm < 1) return undefined;
    const at = performance.now();
    const looked = this.#looked;
    if (looked?.term === lastTerm && at - looked.at < limits.restartLookMs) return looked.found;
    const { store } = snapshots;
    let found: SnapshotManifest | undefined;
    try {
      found = await findRestart({ store, vm, term: lastTerm, vmFingerprint, qemuVersion });
      concerns.tell('snapshot store', undefined);
    } catch (thrown) {
      const why = reasonOf(thrown);
      concerns.tell('snapshot store', `it cannot be read, and nothing can go on from it: ${why}`);
    }
    this.#looked = { term: lastTerm, at, found };
    return found;
  }

  /**
   * The machine of the newest snapshot, if that is wanted and there is one. Throws `disk` when its
   * failure left images that nothing may boot from.
   */
  async prepare(lastTerm: Term): Promise<Restart | undefined> {
    const { config, log, reporter } = this.#options;
    const snapshot = await this.find(lastTerm);
    if (config.snapshots === undefined || snapshot === undefined) return undefined;
    log.info({ snapshot: snapshot.id }, 'going on from a snapshot');
    const detail = `going on from snapshot ${snapshot.id}`;
    reporter.report({ type: 'state', state: 'restarting', detail });
    const runDir = path.join(this.#options.runDir, 'past');
    try {
      fs.mkdirSync(runDir, { recursive: true, mode: 0o700 });
      return await prepareRestart({
        store: config.snapshots.store,
        snapshot,
        dir: this.#dir,
        runDir,
        pidDir: this.#options.pidDir,
        diskImages: config.self.disks,
        durableLog: durableLogPath(config),
      });
    } catch (thrown) {
      fs.rmSync(this.#dir, { recursive: true, force: true });
      // Unless they were just being changed, its disks are as they were.
      refuseMarked(Object.values(config.self.disks));
      log.error({ reason: reasonOf(thrown) }, 'no restart from the snapshot: it boots');
      return undefined;
    } finally {
      fs.rmSync(runDir, { recursive: true, force: true });
    }
  }

  /**
   * The machine runs: tells how old its last instant is and whether anything may be missing before
   * it, and clears away what it was made from.
   */
  async wentOn({ machine, snapshot, logEndMs, whyIncomplete }: Restart): Promise<void> {
    const { config, log, reporter } = this.#options;
    const { icount } = machine.facts;
    const agoMs = Math.max(0, Date.now() - logEndMs);
    const complete = whyIncomplete === undefined;
    const facts = { snapshot, icount, agoMs, complete };
    if (complete) log.info(facts, 'went on from a snapshot and the durable log behind it');
    else {
      const reason = `no durable log: ${whyIncomplete}`;
      log.info({ ...facts, reason }, 'went on from a snapshot and its log in the store');
    }
    reporter.report({ type: 'restarted', ...facts });
    await fs.promises.rm(this.#dir, { recursive: true, force: true });
    // From here on the machine's history is another one.
    if (complete) await fs.promises.rm(durableLogPath(config), { force: true });
  }

  get #dir(): string {
    const { config } = this.#options;
    return path.join(config.self.stateDir, `${config.pair}-${config.self.name}.restart`);
  }
}
