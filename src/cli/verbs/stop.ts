/** Ends a node in good order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { NodeStatus } from '../../node/control-server.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { askNode } from '../../observe/control-client.ts';
import { controlOf } from '../../observe/pair-nodes.ts';

export interface StopOptions {
  readonly pair: string;
  readonly name: string;
}

const lookEveryMs = 50;

/** Returns when the node has ended. Throws `environment` when it does not. */
export async function stop({ pair, name }: StopOptions): Promise<void> {
  const control = controlOf(loadPairConfig(pair, name).self);
  const { role } = await askNode<NodeStatus>(control, 'status');
  await askNode(control, 'stop');
  const deadline = performance.now() + limits.nodeStopMs;
  while (performance.now() < deadline) {
    const answers = await askNode(control, 'status').then(
      () => true,
      () => false,
    );
    if (!answers) {
      process.stdout.write(`node ${name}, ${role}, has ended\n`);
      return;
    }
    await sleep(lookEveryMs);
  }
  throw new UnderstudyError(
    'environment',
    `Node ${name} did not end within ${limits.nodeStopMs} ms`,
    { hint: 'look into its log' },
  );
}
