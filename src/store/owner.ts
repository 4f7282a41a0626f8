/**
 * Who may write: one process at a time, on any host that sees the directory.
 *
 * Intuition: each process that wants to write puts up a flag with a name of its own, `owners/NAME`,
 * and then looks around. It is the owner when every other flag is of a process that is provably
 * dead; else it takes its flag down again. Two that come at once both see the other and both give
 * way, never neither: the file system orders creating and listing. A flag is only ever removed by
 * its process, or by anyone when it is dead, so no removal can hit the wrong one. There is no lock
 * that a server could lose, and no clock.
 *
 *   one line of JSON:
 *   {"understudy":"store-owner","version":1,"host":"...","machineId":"...","bootId":"...",
 *                      "pidSpace":"...","pid":42,"startTime":"123456",
 *                      "node":{"pair":"web","name":"b","control":"/dev/shm/.../control"}}
 *
 * `node` is there when a node writes: who finds the store in use may ask it through its control
 * socket. `copier` is there when what a node keeps is copied to this store (tier/): nobody is to be
 * asked then.
 *
 * Provably dead: of this machine and an earlier boot, or of this boot and a pid that is gone or was
 * given to another process since. About another machine nothing can be proven from here: the error
 * names the file to remove.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UnderstudyError } from '../base/errors.ts';
import { hasEnded, parseProcStat } from '../base/proc-stat.ts';
import { isMissing } from './failure.ts';
import { type Places, readWhole, temporaryPrefix, writeWhole } from './file-names.ts';
import type { Files } from './files.ts';
import { storeLimits } from './limits.ts';

const ownerSchema = z.object({
  understudy: z.literal('store-owner'),
  version: z.literal(1),
  host: z.string(),
  machineId: z.string(),
  bootId: z.string(),
  /** Pids of different spaces (containers) do not compare. */
  pidSpace: z.string(),
  pid: z.int(),
  startTime: z.string(),
  node: z.object({ pair: z.string(), name: z.string(), control: z.string() }).exactOptional(),
  copier: z.object({ pair: z.string(), name: z.string() }).exactOptional(),
});

type OwnerText = z.infer<typeof ownerSchema>;

/** A node that writes. */
export interface WritingNode {
  readonly pair: string;
  readonly name: string;
  /** Path of its control socket. */
  readonly control: string;
}

/** A node whose snapshots are copied. */
export type CopiedNode = Pick<WritingNode, 'pair' | 'name'>;

/** Who opens a store to write, for those who find it in use. */
export interface Writer {
  readonly node?: WritingNode;
  readonly copier?: CopiedNode;
}

/** Another process writes. */
export class StoreInUse extends UnderstudyError {
  /** The node that does, if it is one of this machine: it can be asked. */
  readonly node: WritingNode | undefined;
  /** The node whose snapshots are copied to it, on whatever machine. */
  readonly copier: CopiedNode | undefined;

  constructor({ directory }: Places, { file, text }: Rival) {
    const isHere = text !== undefined && isOfThisBoot(text);
    super('store', `Cannot write to store '${directory}': it is in use by ${nameOf(text)}`, {
      mayPass: true,
      hint: `${whatToDo(text, isHere)} If it is dead for certain, remove '${file}'.`,
    });
    this.node = isHere ? text.node : undefined;
    this.copier = text?.copier;
  }
}

/** The right to write. */
export class Owner {
  readonly #files: Files;
  readonly #file: string;

  private constructor(files: Files, file: string) {
    this.#files = files;
    this.#file = file;
  }

  /** Throws `StoreInUse` when another process has it. */
  static async claim(files: Files, places: Places, writer: Writer): Promise<Owner> {
    await files.makeDirectory(places.owners);
    const file = path.join(places.owners, randomBytes(8).toString('hex'));
    for (let attempt = 1; ; attempt += 1) {
      const rival = await putUp(files, places, file, writer);
      if (rival === undefined) return new Owner(files, file);
      if (attempt === storeLimits.ownerAttempts) throw new StoreInUse(places, rival);
      await sleep(storeLimits.ownerRetryMs * (1 + Math.random()));
    }
  }

