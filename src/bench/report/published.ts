/**
 * What others published about systems of this kind. Measured by others, on other machines, with
 * other loads: an order of magnitude to compare with, not a race.
 */

export const publishedNote = 'measured by others, on other machines';

/** Which of this project's figures a published one stands beside. */
export type PublishedTopic = 'slowdown' | 'log' | 'lag' | 'hold' | 'takeover';

export interface PublishedFigure {
  readonly system: string;
  /** `null` for a manual that is kept up to date. */
  readonly year: number | null;
  readonly topic: PublishedTopic;
  /** As a reader sees it, such as `about 2×`. */
  readonly figure: string;
  /** What was measured, or under what condition. */
  readonly what: string;
  readonly source: string;
  readonly url: string;
}

const bressoud = {
  system: 'Bressoud and Schneider',
  year: 1996,
  source:
    'T. C. Bressoud, F. B. Schneider: Hypervisor-based Fault Tolerance. ' +
    'ACM Transactions on Computer Systems 14(1), 1996',
  url: 'https://doi.org/10.1145/225535.225538',
} as const;

const vmware = {
  system: 'VMware FT',
  year: 2010,
  source:
    'D. J. Scales, M. Nelson, G. Venkitachalam: The design of a practical system for ' +
    'fault-tolerant virtual machines. ACM SIGOPS Operating Systems Review 44(4), 2010',
  url: 'https://doi.org/10.1145/1899928.1899932',
} as const;

const remus = {
  system: 'Remus',
  year: 2008,
  source:
    'B. Cully, G. Lefebvre, D. Meyer, M. Feeley, N. Hutchinson, A. Warfield: Remus: High ' +
    'Availability via Asynchronous Virtual Machine Replication. NSDI 2008',
  url: 'https://www.usenix.org/conference/nsdi-08/remus-high-availability-asynchronous-virtual-machine-replication',
} as const;

const remusDb = {
  system: 'RemusDB',
  year: 2011,
  source:
    'U. F. Minhas, S. Rajagopalan, B. Cully, A. Aboulnaga, K. Salem, A. Warfield: RemusDB: ' +
    'Transparent High Availability for Database Systems. PVLDB 4(11), 2011; VLDB Journal 22, 2013',
  url: 'https://doi.org/10.1007/s00778-012-0294-6',
} as const;

const hycor = {
  system: 'HyCoR',
  year: 2021,
  source:
    'D. Zhou, Y. Tamir: HyCoR: Fault-Tolerant Replicated Containers Based on Checkpoint and ' +
    'Replay. arXiv:2101.09584, 2021',
  url: 'https://arxiv.org/abs/2101.09584',
} as const;

const proxmox = {
  system: 'Proxmox VE HA',
  year: null,
  source: 'Proxmox VE Administration Guide, chapter High Availability',
  url: 'https://pve.proxmox.com/pve-docs/chapter-ha-manager.html',
} as const;

export const publishedFigures: readonly PublishedFigure[] = [
  { ...bressoud, topic: 'slowdown', figure: 'about 2×', what: 'than the bare machine, PA-RISC' },
  {
    ...vmware,
    topic: 'slowdown',
    figure: '0.94 to 0.99 of native',
    what: 'that is 1.01× to 1.06×, with hardware virtualization',
  },
  {
    ...hycor,
    topic: 'slowdown',
    figure: 'under 59 % more',
    what: 'that is under 1.59×, in eight benchmarks of containers',
  },
  {
    ...vmware,
    topic: 'log',
    figure: '1.5 to 18 Mb/s',
    what: 'that is 0.19 to 2.3 MB/s, between the hosts under load',
  },
  { ...vmware, topic: 'lag', figure: 'under 100 ms', what: 'usual lag of the backup' },
  {
    ...remus,
    topic: 'hold',
    figure: 'up to an epoch',
    what: 'network output waits for its checkpoint; at most 40 of them a second (25 ms)',
  },
  { ...hycor, topic: 'hold', figure: 'under 1 ms', what: 'average delay of outputs' },
  { ...hycor, topic: 'takeover', figure: 'under 1 s', what: 'average recovery' },
  { ...remusDb, topic: 'takeover', figure: 'at most 3 s', what: 'downtime of a database' },
  {
    ...proxmox,
    topic: 'takeover',
    figure: 'about 2 minutes',
    what: 'detection and restart; the guest boots anew, its memory is lost',
  },
];
