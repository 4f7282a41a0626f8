/** What the nodes of the soak gave up, and what that was. */
import { Distribution } from '../../../src/base/distribution.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import type { Stall } from './evidence.ts';

/** A copy that did not go on, or that another end was not the log's: not one that was compared. */
const isStall = (reason: string): boolean =>
  /no log was read|is not consumed|stands at icount|does not go on|did not catch up/.test(reason);

export class Findings {
  readonly stalls: Stall[] = [];
  /** Copies that were given up for another reason, and what else should not have been. */
  readonly others: string[] = [];
  readonly lagMs = new Distribution();
  readonly seedMs = new Distribution();
  compares = 0;
  unequal = 0;
  takeovers = 0;
  /** Cuts that could not be made, by reason. */
  readonly refused = new Map<string, number>();

  /** Returns what a copy was given up for. `onStall`: it had stalled. */
  take(node: string, event: WatchEvent, onStall: (stall: Stall) => void): string | undefined {
    switch (event.type) {
      case 'lag':
        this.lagMs.add(event.ms);
        return undefined;
      case 'takeover':
        this.takeovers += 1;
        return undefined;
      case 'replicaDiscarded':
        if (isStall(event.reason)) {
          const stall = { node, atMs: Date.now(), reason: event.reason };
          this.stalls.push(stall);
          onStall(stall);
        } else {
          this.others.push(`node ${node} gave its copy up: ${event.reason}`);
        }
        return event.reason;
      default:
        return undefined;
    }
  }

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}
