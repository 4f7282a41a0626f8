/** A machine's past, to look at. Nothing of it gets out. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { copySparse } from '../../hypervisor/memory/sparse-copy.ts';
import type { QemuInstance } from '../../hypervisor/qemu/instance.ts';
import { cardsNamedBy } from '../../hypervisor/vm-file/read.ts';
import { requireRoom } from '../../node/run-dir.ts';
import type { SnapshotManifest, SnapshotStore } from '../../ports/snapshot-store.ts';
import { checkGdbSocket, type DebugOptions, openToDebugger } from '../../restore/debugged.ts';
import { type EpochTime, FrameCapture } from '../../restore/frame-capture.ts';
import { findSnapshot, type PrepareOptions, prepareMachine } from '../../restore/prepare.ts';
import { type InstantOptions, instantOf } from '../instant-option.ts';
import type { StoreOption } from '../store-option.ts';
import { inRunDir } from './restore.ts';
import { usingStore } from './using-store.ts';

export interface ReplayOptions extends StoreOption, InstantOptions {
  readonly vm?: string;
  readonly console?: string;
  readonly pcap?: string;
  readonly memory?: string;
  readonly gdb?: string;
  readonly json?: boolean;
}

/** Ends at the instant; with a debugger when it is told to. */
export async function replay(id: string | undefined, options: ReplayOptions): Promise<void> {
  const until = instantOf(options) ?? ({ kind: 'end' } as const);
  const { vm, json, memory, gdb } = options;
  if (gdb !== undefined) checkGdbSocket(gdb);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-replay-'));
  try {
    const found = await usingStore(options, 'read', async (store) => {
      // From where it was asked to begin; the nearest one shows the least.
      const snapshot = await findSnapshot(store, {
        ...(id === undefined ? { until } : { id }),
        ...(vm === undefined ? {} : { vm }),
      });
      return inRunDir(async (runDir) => {
        const ramBytes = snapshot.images.find(({ name }) => name === 'ram')?.bytes ?? 0;
        requireRoom(runDir, ramBytes);
        const print = consoleTo(options.console);
        const cards = options.pcap === undefined ? undefined : cardsNamedBy(snapshot.vmFile);
        const capture = cards === undefined ? undefined : new FrameCapture(runDir, cards);
        const dir = path.join(scratch, 'past');
        const past = {
          ...{ store, snapshot, until, dir, runDir },
          onReplayer: async (instance: QemuInstance) => {
            if (print !== undefined) instance.serials[0]?.output.on('data', print.write);
            await capture?.attach(instance);
          },
        };
        const keepMemory = async (ramFile: string): Promise<void> => {
          if (memory !== undefined) await copySparse(ramFile, path.resolve(memory));
        };
        const { icount, completions } =
          gdb === undefined
            ? await execute(past, keepMemory)
            : await debug({ ...past, socket: gdb, onInstant: keepMemory });
        print?.close();
        const frames =
          options.pcap === undefined
            ? undefined
            : capture?.write(options.pcap, await epochTimes(store, snapshot));
        return { snapshot: snapshot.id, from: snapshot.icount, icount, completions, frames };
      });
    });
    const out = options.console === '-' ? process.stderr : process.stdout;
    const { snapshot, from, icount, frames } = found;
    const seen = frames === undefined ? '' : `; ${frames} frames`;
    const text = `replayed ${snapshot} from icount ${from} to ${icount}${seen}`;
    out.write(`${json === true ? JSON.stringify(found) : text}\n`);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

interface Stood {
  readonly icount: number;
  readonly completions: number;
}

async function execute(
  past: PrepareOptions,
  keepMemory: (ramFile: string) => Promise<void>,
): Promise<Stood> {
  const { icount, completions, machine } = await prepareMachine(past);
  await keepMemory(machine.ramFile);
  return { icount, completions };
}

/** Until the debugger or the person at the terminal has enough. */
async function debug(options: DebugOptions): Promise<Stood> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const debugged = await openToDebugger({
    ...options,
    onLogEnd: (icount, problem) => {
      say(`the log ends at icount ${icount}${problem === undefined ? '' : `: ${problem.message}`}`);
    },
  });
  const { icount, ended } = debugged;
  const enough = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  try {
    say(
      `it stands at icount ${icount}; in gdb: target remote ${options.socket}. Ctrl-C here ends it`,
    );
    await Promise.race([enough, ended]);
  } finally {
    await debugged.end();
    fs.rmSync(options.socket, { force: true });
  }
  return { icount, completions: 0 };
}

function consoleTo(target: string | undefined) {
  if (target === undefined) return undefined;
  if (target === '-') {
    return { write: (bytes: Buffer) => void process.stdout.write(bytes), close: () => undefined };
  }
  let fd: number;
  try {
    fd = fs.openSync(target, 'wx', 0o600);
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot write '${target}'`, {
      cause: asError(thrown),
      hint: 'name a file that is not there yet',
    });
  }
  return { write: (bytes: Buffer) => void fs.writeSync(fd, bytes), close: () => fs.closeSync(fd) };
}

/** Where a piece of log begins and ends, the time of an epoch is known. */
async function epochTimes(store: SnapshotStore, snapshot: SnapshotManifest): Promise<EpochTime[]> {
  const pieces = await store.log.list(snapshot);
  return pieces.flatMap(({ firstEpoch, fromTimeMs, lastEpoch, toTimeMs }) => [
    { epoch: firstEpoch, timeMs: fromTimeMs },
    { epoch: lastEpoch, timeMs: toTimeMs },
  ]);
}
