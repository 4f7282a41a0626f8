/** The nodes of a pair as a verb finds them: those of this host that answer. */
import { UnderstudyError } from '../base/errors.ts';
import type { NodeStatus } from '../node/control-server.ts';
import { loadPairConfig, type NodeConfig, nodeNames } from '../node/pair-config.ts';
import { askNode } from '../observe/control-client.ts';

export interface AnsweringNode {
  readonly config: NodeConfig;
  /** Path of its control socket. */
  readonly control: string;
  readonly status: NodeStatus;
}

/** All nodes of the pair with where each is reached, in the order of the file. */
export function pairNodes(file: string): readonly NodeConfig[] {
  return nodeNames(file).map((name) => loadPairConfig(file, name).self);
}

export const controlOf = (node: NodeConfig): string => `${node.runDir}/control`;

/** The nodes of this host that answer now. */
export async function answeringNodes(file: string): Promise<AnsweringNode[]> {
  const asked = pairNodes(file).map(async (config) => {
    const control = controlOf(config);
    const status = await askNode<NodeStatus>(control, 'status').catch(() => undefined);
    return status === undefined ? [] : [{ config, control, status }];
  });
  return (await Promise.all(asked)).flat();
}

/** The node of this host that is primary. Throws `link` when none is. */
export async function primaryNode(file: string): Promise<AnsweringNode> {
  const nodes = await answeringNodes(file);
  const primary = nodes.find(({ status }) => status.role === 'primary');
  if (primary !== undefined) return primary;
  const seen = nodes.map(({ config, status }) => `${config.name} is ${status.role}`).join(', ');
  throw new UnderstudyError('link', 'No node of this pair is primary on this host', {
    cause: new Error(seen === '' ? 'none answers here' : seen),
    hint: 'run this on the host of the primary, as the user that runs the node',
  });
}
