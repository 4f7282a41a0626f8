/**
 * One member of the bank: a protected pair whose guest transfers money, and the sockets through
 * which a group's coordinator reaches its nodes.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import YAML from 'yaml';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import { Stage } from '../../../src/lab/stage.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import { awaitOnConsole } from '../guest-console.ts';
import { ControlRelay } from './control-relay.ts';
import type { Passing } from './steps.ts';

/** On a machine that boots all of them at once. */
const bootMs = 240_000;

const pollMs = 50;

/** Silence means nothing where six machines share two processors; a kill is noticed at once. */
const silenceMs = 10_000;

/** The least in which the example guest boots: its initial RAM disk is not packed. */
const memory = '96M';
/** The soak is not about the ledger. */
const ledgerMs = 1_000;

export interface MemberOptions {
  readonly name: string;
  /** Of its guest. */
  readonly address: string;
  /** Addresses of all members' guests. */
  readonly bank: readonly string[];
  /** Two names, of one letter each. */
  readonly nodes: readonly [string, string];
  readonly egressSpecs: readonly string[];
  /** Where its nodes log. */
  readonly logDir: string;
  readonly onEvent: (event: WatchEvent) => void;
  readonly onPassing: (what: Passing['what']) => void;
}

export class Member {
  readonly name: string;
  readonly stage: Stage;
  /** For a coordinator: it reaches the nodes through relays. */
  readonly relayedPairFile: string;
  readonly #options: MemberOptions;
  readonly #relays: ControlRelay[] = [];
  readonly #nodes = new Map<string, NodeProcess>();

  private constructor(options: MemberOptions, stage: Stage) {
    this.name = options.name;
    this.stage = stage;
    this.relayedPairFile = path.join(stage.dir, 'relayed.yaml');
    this.#options = options;
  }

  static async open(options: MemberOptions): Promise<Member> {
    const { name, address, bank, nodes, egressSpecs, logDir } = options;
    const words = [
      `understudy.ip=${address}/24`,
      `understudy.bank=${bank.join(',')}`,
      `understudy.ledger_ms=${ledgerMs}`,
    ];
    const stage = await Stage.open({
      ...{ nodes, egressSpecs, logDir, memory, append: words.join(' ') },
      pairKeys: {
        ...{ pair: `bank-${name}`, silenceMs, compareEvery: 'never' },
        snapshots: { store: 'store' },
      },
    });
    const member = new Member(options, stage);
    // The addresses of its cards are made of it.
    edit<{ name: string }>(path.join(stage.dir, 'vm.yaml'), (vm) => {
      vm.name = `bank-${name}`;
    });
    await member.#relay();
    return member;
  }

  get store(): string {
    return path.join(this.stage.dir, 'store');
  }

  /** The machine boots on the first node. */
  async boot(): Promise<void> {
    const node = this.#start(this.#options.nodes[0]);
    await node.until('alone', bootMs);
    await awaitOnConsole(node.control, 'understudy-guest ready', bootMs);
  }

  /** Starts nodes that do not run, and waits until the machine is protected. */
  async protect(): Promise<void> {
    for (const name of this.#options.nodes) {
      if (this.#nodes.get(name)?.isRunning !== true) this.#start(name);
    }
    for (;;) {
      const primary = await this.primary();
      const backup = [...this.#nodes.values()].find((node) => node !== primary);
      await primary.until('protected', bootMs);
      await backup?.until('protecting', bootMs);
      if ((await primary.status()).state === 'protected') return;
    }
  }

  /** The node that is primary, or will be when a takeover is over. */
  async primary(): Promise<NodeProcess> {
    const deadline = performance.now() + bootMs;
    while (performance.now() < deadline) {
      for (const node of this.#nodes.values()) {
        if (!node.isRunning) continue;
        const status = await node.status().catch(() => undefined);
        if (status?.role === 'primary') return node;
      }
      await sleep(pollMs);
    }
    throw new Error(`member ${this.name} has no primary`);
  }

  async close(): Promise<void> {
    for (const relay of this.#relays) relay.close();
    await this.stage.close();
  }

  /** Ends its nodes; what they have kept stays up to `close`. */
  async stop(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
  }

  #start(name: string): NodeProcess {
    const node = this.stage.start(name);
    this.#nodes.set(name, node);
    node.events.subscribe(this.#options.onEvent);
    return node;
  }

  /** The same pair, with other run directories: those of the relays. */
  async #relay(): Promise<void> {
    const { dir, pairFile } = this.stage;
    fs.copyFileSync(pairFile, this.relayedPairFile);
    const runDirs = new Map(this.#options.nodes.map((name) => [name, path.join(dir, `r${name}`)]));
    edit<{ nodes: Record<string, { runDir: string }> }>(this.relayedPairFile, ({ nodes }) => {
      for (const [name, runDir] of runDirs) if (nodes[name]) nodes[name].runDir = runDir;
    });
    for (const [name, runDir] of runDirs) {
      const target = path.join(this.stage.runDir(name), 'control');
      const { onPassing } = this.#options;
      const at = path.join(runDir, 'control');
      this.#relays.push(await ControlRelay.open(at, target, onPassing));
    }
  }
}

function edit<T>(file: string, change: (document: T) => void): void {
  const document = YAML.parse(fs.readFileSync(file, 'utf8')) as T;
  change(document);
  fs.writeFileSync(file, YAML.stringify(document));
}
