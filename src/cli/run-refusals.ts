/**
 * Options of container engines that mean nothing to a machine, or would take from it what it is
 * made for: known, and refused with the reason.
 */

interface RefusedOption {
  /** As commander has them. */
  readonly flags: string;
  readonly why: string;
}

const oneHost = 'what is on one host is not on the other, which takes over';
const ownMachine = 'the command has a machine of its own, and all of it: leave this out';
const ownKernel = 'the machine has a kernel of its own, which nobody shares: leave this out';
const onlyMemory = 'a machine is limited by its memory and its one processor: use --memory';
const card = 'the machine has a network card of its own: say with --egress where it leads';
const always =
  'a node runs in the foreground, and `understudy console` attaches to it: leave this out';
const pair = 'its pair keeps it running: leave this out';

export const refusedRunOptions: readonly RefusedOption[] = [
  { flags: '--mount <mount>', why: `${oneHost}: use -v NAME:/path, a disk of the machine` },
  { flags: '--tmpfs <path>', why: 'mount it in the command: it has all rights for that' },
  { flags: '--volumes-from <name>', why: `${oneHost}: use -v NAME:/path, a disk of the machine` },
  { flags: '--device <device>', why: `${oneHost}: devices cannot be given to the machine` },
  { flags: '--gpus <gpus>', why: `${oneHost}: devices cannot be given to the machine` },
  { flags: '--privileged', why: ownMachine },
  { flags: '--cap-add <capability>', why: ownMachine },
  { flags: '--cap-drop <capability>', why: 'not done: run it as another user, -u USER' },
  { flags: '--security-opt <option>', why: ownKernel },
  { flags: '--pid <mode>', why: ownKernel },
  { flags: '--ipc <mode>', why: ownKernel },
  { flags: '--uts <mode>', why: ownKernel },
  { flags: '--userns <mode>', why: ownKernel },
  { flags: '--cgroupns <mode>', why: ownKernel },
  { flags: '--sysctl <setting>', why: 'set it in the command: it has all rights for that' },
  { flags: '--network <network>', why: card },
  { flags: '--net <network>', why: card },
  { flags: '--link <name>', why: card },
  { flags: '-p, --publish <ports>', why: `${card}; its ports are those of its own address` },
  { flags: '-P, --publish-all', why: `${card}; its ports are those of its own address` },
  { flags: '-c, --cpu-shares <shares>', why: onlyMemory },
  { flags: '--cpus <number>', why: onlyMemory },
  { flags: '--cpu-quota <microseconds>', why: onlyMemory },
  { flags: '--cpuset-cpus <list>', why: onlyMemory },
  { flags: '--memory-swap <size>', why: onlyMemory },
  { flags: '--memory-reservation <size>', why: onlyMemory },
  { flags: '--pids-limit <number>', why: onlyMemory },
  { flags: '--ulimit <limit>', why: onlyMemory },
  { flags: '--blkio-weight <weight>', why: onlyMemory },
  { flags: '--read-only', why: 'not done: what it writes is on its own disk' },
  { flags: '--restart <policy>', why: pair },
  { flags: '--rm', why: 'remove the directory of --out when it is no longer needed' },
  { flags: '-d, --detach', why: always },
  { flags: '-i, --interactive', why: always },
  { flags: '-t, --tty', why: always },
  { flags: '--name <name>', why: 'use --as' },
  { flags: '--pull <policy>', why: 'images are not pulled: save one, and give its file' },
  { flags: '--platform <platform>', why: 'the machine is linux/amd64: leave this out' },
];
