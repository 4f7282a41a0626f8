/**
 * A container as a machine that is kept: its command counts in memory and in a file, and each
 * number is on its disk before the next one is counted.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { firstNode, secondNode } from '../../../src/cli/verbs/new-pair.ts';
import { machineOf, makeMachine } from '../../../src/cli/verbs/run-machine.ts';
import { containerBoot, defaultGuestDir } from '../../../src/lab/guest-dir.ts';
import { NodeProcess } from '../../../src/lab/node-process.ts';
import { loadPairConfig } from '../../../src/node/pair-file/pair-config.ts';
import { connectControl } from '../../../src/observe/control-client.ts';

/** Where the count is on the disk, and what it stands behind in memory. */
export const countFile = '/count';
export const inMemory = 'understudy-counts-in-memory:';
export const countDigits = 12;

/**
 * One place in memory is written over and over, and one block of the disk (O_DSYNC). What it is
 * found by is put together when it runs: its own text has it in two parts.
 */
const counter = `
my $place = join '-', 'understudy', 'counts', 'in', 'memory:' . '0' x ${countDigits};
my $at = length($place) - ${countDigits};
sysopen(my $file, '${countFile}', 0x2 | 0x40 | 0x1000) or die $!;
$| = 1;
for (my $n = 1; ; $n++) {
  substr($place, $at, ${countDigits}, sprintf '%0${countDigits}d', $n);
  sysseek $file, 0, 0;
  syswrite $file, substr($place, $at), ${countDigits};
  print "counts\\n" if $n == 3;
}
`;

const startMs = 180_000;

export class CountingMachine {
  readonly store: string;
  /** Of copies. */
  readonly second: string;
  readonly #nodes: readonly NodeProcess[];

  private constructor(dir: string, nodes: readonly NodeProcess[]) {
    this.store = path.join(dir, 'kept');
    this.second = path.join(dir, 'second');
    this.#nodes = nodes;
  }

  /** The node that has the machine, and the one that keeps it. */
  get primary(): NodeProcess {
    return this.#nodes[0] as NodeProcess;
  }

  get backup(): NodeProcess {
    return this.#nodes[1] as NodeProcess;
  }

  /** Makes it below `dir`, starts it, and waits until it counts and is protected. */
  static async start(dir: string): Promise<CountingMachine> {
    const root = path.join(dir, 'root');
    fs.mkdirSync(root);
    const programs = path.join(defaultGuestDir, 'container.img');
    execFileSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames', '-F', programs], {
      cwd: root,
    });
    const second = path.join(dir, 'second');
    fs.mkdirSync(second);
    const boot = containerBoot(defaultGuestDir);
    const as = `counting-${process.pid}`;
    const made = path.join(dir, 'machine');
    fs.mkdirSync(made);
    const { pair } = await makeMachine(made, {
      ...{ image: root, as, boot, egress: 'none', volumes: [], sizes: new Map() },
      vm: machineOf({ as, memory: '128M', boot, nics: 0 }),
      wishes: {
        command: ['/usr/bin/perl', '-e', counter],
        ...{ env: [], user: undefined, workingDir: undefined },
      },
      pairKeys: { snapshots: { store: path.join(dir, 'kept'), copyTo: second } },
      signal: new AbortController().signal,
    });
    const start = (name: string): NodeProcess =>
      new NodeProcess({
        ...{ name, pairFile: pair, logFile: path.join(dir, `${name}.log`) },
        runDir: loadPairConfig(pair, name).self.runDir,
      });
    const nodes = [start(firstNode)];
    const machine = new CountingMachine(dir, nodes);
    try {
      await nodes[0]?.until('alone', startMs);
      await machine.#counts();
      nodes.push(start(secondNode));
      await nodes[0]?.until('protected', startMs);
      return machine;
    } catch (thrown) {
      await machine.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  async #counts(): Promise<void> {
    const socket = await connectControl(this.primary.control);
    try {
      let said = '';
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        said += bytes.toString('latin1');
      });
      socket.write('{"command":"console"}\n');
      const deadline = performance.now() + startMs;
      while (!said.includes('counts\r')) {
        if (performance.now() > deadline) throw new Error(`the guest does not count: ${said}`);
        await sleep(100);
      }
    } finally {
      socket.destroy();
    }
  }
}
