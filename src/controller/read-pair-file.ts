/** A pair file as a host sees it: what it says, and which of its nodes belong here. */
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import { oneLine } from '../base/text.ts';
import { listensHere } from '../host/own-address.ts';
import { parseListenAddress } from '../node/pair-file/listen-address.ts';
import {
  loadPairConfig,
  type NodeConfig,
  nodeNames,
  type PairConfig,
} from '../node/pair-file/pair-config.ts';
import { livingNode } from '../node/run-dir.ts';
import type { FileReading } from './decisions/effects.ts';
import { controllerLimits } from './limits.ts';

export interface ReadPairFileOptions {
  /** Only nodes of these names; all when it is empty. */
  readonly names: readonly string[];
}

/** `isFinal`: it says the same until the file changes. */
export interface PairFileRead {
  readonly reading: FileReading;
  readonly isFinal: boolean;
}

/** Never rejects: what is wrong with the file is its reading. */
export async function readPairFile(
  file: string,
  { names }: ReadPairFileOptions,
): Promise<PairFileRead> {
  try {
    const digest = digestOf(file);
    const nodes = nodeNames(file).map((name) => loadPairConfig(file, name));
    const places = await Promise.all(nodes.map(({ self }) => placeOf(self)));
    const here = nodes.filter(({ self }, index) => {
      return places[index]?.isHere === true && (names.length === 0 || names.includes(self.name));
    });
    const [{ pair, vmFile }] = nodes as [PairConfig];
    const unsure = places.flatMap(({ unsure: why }) => why ?? []);
    const found = here.map(({ self }) => ({
      name: self.name,
      isLiving: livingNode(self.runDir) !== undefined,
    }));
    return {
      reading: {
        ...{ kind: 'pair', digest, pair, nodes: found },
        vmFile: path.relative(path.dirname(path.resolve(file)), vmFile),
        ...(here.length === 0 ? { none: noneOf(nodes, names, unsure) } : {}),
      },
      isFinal: here.length > 0 && unsure.length === 0,
    };
  } catch (thrown) {
    return { reading: { kind: 'bad', problem: problemOf(thrown) }, isFinal: false };
  }
}

/** Of a file's content. Throws `config` when it cannot be read, or is far too large for one. */
export function digestOf(file: string): string {
  const { size } = fs.statSync(file);
  if (size > controllerLimits.fileBytesMax) {
    throw new UnderstudyError('config', `'${file}' is too large for a pair file: ${size} bytes`);
  }
  return hash('sha256', fs.readFileSync(file), 'hex').slice(0, 16);
}

interface Place {
  readonly isHere: boolean;
  /** Why it is not known. */
  readonly unsure?: string;
}

async function placeOf({ name, listen }: NodeConfig): Promise<Place> {
  const host = parseListenAddress(listen)?.host ?? '';
  try {
    const late = sleep(controllerLimits.lookupMs, undefined, { ref: false }).then(() => {
      throw new Error(`no answer within ${controllerLimits.lookupMs} ms`);
    });
    late.catch(() => undefined);
    return { isHere: await Promise.race([listensHere(host), late]) };
  } catch (thrown) {
    return { isHere: false, unsure: `'${host}' of node '${name}': ${reasonOf(thrown)}` };
  }
}

function noneOf(
  nodes: readonly PairConfig[],
  names: readonly string[],
  unsure: readonly string[],
): string {
  const listens = nodes.map(({ self }) => `${self.name} listens on ${self.listen}`).join(', ');
  const only = names.length === 0 ? '' : ` called ${names.join(' or ')}`;
  const unknown = unsure.length === 0 ? '' : `; not resolved: ${unsure.join(', ')}`;
  return `no node of it${only} belongs to this host: ${listens}${unknown}: give one an address of this host in 'listen', or remove the file`;
}

function problemOf(thrown: unknown): string {
  if (!(thrown instanceof UnderstudyError)) return reasonOf(thrown);
  const hint = thrown.hint === undefined ? '' : `; try: ${thrown.hint}`;
  return `${oneLine(reasonOf(thrown))}${hint}`;
}
