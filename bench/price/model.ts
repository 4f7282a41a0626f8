/**
 * What a pair would serve on other hosts, from what it costs here.
 *
 * The model is the bottleneck law of queueing networks: what is served in a second is at most one
 * by the demand of a request at the resource that has most to do for it (Denning and Buzen, "The
 * Operational Analysis of Queueing Network Models", 1978, section 5). A resource is a host, whose
 * demand is divided among its processors, or a process whose threads take turns, which gets one
 * processor at most: a QEMU hands one lock to and fro, a node is one thread. Waiting is left out:
 * a pair that has nothing to wait for but processors comes close to it, any other stays below.
 */

/** Seconds of a processor for one unit of the guest's work. */
export interface Demand {
  readonly node: number;
  readonly machine: number;
  readonly disks: number;
}

/** A bound on what is served, units a second, and what it is that has no more to give. */
export interface Bound {
  readonly rate: number;
  readonly by: string;
}

export const total = ({ node, machine, disks }: Demand): number => node + machine + disks;

/** Primary and backup, and the clients, on the same processors. */
export function oneHost(
  primary: Demand,
  backup: Demand,
  clients: number,
  processors: number,
): Bound {
  const demand = total(primary) + total(backup) + clients;
  return least([
    { rate: processors / demand, by: 'the host' },
    ...ofProcesses('primary', primary),
    ...ofProcesses('backup', backup),
  ]);
}

/** Primary and backup on hosts of their own, with so many processors each; clients elsewhere. */
export function twoHosts(primary: Demand, backup: Demand, processors: number): Bound {
  return least([
    { rate: processors / total(primary), by: "the primary's host" },
    { rate: processors / total(backup), by: "the backup's host" },
    ...ofProcesses('primary', primary),
    ...ofProcesses('backup', backup),
  ]);
}

const ofProcesses = (role: string, { node, machine }: Demand): Bound[] => [
  { rate: 1 / node, by: `the ${role}'s node` },
  { rate: 1 / machine, by: `the ${role}'s QEMU` },
];

/** The one that binds. */
export const least = (bounds: readonly Bound[]): Bound =>
  bounds.reduce((one, other) => (other.rate < one.rate ? other : one));
