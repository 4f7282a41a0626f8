/** `understudy status`: what the nodes of this host are doing, once or as it happens. */
import { UnderstudyError } from '../../base/errors.ts';
import type { NodeStatus } from '../../node/control-server.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { askNode, type WatchEvent } from '../../observe/control-client.ts';
import { answeringNodes, controlOf } from '../../observe/pair-nodes.ts';

export interface StatusOptions {
  readonly pair: string;
  readonly name?: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** Prints until it has been told, or for as long as it is watched. */
export async function status(options: StatusOptions): Promise<void> {
  if (options.watch === true) await watch(options);
  else await once(options);
}

async function once({ pair, name, json = false }: StatusOptions): Promise<void> {
  const statuses =
    name === undefined
      ? (await answeringNodes(pair)).map(({ status }) => status)
      : [await askNode<NodeStatus>(controlOf(loadPairConfig(pair, name).self), 'status')];
  if (statuses.length === 0) {
    throw new UnderstudyError('link', 'No node of this pair answers on this host', {
      hint: 'start one with `understudy node`, and ask as the same user',
    });
  }
  for (const status of statuses) {
    process.stdout.write(`${json ? JSON.stringify(status) : statusLine(status)}\n`);
  }
}

async function watch({ pair, name, json = false }: StatusOptions): Promise<void> {
  if (name === undefined) {
    throw new UnderstudyError('config', '--watch needs --name: one node is watched at a time');
  }
  const control = controlOf(loadPairConfig(pair, name).self);
  const { watchNode } = await import('../../observe/watch-node.ts');
  await watchNode(control).forEach((event) => {
    const line = json ? JSON.stringify(event) : eventLine(event);
    if (line !== undefined) process.stdout.write(`${line}\n`);
  });
}

/** A line for the node, and one for each thing that is wrong. */
function statusLine(status: NodeStatus): string {
  const { pair, node, role, state, term, reason, concerns, qemu, peerQemu = qemu } = status;
  const why = reason === undefined ? '' : `: ${reason}`;
  const upgrade = qemu === peerQemu ? '' : `; QEMU ${qemu} here, ${peerQemu} on the other node`;
  const wrong = concerns.map(
    ({ about, problem, since }) => `\n  ${about}, since ${since}: ${problem}`,
  );
  const failed = failuresLine(status.guestFailures);
  return `${pair}/${node}: ${role}, ${state}, term ${term}${why}${upgrade}${failed}${wrong.join('')}`;
}

/** How often guests failed here, and what came of the last time. */
function failuresLine(failures: NodeStatus['guestFailures']): string {
  if (failures === undefined) return '';
  const { count, last } = failures;
  const { at, kind, what, done, snapshot, why } = last;
  const came = {
    told: 'by policy nothing was done',
    goingBack: 'it is going back to a snapshot',
    wentBack: `it went back to snapshot ${snapshot}, and what it did since that was lost`,
    stays: `it stays as it is: ${why}`,
  }[done];
  const times = count === 1 ? 'once' : `${count} times`;
  return `\n  the guest failed ${times}, last at ${at} (${kind}: ${what}): ${came}`;
}

/** What happened, in a line for people; figures that come many times a second are left out. */
function eventLine(event: WatchEvent): string | undefined {
  switch (event.type) {
    case 'status':
      return statusLine(event);
    case 'role':
      return `${event.role} in term ${event.term}`;
    case 'state':
      return event.detail === undefined ? event.state : `${event.state}: ${event.detail}`;
    case 'cut':
      return `cut to ${event.purpose}: the guest stood for ${event.pauseMs.toFixed(1)} ms`;
    case 'cutCompared':
      return event.equal ? 'compared: equal' : `compared: ${event.differences.join('; ')}`;
    case 'seeded':
      return `seeded ${event.bytes} bytes in ${Math.round(event.ms)} ms`;
    case 'takeover':
      return `took over: claim ${event.claimMs.toFixed(0)}, drain ${event.drainMs.toFixed(0)}, load ${event.loadMs.toFixed(0)} ms`;
    case 'guestFailed':
      return `the guest failed, ${event.kind}: ${event.what}`;
    case 'wentBack':
      return `went back to snapshot ${event.snapshot}: ${Math.round(event.lostMs / 1000)} s of the guest are lost`;
    case 'guestStays':
      return `the guest that failed stays as it is: ${event.reason}`;
    case 'replicaDiscarded':
      return `the copy was given up: ${event.reason}`;
    case 'concern':
      return event.problem === undefined
        ? `over: ${event.about}`
        : `${event.about}: ${event.problem}`;
    case 'ended':
      return `ended: ${event.outcome}`;
    default:
      return undefined;
  }
}
