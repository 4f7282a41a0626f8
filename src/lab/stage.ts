/**
 * What the demo needs on disk: a VM file and a pair file for the guest image that `scripts/setup`
 * built, a disk for each node, and the nodes themselves. All of it goes when the demo ends.
 */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import YAML from 'yaml';
import { agentPort } from '../hypervisor/config.ts';
import { copySparse } from '../hypervisor/memory/sparse-copy.ts';
import { setUpArbiterOf } from '../node/set-up-arbiter.ts';
import { defaultGuestDir, readGuest } from './guest-dir.ts';
import { NodeProcess } from './node-process.ts';

export interface StageOptions {
  readonly nodes: readonly string[];
  /** One for each node. */
  readonly egressSpecs: readonly string[];
  /** @default '128M' */
  readonly memory?: string;
  /** Added to the guest kernel's command line. @default nothing */
  readonly append?: string;
  /** Directory of the built guest. @default build/guest of this checkout */
  readonly guestDir?: string;
  /** Where the nodes' logs go and stay. @default with the other files, removed at the end */
  readonly logDir?: string;
  /** URL for each node to listen at. @default free ports of loopback */
  readonly listen?: readonly string[];
  /** Keys of the pair file that are added, or take the place of the usual ones. */
  readonly pairKeys?: Readonly<Record<string, unknown>>;
  /** Put in front of a node's command, such as `ip netns exec NAME`. @default nothing */
  readonly commandPrefix?: ((node: string) => readonly string[]) | undefined;
  /** Another checkout of this project, whose nodes are started. @default this one */
  readonly checkout?: string | undefined;
}

export class Stage {
  readonly dir: string;
  readonly pairFile: string;
  readonly #names: readonly string[];
  readonly #logDir: string;
  readonly #commandPrefix: StageOptions['commandPrefix'];
  readonly #checkout: string | undefined;
  readonly #nodes = new Map<string, NodeProcess>();

  private constructor(dir: string, options: StageOptions) {
    this.dir = dir;
    this.pairFile = path.join(dir, 'pair.yaml');
    this.#logDir = path.resolve(options.logDir ?? dir);
    this.#names = options.nodes;
    this.#commandPrefix = options.commandPrefix;
    this.#checkout = options.checkout;
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { nodes, egressSpecs } = options;
    const { guestDir = defaultGuestDir } = options;
    const vm = exampleVm(guestDir, options);
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-demo-'));
    const stage = new Stage(dir, options);
    fs.mkdirSync(stage.#logDir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'vm.yaml'), YAML.stringify(vm));
    const listen = options.listen ?? (await freeAddresses(nodes.length));
    const entries = nodes.map((name, index) => {
      const image = path.join(dir, `data-${name}.raw`);
      return [
        name,
        {
          listen: listen[index],
          disks: { data: image },
          egress: egressSpecs[index] ?? 'none',
          runDir: stage.runDir(name),
        },
      ] as const;
    });
    await copySparse(path.join(guestDir, 'disk.raw'), path.join(dir, `data-${nodes[0]}.raw`));
    const ownArbiter = `file:${path.join(dir, 'arbiter')}`;
    const pair = {
      pair: 'demo',
      vm: 'vm.yaml',
      arbiter: ownArbiter,
      nodes: Object.fromEntries(entries),
      ...options.pairKeys,
    };
    fs.writeFileSync(stage.pairFile, YAML.stringify(pair));
    // Another one is not there yet.
    if (pair.arbiter === ownArbiter) await setUpArbiterOf(stage.pairFile);
    return stage;
  }

  runDir(name: string): string {
    return `/dev/shm/${path.basename(this.dir)}-${name}`;
  }

  /** Starts a node, again if it was killed. `from`: a prepared machine to go on from. */
  start(name: string, from?: string): NodeProcess {
    const node = new NodeProcess({
      name,
      pairFile: this.pairFile,
      runDir: this.runDir(name),
      logFile: path.join(this.#logDir, `${name}.log`),
      commandPrefix: this.#commandPrefix?.(name) ?? [],
      checkout: this.#checkout,
      ...(from === undefined ? {} : { from }),
    });
    this.#nodes.set(name, node);
    return node;
  }

  /** Stops the nodes and removes every file. */
  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
    for (const name of this.#names) fs.rmSync(this.runDir(name), { recursive: true, force: true });
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The VM file of the guest in `guestDir`, as an object. */
export function exampleVm(
  guestDir: string,
  { memory = '128M', append = '' }: Pick<StageOptions, 'memory' | 'append'> = {},
) {
  return {
    name: 'demo',
    memory,
    boot: {
      kernel: path.join(guestDir, 'vmlinuz'),
      initrd: path.join(guestDir, 'initrd.img'),
      append: `${readGuest(guestDir).append} ${append}`.trim(),
    },
    disks: [{ id: 'data' }],
    nics: [{}],
    ports: [agentPort],
  };
}

/** URLs of ports of loopback that were free a moment ago. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = net.createServer();
      return new Promise<net.Server>((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  for (const server of servers) server.close();
  return ports.map((port) => `ws://127.0.0.1:${port}`);
}
