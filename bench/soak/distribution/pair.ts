/** The pair of the soak: who is primary, what its nodes tell, and what they gave up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import type { Stage } from '../../../src/lab/stage.ts';
import { killAndWatch } from '../../../src/lab/takeover.ts';
import type { Comparison } from '../../../src/node/report.ts';
import { askNode, type WatchEvent } from '../../../src/observe/control-client.ts';

/** A seed of a machine that works takes its time; a copy that fails is made again. */
const protectedMs = 300_000;
/** Between two looks at who has the machine. */
const lookMs = 100;

export type Compared =
  | ({ readonly type: 'compared' } & Comparison)
  /** No cut could be made now. */
  | { readonly type: 'refused'; readonly reason: string };

export class SoakedPair {
  readonly #stage: Stage;
  readonly #onEvent: (node: string, event: WatchEvent) => void;
  primary: NodeProcess;
  backup: NodeProcess;

  private constructor(stage: Stage, onEvent: (node: string, event: WatchEvent) => void) {
    this.#stage = stage;
    this.#onEvent = onEvent;
    this.primary = this.#start('a');
    this.backup = this.primary;
  }

  /** The backup starts while the guest boots: without a primary it has no image to boot from. */
  static async start(
    stage: Stage,
    onEvent: (node: string, event: WatchEvent) => void,
  ): Promise<SoakedPair> {
    const pair = new SoakedPair(stage, onEvent);
    await pair.primary.until('alone');
    pair.backup = pair.#start('b');
    return pair;
  }

  /** Whichever of the nodes has the machine by then. Returns whether it has moved by itself. */
  async untilProtected(): Promise<boolean> {
    const until = performance.now() + protectedMs;
    let hasMoved = false;
    while (performance.now() < until) {
      const [primary, backup] = await Promise.all(
        [this.primary, this.backup].map((node) => node.status().catch(() => undefined)),
      );
      if (backup?.state === 'protecting') return hasMoved;
      if (backup?.role === 'primary' && primary?.role !== 'primary') {
        [this.primary, this.backup] = [this.backup, this.primary];
        hasMoved = true;
      }
      await sleep(lookMs);
    }
    // Says what its log had last.
    await this.backup.until('protecting', 0);
    return hasMoved;
  }

  async compare(): Promise<Compared> {
    const status = await this.backup.status().catch(() => undefined);
    if (status?.state !== 'protecting') return { type: 'refused', reason: 'it is not protected' };
    const answer = await askNode<{ ok: boolean; error?: string } & Comparison>(
      this.primary.control,
      'verify',
    );
    if (answer.ok) return { type: 'compared', ...answer };
    return { type: 'refused', reason: answer.error ?? 'no reason' };
  }

  /** Kills the primary and its machine; it becomes the backup of the other one. */
  async killPrimary(): Promise<void> {
    const killed = this.primary.name;
    await killAndWatch(this.primary, this.backup);
    this.primary = this.backup;
    this.backup = this.#start(killed);
  }

  #start(name: string): NodeProcess {
    const node = this.#stage.start(name);
    node.events.subscribe((event) => this.#onEvent(name, event));
    return node;
  }
}
