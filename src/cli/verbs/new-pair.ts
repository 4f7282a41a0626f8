/**
 * The pair file of a machine whose disks were just put into a directory, and what to do with it.
 */
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { FileArbiter } from '../../arbiter/file.ts';
import { pairName } from '../../arbiter/state.ts';
import { UnderstudyError } from '../../base/errors.ts';
import { freeAddresses } from '../../lab/stage.ts';
import { preparedPaths } from '../../restore/prepared.ts';

/** The node that has the disks. */
export const firstNode = 'a';
export const secondNode = 'b';

/** Throws `config` when a pair cannot have this name. */
export function checkPairName(name: string): void {
  if (pairName.test(name)) return;
  throw new UnderstudyError('config', `A pair cannot be called '${name}'`, {
    hint: 'give 1-32 letters, digits, _ or -',
  });
}

/**
 * Writes the pair file for the VM file and the disks in `dir`, and sets up an arbiter of its own.
 * Both nodes are on this host, on free ports of loopback. Returns the file's path.
 */
export async function writePairFile(
  dir: string,
  pair: {
    readonly name: string;
    /** Their ids. */
    readonly disks: readonly string[];
    /** Of the first card, on the first node. */
    readonly egress: string;
    /** Further keys of the file. */
    readonly more?: Readonly<Record<string, unknown>>;
  },
): Promise<string> {
  const [listenA, listenB] = await freeAddresses(2);
  const images = (imageOf: (id: string) => string) =>
    Object.fromEntries(pair.disks.map((id) => [id, imageOf(id)]));
  const directory = path.join(dir, 'arbiter');
  const content = {
    pair: pair.name,
    vm: preparedPaths(dir).vmFile,
    arbiter: `file:${directory}`,
    nodes: {
      [firstNode]: {
        listen: listenA,
        disks: images(preparedPaths(dir).disk),
        egress: pair.egress,
      },
      [secondNode]: {
        listen: listenB,
        disks: images((id) => path.join(dir, `backup.${id}.raw`)),
        egress: 'none',
      },
    },
    ...pair.more,
  };
  const arbiter = new FileArbiter({ directory });
  await arbiter.setUp();
  await arbiter.close();
  const file = path.join(dir, 'pair.yaml');
  await fs.promises.writeFile(file, YAML.stringify(content), { flag: 'wx', mode: 0o600 });
  return file;
}

/**
 * What a person does next, a line each. `startsBy`: further options of the command that starts it;
 * `undefined` when it is started already.
 */
export function goOnLines(
  pairFile: string,
  { startsBy }: { readonly startsBy: string | undefined },
): string[] {
  const node = (name: string): string => `understudy node --pair ${pairFile} --name ${name}`;
  return [
    ...(startsBy === undefined ? [] : [`start it:   ${node(firstNode)} ${startsBy}`.trimEnd()]),
    `protect it: ${node(secondNode)}`,
    `look at it: understudy console --pair ${pairFile}`,
  ];
}
