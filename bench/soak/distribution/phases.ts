/** What the guest is given to do, a phase at a time: commands for its shell. */
import { Prng } from '../../../sim/prng.ts';

export const phaseNames = ['forks', 'network', 'disk', 'memory', 'logs', 'reboot', 'idle'] as const;
export type PhaseName = (typeof phaseNames)[number];

/** Each goes on until it is told to end. A reboot is not a command: the soak makes it. */
export const commandOf: Readonly<Record<Exclude<PhaseName, 'reboot' | 'idle'>, string>> = {
  forks: 'while :; do for i in $(seq 100); do /bin/true; done; ls -l /usr/bin | wc -l; done',
  network: 'while :; do cat /usr/lib/postgresql/*/bin/*; done',
  disk: [
    'while :; do dd if=/dev/urandom of=/var/tmp/soak bs=64k count=64 conv=fsync 2>/dev/null;',
    'sync; echo 3 >/proc/sys/vm/drop_caches; cat /var/tmp/soak >/dev/null; done',
  ].join(' '),
  // More than there is room for: pages that are used here and there are given up, swapped out and
  // read again, while files are read.
  memory: [
    '[ -e /swap ] || { dd if=/dev/zero of=/swap bs=1M count=300 2>/dev/null; chmod 600 /swap;',
    'mkswap /swap; }; swapon /swap 2>/dev/null; sysctl -q vm.swappiness=100;',
    '(while :; do cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* >/dev/null 2>&1; done) &',
    "half=$(awk '/MemTotal/ {print int($2 / 2)}' /proc/meminfo);",
    'exec perl -e \'my $pages = int($ARGV[0] / 4); my $s = "x" x (4096 * $pages);',
    'while (1) { my $at = 4096 * int(rand($pages)); my $c = substr($s, $at, 1);',
    'substr($s, $at, 1) = "y" if rand() < 0.1; }\' "$half"',
  ].join(' '),
  logs: 'while :; do journalctl --no-pager | tail -n 200; systemctl --no-pager status; done',
};

/** The phases of a soak in order, a function of the seed: all once before one comes again. */
export function* phasesInTurn(names: readonly PhaseName[], seed: number): Generator<PhaseName> {
  const prng = new Prng(seed);
  for (;;) {
    const left = [...names];
    while (left.length > 0) yield* left.splice(prng.below(left.length), 1);
  }
}
