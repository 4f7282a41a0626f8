/** One guest in one arrangement: up, and reachable by a client. */
import type { OwnedProcess } from '../../host/processes.ts';
import type { NodeProcess } from '../../lab/node-process.ts';
import { Stage, type StageOptions } from '../../lab/stage.ts';
import type { World } from '../../lab/world.ts';
import type { Arrangement } from '../results.ts';
import { type BareArrangement, startBare } from './bare.ts';
import { Client } from './client.ts';
import { benchLimits } from './limits.ts';

export interface GuestOptions extends Pick<StageOptions, 'commandPrefix' | 'checkout'> {
  readonly world: World;
  readonly memoryBytes: number;
  /** Keys of the pair file. @default none but the usual */
  readonly pairKeys?: Readonly<Record<string, unknown>>;
  /** Added to the kernel's command line. */
  readonly append?: string;
  /** Deadline for a guest without nodes to answer. @default benchLimits.bootMs */
  readonly upMs?: number;
}

export interface Guest {
  readonly arrangement: Arrangement;
  readonly client: Client;
  readonly stage: Stage;
  /** The nodes of `record` (one) and `pair` (two, the primary first). */
  readonly nodes: readonly NodeProcess[];
  close(): Promise<void>;
}

export interface PairGuest extends Guest {
  readonly primary: NodeProcess;
  readonly backup: NodeProcess;
}

/** Starts a guest and waits until it answers, and is protected if it is to be. */
export async function startGuest(arrangement: Arrangement, options: GuestOptions): Promise<Guest> {
  if (arrangement === 'pair') return startPair(options);
  if (arrangement === 'record') return startAlone(options);
  return startBareGuest(arrangement, options);
}

/** A protected guest. */
export async function startPair(options: GuestOptions): Promise<PairGuest> {
  const alone = await startAlone(options);
  const [primary] = alone.nodes as [NodeProcess];
  try {
    const backup = alone.stage.start('b');
    await backup.until('protecting', benchLimits.bootMs);
    return { ...alone, arrangement: 'pair', nodes: [primary, backup], primary, backup };
  } catch (thrown) {
    await alone.close();
    throw thrown;
  }
}

/** A node without a backup: it records. */
async function startAlone(options: GuestOptions): Promise<Guest> {
  const { stage, client, close } = await openStage(options);
  try {
    const primary = stage.start('a');
    await client.untilUp();
    return { arrangement: 'record', client, stage, nodes: [primary], close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function startBareGuest(arrangement: BareArrangement, options: GuestOptions): Promise<Guest> {
  const { stage, client, close } = await openStage(options);
  const [egressSpec = 'none'] = options.world.egressSpecs;
  let qemu: OwnedProcess | undefined;
  const end = async (): Promise<void> => {
    await qemu?.kill();
    await close();
  };
  try {
    qemu = await startBare(arrangement, stage, egressSpec);
    await client.untilUp(options.upMs);
    return { arrangement, client, stage, nodes: [], close: end };
  } catch (thrown) {
    await end();
    throw thrown;
  }
}

/** What nodes and machines need on disk, and a client; all of it until `close`. */
export async function openStage(options: GuestOptions) {
  const { world, memoryBytes, pairKeys = {}, append = '', commandPrefix, checkout } = options;
  const stage = await Stage.open({
    nodes: ['a', 'b'],
    egressSpecs: world.egressSpecs,
    memory: `${memoryBytes / 2 ** 20}M`,
    pairKeys,
    append,
    commandPrefix,
    checkout,
  });
  const client = new Client(world);
  const close = async (): Promise<void> => {
    client.close();
    await stage.close();
  };
  return { stage, client, close };
}
