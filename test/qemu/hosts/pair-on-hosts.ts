/**
 * A pair as two hosts have it: nodes in namespaces of their own, TLS and a secret between them, and
 * a witness on a third host, all over the emulated network.
 */
import path from 'node:path';
import { loadVmConfig } from '../../../src/hypervisor/config.ts';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import { Stage } from '../../../src/lab/stage.ts';
import { createSecretFile } from '../../../src/node/pair-file/secret-file.ts';
import { compiled } from '../../compiled/program.ts';
import { PairUnderTest } from '../harness/pair.ts';
import { bootMs, waitFor } from '../harness/wait.ts';
import { GuestCapture } from './guest-capture.ts';
import {
  type HostName,
  HostsWorld,
  hostNames,
  managementAddress,
  outside,
  uplinkOf,
} from './hosts-world.ts';
import type { LinkEmulator } from './link-emulator.ts';
import { WitnessProcess } from './witness-process.ts';

const NODE_PORT = 7001;
const WITNESS_PORT = 7100;
const PAIR = 'demo';
const WITNESS_SECRET = 'witness.secret';
const PAIR_SECRET = 'pair.secret';

export interface Roles {
  readonly primary: NodeProcess & { readonly name: HostName };
  readonly backup: NodeProcess & { readonly name: HostName };
}

export class PairOnHosts extends PairUnderTest {
  readonly network: LinkEmulator;
  readonly witness: WitnessProcess;
  readonly #capture: GuestCapture;

  private constructor(
    world: HostsWorld,
    parts: { stage: Stage; witness: WitnessProcess; capture: GuestCapture },
  ) {
    super(world, parts.stage);
    this.network = world.network;
    this.witness = parts.witness;
    this.#capture = parts.capture;
  }

  /** `pairKeys` are added to the pair file. */
  static override async open(pairKeys: Record<string, unknown> = {}): Promise<PairOnHosts> {
    const world = await HostsWorld.open();
    let stage: Stage | undefined;
    try {
      stage = await openStage(world, pairKeys);
      const file = (name: string): string => path.join(stage?.dir ?? '', name);
      createSecretFile(file(PAIR_SECRET));
      createSecretFile(file(WITNESS_SECRET));
      const witness = await WitnessProcess.start(world, {
        host: managementAddress(outside),
        port: WITNESS_PORT,
        stateDir: file('witness'),
        secretFile: file(WITNESS_SECRET),
      });
      await setUp(world, stage.pairFile);
      const { nics } = await loadVmConfig(file('vm.yaml'));
      const capture = await GuestCapture.open(world, nics[0]?.mac ?? '', hostNames.map(uplinkOf));
      return new PairOnHosts(world, { stage, witness, capture });
    } catch (error) {
      await stage?.close();
      await world.close();
      throw error;
    }
  }

  /** Both nodes are up and the guest is protected, by whichever of them. */
  async protection(deadlineMs: number = bootMs): Promise<Roles> {
    return waitFor('the pair to be protected', () => this.#protection(), deadlineMs);
  }

  /** Hosts that the guest's frames came from so far, in order. */
  async speakers(): Promise<HostName[]> {
    const runs = await this.#capture.runs();
    return runs.flatMap(({ uplink }) => hostNames.filter((host) => uplinkOf(host) === uplink));
  }

  /** The same in words, each with its time: for a message. */
  async speakersInTime(): Promise<string> {
    const runs = await this.#capture.runs();
    return runs
      .map((run) => `${run.uplink} ${run.firstAtMs}-${run.lastAtMs} (${run.frames} frames)`)
      .join('; ');
  }

  /** Frames of the guest that the world has seen so far. */
  async framesSeen(): Promise<number> {
    const runs = await this.#capture.runs();
    return runs.reduce((sum, { frames }) => sum + frames, 0);
  }

  /** Silence of the guest at each change of its speaker so far, milliseconds. */
  async silencesMs(): Promise<number[]> {
    const runs = await this.#capture.runs();
    return runs.slice(1).map((run, index) => run.firstAtMs - (runs[index]?.lastAtMs ?? 0));
  }

  /** Nodes that were given a term, each only where it is another than before it. */
  holders(): string[] {
    const all = this.witness.holders(PAIR);
    return all.filter((holder, index) => holder !== all[index - 1]);
  }

  override terms(): string[] {
    return this.witness.holders(PAIR);
  }

  override async close(): Promise<void> {
    this.witness.thaw();
    await super.close();
  }

  async #protection(): Promise<Roles | undefined> {
    const nodes = hostNames.map((name) => this.node(name));
    const states = await Promise.all(nodes.map((node) => node.status()));
    const primary = nodes[states.findIndex(({ state }) => state === 'protected')];
    const backup = nodes[states.findIndex(({ state }) => state === 'protecting')];
    if (primary === undefined || backup === undefined) return undefined;
    return { primary, backup } as Roles;
  }
}

/** Where the witness can be reached. */
async function setUp(world: HostsWorld, pairFile: string): Promise<void> {
  const args = [compiled('src/cli/main.ts'), 'init', '--pair', pairFile];
  const child = world.spawn(process.execPath, args);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`the pair was not set up: ${said}`);
}

function openStage({ egressSpecs }: HostsWorld, pairKeys: Record<string, unknown>): Promise<Stage> {
  return Stage.open({
    nodes: hostNames,
    egressSpecs,
    listen: hostNames.map((name) => `wss://${managementAddress(name)}:${NODE_PORT}`),
    pairKeys: {
      pair: PAIR,
      arbiter: `http://${managementAddress(outside)}:${WITNESS_PORT}`,
      arbiterAuth: { secret: WITNESS_SECRET },
      security: { secretFile: PAIR_SECRET },
      ...pairKeys,
    },
    commandPrefix: HostsWorld.prefix,
  });
}
