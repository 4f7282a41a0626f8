/** Machines that transfer money to each other, protected, and the group file that names them. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import YAML from 'yaml';
import type { World } from '../../../src/lab/world.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import { runOnConsole } from '../guest-console.ts';
import { Member } from './member.ts';
import type { Passing } from './steps.ts';

type LineEvent = Extract<WatchEvent, { type: 'line' }>;

/** A line that ended: which member's, and what its node said. */
export type LineSeen = Omit<LineEvent, 'type'> & { readonly member: number };

/** Names of nodes: one letter each, two a member. */
export const bankNodes = (members: number): string[] =>
  Array.from({ length: 2 * members }, (_, index) => String.fromCharCode(97 + index));

export const bankAddresses = (members: number): string[] =>
  Array.from({ length: members }, (_, index) => `10.77.0.${11 + index}`);

/** Until nothing arrives any more. */
const drainMs = 60_000;
const drainPollMs = 700;
const quietLooks = 4;

export class Bank {
  readonly members: readonly Member[];
  readonly groupFile: string;
  readonly lines: LineSeen[];
  /** Told what passes between a coordinator and the members. */
  onPassing: (passing: Passing) => void = () => undefined;

  private constructor(members: Member[], groupFile: string, lines: LineSeen[]) {
    this.members = members;
    this.groupFile = groupFile;
    this.lines = lines;
  }

  /** `dir`: for the group file and the sets. */
  static async open(options: {
    readonly world: World;
    readonly members: number;
    readonly dir: string;
  }): Promise<Bank> {
    const { world, dir } = options;
    const [names, bank] = [bankNodes(options.members), bankAddresses(options.members)];
    const members: Member[] = [];
    const lines: LineSeen[] = [];
    const told: { bank: Bank | undefined } = { bank: undefined };
    try {
      for (const [index, address] of bank.entries()) {
        const [first = '', second = ''] = names.slice(2 * index);
        members.push(
          await Member.open({
            ...{ name: `m${index + 1}`, address, bank, nodes: [first, second] },
            logDir: path.join(dir, 'logs'),
            egressSpecs: world.egressSpecs.slice(2 * index, 2 * index + 2),
            onEvent: (event) => {
              if (event.type === 'line') lines.push({ ...event, member: index });
            },
            onPassing: (what) => told.bank?.onPassing({ member: index, what }),
          }),
        );
      }
    } catch (error) {
      for (const member of members) await member.close();
      throw error;
    }
    const groupFile = path.join(dir, 'group.yaml');
    const files = Object.fromEntries(
      members.map(({ name, relayedPairFile }) => [name, relayedPairFile]),
    );
    fs.writeFileSync(groupFile, YAML.stringify({ group: 'bank', members: files, sets: 'sets' }));
    told.bank = new Bank(members, groupFile, lines);
    return told.bank;
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.close();
  }
}

/**
 * Ends the transfers of machines whose primaries are reached there, and waits until what was on its
 * way has arrived. Throws when that does not end.
 */
export async function drain(controls: readonly string[]): Promise<void> {
  await Promise.all(controls.map((control) => runOnConsole(control, 'killall -USR1 bankd')));
  const deadline = performance.now() + drainMs;
  let before = '';
  for (let quiet = 0; quiet < quietLooks; ) {
    if (performance.now() > deadline) throw new Error('transfers arrive without end');
    await sleep(drainPollMs);
    const sizes = await Promise.all(controls.map(journalBytes));
    const now = sizes.join(' ');
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}

async function journalBytes(control: string): Promise<number> {
  const said = await runOnConsole(control, 'echo size $(wc -c </data/bank).');
  const [, bytes] = /size (\d+)\./.exec(said) ?? [];
  if (bytes === undefined) throw new Error(`the guest has no journal: ${said.slice(-200)}`);
  return Number(bytes);
}
