/** The world as a network namespace with a bridge. Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN). */
import { readdirSync } from 'node:fs';
import { runIp } from '../egress/ip-command.ts';
import { TapDevice } from '../egress/tap-device.ts';
import { guestNet } from './guest-net.ts';
import { isStale, ownerName } from './owner.ts';
import type { World, WorldChild } from './world.ts';
import { WorldChildren } from './world-children.ts';

const BRIDGE = 'br0';
/**
 * The bridge's own address, fixed: left alone it takes that of a port, and changes when the port
 * of a dead node vanishes, and the guest would go on sending to the old one.
 */
const BRIDGE_MAC = '02:55:53:00:00:01';

export async function openNetnsWorld(nodes: readonly string[]): Promise<World> {
  await removeStaleNamespaces();
  // Whether a tap may be made at all is asked first, before anything exists.
  TapDevice.create(tapName('x')).close();
  const netns = ownerName();
  await runIp([`netns add ${netns}`]);
  try {
    await runIp(
      [
        'link set dev lo up',
        `link add ${BRIDGE} address ${BRIDGE_MAC} type bridge ` +
          'stp_state 0 forward_delay 0 mcast_snooping 0',
        `link set dev ${BRIDGE} addrgenmode none`,
        `address add ${guestNet.gateway}/${guestNet.prefixBits} dev ${BRIDGE}`,
        `link set dev ${BRIDGE} up`,
      ],
      { netns },
    );
    return new NetnsWorld(netns, nodes);
  } catch (error) {
    await runIp([`netns delete ${netns}`]).catch(() => {});
    throw error;
  }
}

/** Removes the namespaces whose owners are no more. */
export async function removeStaleNamespaces(): Promise<void> {
  for (const name of namespaces()) {
    if (isStale(name)) await runIp([`netns delete ${name}`]).catch(() => {});
  }
}

function namespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return []; // no namespace was ever made
  }
}

const tapName = (node: string): string => `us${node}${process.pid}`;

class NetnsWorld implements World {
  readonly kind = 'netns';
  readonly canPing = true;
  readonly pingHost = guestNet.address;
  readonly http = { host: guestNet.address, port: guestNet.httpPort };
  readonly echo = { host: guestNet.address, port: guestNet.echoPort };
  readonly egressSpecs: readonly string[];
  readonly #netns: string;
  readonly #children = new WorldChildren(() => this.#takeDown());

  constructor(netns: string, nodes: readonly string[]) {
    this.#netns = netns;
    this.egressSpecs = nodes.map((node) => `tap:${tapName(node)},bridge=${BRIDGE},netns=${netns}`);
  }

  spawn(command: string, args: readonly string[]): WorldChild {
    return this.#children.spawn(command, args, ['ip', 'netns', 'exec', this.#netns]);
  }

  close(): Promise<void> {
    return this.#children.close();
  }

  async #takeDown(): Promise<void> {
    await runIp([`netns delete ${this.#netns}`]);
  }
}
