/**
 * The pair of the soak and all around it that can fail: a small disk for each image and for the
 * logs, a witness, a clock for each node.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { PageReader } from '../../../src/lab/page-reader.ts';
import { freeAddresses, Stage } from '../../../src/lab/stage.ts';
import type { World } from '../../../src/lab/world.ts';
import type { NodeStatus } from '../../../src/node/control-server.ts';
import { setUpArbiterOf } from '../../../src/node/set-up-arbiter.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import { NodeUnderFaults } from './node-under-faults.ts';
import { canMount, SmallDisk } from './small-disk.ts';
import { Witness } from './witness.ts';

export const nodeNames = ['a', 'b'] as const;
export type NodeName = (typeof nodeNames)[number];

export interface PairOptions {
  readonly world: World;
  /** Gets logs, images and clocks; `logs/` in it is what is of interest afterwards. */
  readonly dir: string;
  readonly isStarved: boolean;
  readonly onLook: (node: string, status: NodeStatus | undefined) => void;
  readonly onEvent: (node: string, event: WatchEvent) => void;
  readonly onEnd: (node: string, code: number | null) => void;
}

/** An image has holes; the guest of the demo writes some 30 MiB of it. */
const imageMebibytes = 96;
/** A week of two nodes whose faults come every half minute. */
const logMebibytes = 64;

/**
 * A node raises its own priority where it may. Without the right to it, it and its machines stay
 * where they were put: served when nobody else wants the processor.
 */
const starving = [
  ...['chrt', '--idle', '0', 'nice', '-n', '19'],
  ...(canMount ? ['setpriv', '--bounding-set=-sys_nice', '--inh-caps=-sys_nice'] : []),
];

export class SoakPair {
  readonly dir: string;
  readonly stage: Stage;
  readonly witness: Witness;
  /** By the name of the node; empty where none can be mounted. */
  readonly imageDisks: ReadonlyMap<string, SmallDisk>;
  readonly logDisk: SmallDisk | undefined;
  readonly nodes: Readonly<Record<NodeName, NodeUnderFaults>>;
  readonly pages: PageReader;

  private constructor(
    parts: { stage: Stage; witness: Witness; disks: Map<string, SmallDisk> },
    options: PairOptions,
  ) {
    this.dir = options.dir;
    this.stage = parts.stage;
    this.witness = parts.witness;
    this.imageDisks = parts.disks;
    this.logDisk = parts.disks.get(logsName);
    this.pages = new PageReader(options.world);
    const underFaults = (name: NodeName): NodeUnderFaults =>
      new NodeUnderFaults({
        name,
        start: () => this.stage.start(name),
        onLook: (status) => options.onLook(name, status),
        onEvent: (event) => options.onEvent(name, event),
        onEnd: (code) => options.onEnd(name, code),
      });
    this.nodes = { a: underFaults('a'), b: underFaults('b') };
  }

  static async open(options: PairOptions): Promise<SoakPair> {
    const { dir, world, isStarved } = options;
    const logDir = path.join(dir, logsName);
    const disks = new Map<string, SmallDisk>();
    fs.mkdirSync(logDir, { recursive: true });
    const [address = ''] = await freeAddresses(1);
    const { host } = new URL(address);
    const witness = new Witness({
      address: host,
      stateDir: path.join(dir, 'witness'),
      logFile: path.join(dir, 'witness.log'),
    });
    try {
      if (canMount) disks.set(logsName, new SmallDisk(logDir, logMebibytes));
      await witness.start();
      const clock = ['--import', import.meta.resolve('tsx')];
      const stepped = [...clock, '--import', import.meta.resolve('./clock-step.ts')].join(' ');
      const stage = await Stage.open({
        ...{ nodes: nodeNames, egressSpecs: world.egressSpecs, logDir },
        pairKeys: { arbiter: `http://${host}` },
        commandPrefix: (node) => [
          ...(isStarved ? starving : []),
          ...['env', `NODE_OPTIONS=${stepped}`, `SOAK_CLOCK_FILE=${path.join(dir, node)}.clock`],
        ],
      });
      await setUpArbiterOf(stage.pairFile); // as an operator does: no node would
      if (canMount) for (const name of nodeNames) disks.set(name, ownDisk(stage, dir, name));
      return new SoakPair({ stage, witness, disks }, options);
    } catch (error) {
      await witness.close();
      for (const disk of disks.values()) disk.unmount();
      throw error;
    }
  }

  other(node: NodeUnderFaults): NodeUnderFaults {
    return node === this.nodes.a ? this.nodes.b : this.nodes.a;
  }

  /** Who is what while the machine is protected, as both said last. */
  get roles(): { primary: NodeUnderFaults; backup: NodeUnderFaults } | undefined {
    const { a, b } = this.nodes;
    const isIn = ({ status }: NodeUnderFaults, role: string, state: string): boolean =>
      status?.role === role && status.state === state;
    for (const [primary, backup] of [
      [a, b],
      [b, a],
    ] as const) {
      if (isIn(primary, 'primary', 'protected') && isIn(backup, 'backup', 'protecting')) {
        return { primary, backup };
      }
    }
    return undefined;
  }

  /** Of a node. What is off is written for `clock-step.ts`. */
  stepClock(node: string, byMs: number): void {
    fs.writeFileSync(`${path.join(this.dir, node)}.clock`, String(byMs));
  }

  logFile(node: string): string {
    return path.join(this.dir, logsName, `${node}.log`);
  }

  /** What the nodes logged stays in `logs/`. */
  async close(): Promise<void> {
    for (const node of Object.values(this.nodes)) node.close();
    try {
      await this.stage.close();
    } finally {
      await this.witness.close();
      for (const name of nodeNames) this.imageDisks.get(name)?.unmount();
      if (this.logDisk !== undefined) keepFilesOf(this.logDisk);
    }
  }
}

const logsName = 'logs';

/** Under the name that they had there, without the file system. */
function keepFilesOf(disk: SmallDisk): void {
  const copy = `${disk.dir}-copy`;
  fs.cpSync(disk.dir, copy, { recursive: true });
  disk.unmount();
  fs.rmdirSync(disk.dir);
  fs.renameSync(copy, disk.dir);
}

/** Puts the image of a node on a file system that can be full. */
function ownDisk(stage: Stage, dir: string, name: NodeName): SmallDisk {
  const disk = new SmallDisk(path.join(dir, 'images', name), imageMebibytes);
  const image = path.join(disk.dir, 'data.raw');
  const given = path.join(stage.dir, `data-${name}.raw`);
  // The backup's is made by its seed.
  if (fs.existsSync(given)) execFileSync('cp', ['--sparse=always', given, image]);
  const pair = YAML.parse(fs.readFileSync(stage.pairFile, 'utf8')) as {
    nodes: Record<string, { disks: Record<string, string> }>;
  };
  const node = pair.nodes[name];
  if (node !== undefined) node.disks.data = image;
  fs.writeFileSync(stage.pairFile, YAML.stringify(pair));
  return disk;
}
