/**
 * Two hosts and the world around them as network namespaces of this machine.
 *
 *     host a                host b                world (clients, witness)
 *     guest tap             guest tap             br0 10.77.0.1
 *       br0 --- veth up-a ---------------------------|
 *                             br0 --- veth up-b -----|
 *     mgmt 10.78.0.1        mgmt 10.78.0.2        mgmt 10.78.0.9
 *       |_____________________|_____________________|   emulated: link-emulator.ts
 *
 * The guest's own network is never impaired: what is tested is that its clients notice nothing of
 * what happens to the other one.
 */

import { runIp } from '../../../src/egress/ip-command.ts';
import { parentDeathSignalWorks } from '../../../src/host/processes.ts';
import { guestNet } from '../../../src/lab/guest-net.ts';
import { ownerName } from '../../../src/lab/owner.ts';
import type { World, WorldChild } from '../../../src/lab/world.ts';
import { WorldChildren } from '../../../src/lab/world-children.ts';
import { removeStaleNamespaces } from '../../../src/lab/world-netns.ts';
import { LinkEmulator } from './link-emulator.ts';

export const hostNames = ['a', 'b'] as const;
export type HostName = (typeof hostNames)[number];

/** The emulator's name for the namespace of the clients and the witness. */
export const outside = 'w';

const addresses = { a: '10.78.0.1', b: '10.78.0.2', w: '10.78.0.9' } as const;
const bridge = 'address 02:55:53:00:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0';
/** Chance of the emulated network: any number, as long as it stays the same. */
const SEED = 20_260;

export const managementAddress = (name: HostName | typeof outside): string => addresses[name];
export const uplinkOf = (host: HostName): string => `up-${host}`;
const namespaceOf = (name: string): string => ownerName(process.pid, name);

export class HostsWorld implements World {
  readonly kind = 'netns';
  readonly canPing = true;
  readonly pingHost = guestNet.address;
  readonly http = { host: guestNet.address, port: guestNet.httpPort };
  readonly echo = { host: guestNet.address, port: guestNet.echoPort };
  readonly egressSpecs = hostNames.map(() => 'tap:guest,bridge=br0');
  readonly network: LinkEmulator;
  readonly #children = new WorldChildren(() => this.#takeDown());

  private constructor(network: LinkEmulator) {
    this.network = network;
  }

  /** Throws `rights` or `environment`, with a hint, where namespaces or taps are not permitted. */
  static async open(): Promise<HostsWorld> {
    await removeStaleNamespaces();
    try {
      await addNamespaces();
      const hosts = [...hostNames, outside] as const;
      const network = await LinkEmulator.open(
        hosts.map((name) => ({
          name,
          netns: namespaceOf(name),
          address: `${addresses[name]}/24`,
        })),
        SEED,
      );
      return new HostsWorld(network);
    } catch (error) {
      await removeNamespaces();
      throw error;
    }
  }

  /** Runs a command on a host, or outside: to be put in front of it. */
  static prefix(name: string): readonly string[] {
    return ['ip', 'netns', 'exec', namespaceOf(name)];
  }

  spawn(command: string, args: readonly string[]): WorldChild {
    const dying = parentDeathSignalWorks() ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
    return this.#children.spawn(command, args, [...dying, ...HostsWorld.prefix(outside)]);
  }

  close(): Promise<void> {
    return this.#children.close();
  }

  async #takeDown(): Promise<void> {
    await this.network.close();
    await removeNamespaces();
  }
}

async function addNamespaces(): Promise<void> {
  const world = namespaceOf(outside);
  await runIp([world, ...hostNames.map(namespaceOf)].map((name) => `netns add ${name}`));
  await runIp(
    [
      'link set dev lo up',
      `link add br0 ${bridge}`,
      'link set dev br0 addrgenmode none',
      `address add ${guestNet.gateway}/${guestNet.prefixBits} dev br0`,
      'link set dev br0 up',
    ],
    { netns: world },
  );
  for (const host of hostNames) await connect(host, world);
}

/** The host's bridge, and the cable from there to the world. */
async function connect(host: HostName, world: string): Promise<void> {
  const up = uplinkOf(host);
  const netns = namespaceOf(host);
  await runIp(
    [
      `link add ${up} type veth peer name uplink netns ${netns}`,
      `link set dev ${up} addrgenmode none`,
      `link set dev ${up} master br0`,
      `link set dev ${up} up`,
    ],
    { netns: world },
  );
  await runIp(
    [
      'link set dev lo up',
      'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      'link set dev br0 addrgenmode none',
      'link set dev uplink addrgenmode none',
      'link set dev uplink master br0',
      'link set dev uplink up',
      'link set dev br0 up',
    ],
    { netns },
  );
}

async function removeNamespaces(): Promise<void> {
  for (const name of [...hostNames, outside]) {
    await runIp([`netns delete ${namespaceOf(name)}`]).catch(() => undefined); // was never made
  }
}