  async release(): Promise<void> {
    await this.#files.remove(this.#file);
  }
}

/** Puts a flag up and looks around. With a rival, the flag is down again. */
async function putUp(
  files: Files,
  places: Places,
  file: string,
  { node, copier }: Writer,
): Promise<Rival | undefined> {
  const text: OwnerText = {
    ...ourselves(),
    ...(node === undefined ? {} : { node }),
    ...(copier === undefined ? {} : { copier }),
  };
  try {
    await writeWhole(files, file, Buffer.from(`${JSON.stringify(text)}\n`));
  } catch (thrown) {
    // An owner sweeps temporary files that it finds.
    if (isMissing(thrown)) return { file: places.owners, text: undefined };
    throw thrown;
  }
  try {
    const rival = await findRival(files, places, file);
    if (rival !== undefined) await files.remove(file);
    return rival;
  } catch (error) {
    await files.remove(file).catch(() => undefined);
    throw error;
  }
}

interface Rival {
  readonly file: string;
  readonly text: OwnerText | undefined;
}

/** A flag of a process that may be alive. Flags of dead ones are removed. */
async function findRival(files: Files, places: Places, own: string): Promise<Rival | undefined> {
  for (const name of await files.list(places.owners)) {
    const file = path.join(places.owners, name);
    if (file === own || name.startsWith(temporaryPrefix)) continue;
    let bytes: Buffer | undefined;
    try {
      bytes = await readWhole(files, file, storeLimits.headBytesMax);
    } catch (thrown) {
      if (isMissing(thrown)) continue; // taken down meanwhile
      throw thrown;
    }
    const text = parse(bytes);
    if (text === undefined || !isDead(text)) return { file, text };
    await files.remove(file).catch(() => undefined);
  }
  return undefined;
}

function parse(bytes: Buffer | undefined): OwnerText | undefined {
  try {
    return ownerSchema.parse(JSON.parse(bytes?.toString() ?? ''));
  } catch {
    return undefined;
  }
}

function ourselves(): OwnerText {
  return {
    understudy: 'store-owner',
    version: 1,
    host: os.hostname(),
    machineId: readLine('/etc/machine-id'),
    bootId: readLine('/proc/sys/kernel/random/boot_id'),
    pidSpace: pidSpace(),
    pid: process.pid,
    startTime: startTime(process.pid) ?? '',
  };
}

function isDead(owner: OwnerText): boolean {
  if (!isOfThisMachine(owner)) return false;
  if (!isOfThisBoot(owner)) return true;
  return owner.pidSpace === pidSpace() && startTime(owner.pid) !== owner.startTime;
}

function isOfThisMachine({ host, machineId }: OwnerText): boolean {
  const us = ourselves();
  return host === us.host && machineId === us.machineId;
}

function isOfThisBoot(owner: OwnerText): boolean {
  return isOfThisMachine(owner) && owner.bootId === ourselves().bootId;
}

function readLine(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function pidSpace(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** In clock ticks since boot; `undefined` when the process is gone or only waits to be reaped. */
function startTime(pid: number): string | undefined {
  const stat = parseProcStat(readLine(`/proc/${pid}/stat`));
  return stat === undefined || hasEnded(stat) ? undefined : stat.startTime;
}

function nameOf(owner: OwnerText | undefined): string {
  if (owner === undefined) return 'an unknown process';
  const { node, copier, pid, host } = owner;
  const who = `process ${pid} on '${host}'`;
  if (copier !== undefined) {
    return `${who}, which copies the snapshots of node '${copier.name}' of pair '${copier.pair}'`;
  }
  return node === undefined ? who : `node '${node.name}' of pair '${node.pair}', ${who}`;
}

function whatToDo(owner: OwnerText | undefined, isHere: boolean): string {
  if (owner?.copier !== undefined) return 'Stop that node, or wait until it is no backup any more.';
  const isElsewhere = owner?.node !== undefined && !isHere;
  if (isElsewhere) return `Run this on '${owner.host}': it asks that node there.`;
  return 'Ask that process, or wait until it ends.';
}
