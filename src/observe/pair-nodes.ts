/** The nodes of a pair as a verb finds them: those of this host that answer. */
import { UnderstudyError } from '../base/errors.ts';
import type { NodeStatus } from '../node/control-server.ts';
import { loadPairConfig, type NodeConfig, nodeNames } from '../node/pair-file/pair-config.ts';
import { askNode } from './control-client.ts';

export interface AnsweringNode {
  readonly config: NodeConfig;
  /** Path of its control socket. */
  readonly control: string;
  readonly status: NodeStatus;
}

/** All nodes of the pair with where each is reached, in the order of the file. */
function pairNodes(file: string): readonly NodeConfig[] {
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
export function primaryNode(file: string): Promise<AnsweringNode> {
  const hint = 'run this on the host of the primary, as the user that runs the node';
  return nodeInRole(file, ['primary'], hint);
}

/**
 * The node of this host that is primary; else the backup, which can ask it. Throws `link` when
 * neither is.
 */
export function primaryOrBackup(file: string): Promise<AnsweringNode> {
  const hint = 'run this on a host of the pair, as the user that runs the node';
  return nodeInRole(file, ['primary', 'backup'], hint);
}

/** The first of `roles` counts. */
async function nodeInRole(
  file: string,
  roles: readonly NodeStatus['role'][],
  hint: string,
): Promise<AnsweringNode> {
  const nodes = await answeringNodes(file);
  for (const role of roles) {
    const found = nodes.find(({ status }) => status.role === role);
    if (found !== undefined) return found;
  }
  const seen = nodes.map(({ config, status }) => `${config.name} is ${roleAndReason(status)}`);
  throw new UnderstudyError('link', `No node of this pair is ${roles.join(' or ')} on this host`, {
    cause: new Error(seen.length === 0 ? 'none answers here' : seen.join(', ')),
    hint,
  });
}

/** A node without a role tells what it waits for. */
function roleAndReason({ role, state, reason }: NodeStatus): string {
  if (role !== 'starting') return role;
  return reason === undefined ? state : `${state}: ${reason}`;
}
